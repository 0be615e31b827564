//! Watching a run: its journal as it grows, resumable by sequence.

use std::time::Duration;

use futures::Stream;
use maof_core::{Name, Result, RunId, Timestamp};
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
                                engine.changed(&mut changes, run, false).await;
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

    /// Waits until the run may have changed, or `only_end`ed; at the latest after a poll, for changes by other
    /// processes.
    pub(super) async fn changed(&self, changes: &mut Receiver<Change>, run: RunId, only_end: bool) {
        let poll = Duration::from_millis(self.inner.config.poll_ms);
        let told = async {
            loop {
                match changes.recv().await {
                    Ok(change) if change.run != run || (only_end && !change.ended) => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => return std::future::pending().await,
                }
            }
        };
        // Either way the journal is looked at.
        let _ = tokio::time::timeout(poll, told).await;
    }
}
