//! What every run of an engine needs.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use maof_core::{Call, Clock, Error, Ids, Journal, Observe, Reply, RunId, Timestamp};
use tokio::sync::broadcast;
use tower::util::BoxCloneSyncService;

use super::waiting::Waiting;

/// The call path: the one type at every seam.
pub type CallService = BoxCloneSyncService<Call, Reply, Error>;

/// Changes that are told to watchers; who misses some looks at the journal.
const CHANGES: usize = 1024;

/// A run whose journal has grown.
pub(crate) type Change = RunId;

pub(crate) struct Context {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) calls: CallService,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) observe: Arc<dyn Observe>,
    /// Who waits for the end of a run.
    pub(crate) waiting: Waiting,
    changes: broadcast::Sender<Change>,
}

impl Context {
    pub(crate) fn new(
        journal: Arc<dyn Journal>,
        calls: CallService,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        observe: Arc<dyn Observe>,
    ) -> Self {
        let changes = broadcast::channel(CHANGES).0;
        Context { journal, calls, clock, ids, observe, waiting: Waiting::default(), changes }
    }

    /// The moment of a deadline on the clock that never goes back.
    pub(crate) fn until(&self, deadline: Option<Timestamp>) -> Option<Instant> {
        let deadline = deadline?;
        self.clock.instant().checked_add(deadline.since(self.clock.now()))
    }

    /// Tells watchers that a run's journal has grown.
    pub(crate) fn tell(&self, run: RunId) {
        // Nobody watching is no failure.
        let _ = self.changes.send(run);
    }

    pub(crate) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}
