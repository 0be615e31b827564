//! The journal's port over the writer and the readers.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use maof_core::{
    Batch, Beat, Claim, Journal, Name, NewRun, Record, Result, Run, RunFilter, RunId, Timestamp,
};

use super::job::How;
use super::write::{OwnedClaim, Texts};
use super::{SqliteStore, Writes, away, open, write};

/// Bytes of one batch that are written within tens of microseconds.
const BRIEF: usize = 32 << 10;

/// Who leads what is brief does so at the cost of everything else on its thread: what is large is for the writer's.
pub(super) fn how(batch: &Batch, texts: &Texts) -> How {
    let bytes = texts.len + batch.records.iter().map(Bytes::len).sum::<usize>();
    if bytes <= BRIEF { How::Brief } else { How::Plain }
}

#[async_trait]
impl Journal for SqliteStore {
    async fn accept(&self, new: NewRun) -> Result<Run> {
        let writes = self.writes()?;
        let fair = Arc::clone(&writes.fair);
        writes.writer.write(How::Synced, move |c| write::accept(c, new, &fair)).await
    }

    async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Run>> {
        let writes = self.writes()?;
        self.sweep(writes, claim.now).await;
        let claim = OwnedClaim::from(claim);
        let claimed = writes.writer.write(How::Plain, move |c| write::claim(c, &claim)).await?;
        let mut fair = writes.fair.lock();
        let told = claimed.into_iter().map(|(run, place)| {
            fair.claimed(place, run.task.priority);
            run
        });
        Ok(told.collect())
    }

    async fn load(&self, tenant: &Name, run: RunId) -> Result<Vec<Record>> {
        self.read_records(tenant, run, 0, u32::MAX).await
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        let texts = Texts::new(&batch)?;
        let how = how(&batch, &texts);
        self.writes()?.writer.write(how, move |c| write::commit(c, &batch, &texts)).await
    }

    async fn heartbeat(&self, runs: &[(RunId, i64)], until: Timestamp) -> Result<Vec<Beat>> {
        let runs = runs.to_vec();
        self.writes()?.writer.write(How::Plain, move |c| write::heartbeat(c, &runs, until)).await
    }

    async fn release(&self, run: RunId, fence: i64) -> Result<()> {
        self.writes()?.writer.write(How::Plain, move |c| write::release(c, run, fence)).await
    }

    async fn cancel(&self, tenant: &Name, run: RunId, now: Timestamp) -> Result<bool> {
        let tenant = tenant.clone();
        if let Some(writes) = &self.inner.writes {
            let ask = move |c: &rusqlite::Connection| write::cancel(c, tenant.as_str(), run, now);
            return writes.writer.write(How::Synced, ask).await;
        }
        // Beside whoever works with the file: one short transaction of our own.
        let path = self.inner.path.clone();
        let wish = move || -> rusqlite::Result<Result<bool>> {
            let mut connection = open::connect(&path)?;
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let answer = write::cancel(&transaction, tenant.as_str(), run, now)?;
            transaction.commit()?;
            Ok(answer)
        };
        tokio::task::spawn_blocking(wish).await.map_err(away)?.map_err(away)?
    }

    async fn run(&self, tenant: &Name, run: RunId) -> Result<Run> {
        self.read_run(tenant, run).await
    }

    async fn runs(&self, tenant: &Name, filter: RunFilter) -> Result<Vec<Run>> {
        self.read_runs(tenant, filter).await
    }

    async fn records(&self, tenant: &Name, run: RunId, after: u64, limit: u32) -> Result<Vec<Record>> {
        self.read_records(tenant, run, after, limit).await
    }
}

impl SqliteStore {
    /// Forgets a slice of what is old, if it is time for it. A claim does not fail for it.
    async fn sweep(&self, writes: &Writes, now: Timestamp) {
        let Some(pass) = writes.sweep.lock().due(now) else { return };
        match writes.writer.write(How::Plain, move |c| pass.run(c)).await {
            Ok(true) => writes.sweep.lock().again(),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "what is old could not be forgotten"),
        }
    }
}
