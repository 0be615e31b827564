//! The ledger's port: balances in memory, rows behind.

use std::sync::Arc;

use async_trait::async_trait;
use maof_core::{Account, Attempt, Balance, Charge, Ledger, Name, Result, RunId, Timestamp};

use super::SqliteStore;
use super::job::How;

#[async_trait]
impl Ledger for SqliteStore {
    async fn hold(&self, key: &Arc<str>, charges: &[Charge], now: Timestamp) -> Result<()> {
        let writes = self.writes()?;
        // Here, and not where rows are handed over, is where a writer that falls behind is waited for.
        writes.writer.ready().await?;
        writes.accounts.lock().hold(key, charges, now)
    }

    fn charge(&self, key: &Arc<str>, attempt: Attempt) {
        let Some(writes) = &self.inner.writes else {
            tracing::error!("an attempt was charged where nothing can be written");
            return;
        };
        // Both in one step: otherwise what another thread has charged, but not handed over yet, would be
        // written as spent without its attempt.
        let mut accounts = writes.accounts.lock();
        let spent = accounts.charge(key, &attempt);
        writes.writer.hand_over(|rows| rows.attempt(attempt, spent));
    }

    fn close(&self, key: &Arc<str>) {
        if let Some(writes) = &self.inner.writes {
            writes.accounts.lock().close(key);
        }
    }

    async fn balance(&self, account: &Account, now: Timestamp) -> Result<Balance> {
        Ok(self.writes()?.accounts.lock().balance(account, now))
    }

    async fn attempts(&self, tenant: &Name, run: Option<RunId>, limit: u32) -> Result<Vec<Attempt>> {
        self.write_rows().await?;
        self.read_attempts(tenant, run, limit).await
    }

    async fn flush(&self) -> Result<()> {
        match &self.inner.writes {
            Some(writes) => writes.writer.write(How::Synced, |_| Ok(Ok(()))).await,
            None => Ok(()),
        }
    }
}

impl SqliteStore {
    /// Whoever reads finds what was handed over before.
    pub(super) async fn write_rows(&self) -> Result<()> {
        match &self.inner.writes {
            Some(writes) => writes.writer.write(How::Plain, |_| Ok(Ok(()))).await,
            None => Ok(()),
        }
    }
}
