//! Waiting for the end of a run. Whoever ends it here hands it over, so that nobody has to read it back.

use std::collections::HashMap;

use maof_core::{Run, RunId};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Who waits for which run. Only those who wait now take room.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<HashMap<RunId, Vec<oneshot::Sender<Run>>>>);

impl Waiting {
    /// Waits from now on. The answer is the run as it ended, or nothing when it is time to look for oneself.
    pub(super) fn join(&self, run: RunId) -> Seat<'_> {
        let (tell, told) = oneshot::channel();
        self.0.lock().entry(run).or_default().push(tell);
        Seat { waiting: self, run, told }
    }

    /// Whether somebody waits for this run.
    pub(crate) fn anybody(&self, run: RunId) -> bool {
        self.0.lock().contains_key(&run)
    }

    /// Hands an ended run to all who wait for it.
    pub(crate) fn hand_over(&self, run: &Run) {
        let waiting = self.0.lock().remove(&run.id);
        for tell in waiting.into_iter().flatten() {
            // Who no longer waits does not mind.
            let _ = tell.send(run.clone());
        }
    }

    /// Lets all who wait for this run look at the journal: it is out of our hands.
    pub(crate) fn look(&self, run: RunId) {
        drop(self.0.lock().remove(&run));
    }
}

/// The place of one who waits; given back however the waiting ends.
pub(super) struct Seat<'a> {
    waiting: &'a Waiting,
    run: RunId,
    pub(super) told: oneshot::Receiver<Run>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.told.close();
        let mut waiting = self.waiting.0.lock();
        if let Some(seats) = waiting.get_mut(&self.run) {
            seats.retain(|seat| !seat.is_closed());
            if seats.is_empty() {
                waiting.remove(&self.run);
            }
        }
    }
}
