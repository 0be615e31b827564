//! What every node of the ledger must know, such as limits that were changed.

use async_trait::async_trait;
use bytes::Bytes;
use maof_core::{Result, Snapshots};

use super::apply::away;
use super::ledger::PostgresLedger;
use crate::memory::refuse_too_large;

#[async_trait]
impl Snapshots for PostgresLedger {
    async fn keep(&self, part: &'static str, bytes: Bytes) -> Result<()> {
        refuse_too_large(part, &bytes)?;
        let write = "INSERT INTO snapshot (part, bytes) VALUES ($1, $2) \
                     ON CONFLICT (part) DO UPDATE SET bytes = excluded.bytes";
        let written = sqlx::query(write).bind(part).bind(&*bytes).execute(self.reads()).await;
        written.map(drop).map_err(away)
    }

    async fn kept(&self, part: &'static str) -> Result<Option<Bytes>> {
        let row = sqlx::query_as::<_, (Vec<u8>,)>("SELECT bytes FROM snapshot WHERE part = $1").bind(part);
        let row = row.fetch_optional(self.reads()).await.map_err(away)?;
        Ok(row.map(|(bytes,)| bytes.into()))
    }
}
