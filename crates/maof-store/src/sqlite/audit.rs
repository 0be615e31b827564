//! The audit's port: lines are handed over, and written behind.

use async_trait::async_trait;
use maof_core::{Audit, AuditRow, Name, Result};

use super::SqliteStore;

#[async_trait]
impl Audit for SqliteStore {
    fn note(&self, row: AuditRow) {
        match &self.inner.writes {
            Some(writes) => writes.writer.hand_over(|rows| rows.note(row)),
            None => tracing::error!("an audit line was noted where nothing can be written"),
        }
    }

    async fn trail(&self, tenant: &Name, limit: u32) -> Result<Vec<AuditRow>> {
        self.write_rows().await?;
        self.read_trail(tenant, limit).await
    }
}
