//! Watching a run: its end, and its journal as it grows, resumable by sequence.

use std::time::Duration;

use futures::Stream;
use maof_core::{Name, Result, Run, RunId, Timestamp};
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::Engine;
use super::context::Change;
use crate::record::Record;

/// Records that are read at once.
const PAGE: u32 = 256;

/// A record of a run, for those who watch it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunEvent {
    /// Its place in the journal, from 1; a stream can be resumed after it.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub record: Record,
}

impl Engine {
    /// Waits until a run has ended.
    ///
    /// # Errors
    /// `not_found`; `unavailable` when the store cannot be reached.
    pub async fn wait(&self, tenant: &Name, run: RunId) -> Result<Run> {
        let poll = Duration::from_millis(self.inner.config.poll_ms);
        loop {
            // Before looking: whoever ends or lets go of it from now on says so.
            let mut seat = self.inner.context.waiting.join(run);
            let told = if self.inner.holds(tenant, run) {
                (&mut seat.told).await.ok()
            } else {
                let found = self.run(tenant, run).await?;
                if found.state.is_final() {
                    return Ok(found);
                }
                // It may end in another process, which tells nobody.
                tokio::time::timeout(poll, &mut seat.told).await.ok().and_then(|told| told.ok())
            };
            if let Some(ended) = told {
                return Ok(ended);
            }
        }
    }

    /// What happened to a run after the record `after`, then what happens, until it ends.
    pub fn events(
        &self,
        tenant: Name,
        run: RunId,
        after: u64,
    ) -> impl Stream<Item = Result<RunEvent>> + use<> {
        let engine = self.clone();
        let changes = engine.inner.context.changes();
        let start = (engine, changes, after, std::collections::VecDeque::<RunEvent>::new(), false);
        futures::stream::unfold(start, move |(engine, mut changes, mut after, mut page, mut over)| {
            let tenant = tenant.clone();
            async move {
                loop {
                    if let Some(event) = page.pop_front() {
                        after = event.seq;
                        return Some((Ok(event), (engine, changes, after, page, over)));
                    }
                    if over {
                        return None;
                    }
                    match engine.page(&tenant, run, after).await {
                        Err(error) => return Some((Err(error), (engine, changes, after, page, true))),
                        Ok((events, ended)) => {
                            over = ended && events.is_empty();
                            page.extend(events);
                            if page.is_empty() && !over {
                                engine.changed(&mut changes, run).await;
                            }
                        }
                    }
                }
            }
        })
    }

    /// The next records, and whether the run had ended before they were read.
    async fn page(&self, tenant: &Name, run: RunId, after: u64) -> Result<(Vec<RunEvent>, bool)> {
        let journal = &self.inner.context.journal;
        let ended = journal.run(tenant, run).await?.state.is_final();
        let records = journal.records(tenant, run, after, PAGE).await?;
        let events: Result<Vec<RunEvent>> = records
            .into_iter()
            .map(|r| Ok(RunEvent { seq: r.seq, at: r.at, record: Record::decode(&r.bytes)? }))
            .collect();
        Ok((events?, ended))
    }

    /// Waits until the run may have changed; at the latest after a poll, for changes by other processes.
    async fn changed(&self, changes: &mut Receiver<Change>, run: RunId) {
        let poll = Duration::from_millis(self.inner.config.poll_ms);
        let told = async {
            loop {
                match changes.recv().await {
                    Ok(change) if change != run => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => return std::future::pending().await,
                }
            }
        };
        // Either way the journal is looked at.
        let _ = tokio::time::timeout(poll, told).await;
    }
}
