//! What every run of an engine needs.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use maof_core::{Call, Clock, Error, Ids, Journal, Observe, Reply, RunId, Timestamp};
use tokio::sync::broadcast;
use tower::util::BoxCloneSyncService;

/// The call path: the one type at every seam.
pub type CallService = BoxCloneSyncService<Call, Reply, Error>;

/// Changes that are told to watchers; who misses some looks at the journal.
const CHANGES: usize = 1024;

/// A run's journal has grown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) run: RunId,
    pub(crate) ended: bool,
}

pub(crate) struct Context {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) calls: CallService,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) observe: Arc<dyn Observe>,
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
        Context { journal, calls, clock, ids, observe, changes: broadcast::channel(CHANGES).0 }
    }

    /// The moment of a deadline on the clock that never goes back.
    pub(crate) fn until(&self, deadline: Option<Timestamp>) -> Option<Instant> {
        let deadline = deadline?;
        self.clock.instant().checked_add(deadline.since(self.clock.now()))
    }

    /// Tells watchers that a run's journal has grown, and whether it has ended.
    pub(crate) fn tell(&self, run: RunId, ended: bool) {
        // Nobody watching is no failure.
        let _ = self.changes.send(Change { run, ended });
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
