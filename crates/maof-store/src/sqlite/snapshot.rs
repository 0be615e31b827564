//! States of parts of the process, kept for its next start.

use async_trait::async_trait;
use bytes::Bytes;
use maof_core::{Result, Snapshots};

use super::job::How;
use super::{SqliteStore, away};
use crate::memory::refuse_too_large;

#[async_trait]
impl Snapshots for SqliteStore {
    async fn keep(&self, part: &'static str, bytes: Bytes) -> Result<()> {
        refuse_too_large(part, &bytes)?;
        let write = "INSERT INTO snapshot (part, bytes) VALUES (?1, ?2) \
                     ON CONFLICT (part) DO UPDATE SET bytes = excluded.bytes";
        let writer = &self.writes()?.writer;
        let saved = writer.write(How::Plain, move |connection| {
            connection.prepare_cached(write)?.execute((part, &*bytes))?;
            Ok(Ok(()))
        });
        saved.await
    }

    async fn kept(&self, part: &'static str) -> Result<Option<Bytes>> {
        let row = sqlx::query_as::<_, (Vec<u8>,)>("SELECT bytes FROM snapshot WHERE part = ?1").bind(part);
        let row = row.fetch_optional(&self.inner.reads).await.map_err(away)?;
        Ok(row.map(|(bytes,)| bytes.into()))
    }
}
