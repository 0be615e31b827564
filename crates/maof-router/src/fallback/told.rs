//! Tells the router how an attempt of a candidate ended, whatever happens to it.

use std::fmt;
use std::sync::Arc;

use maof_core::{Candidate, DecisionId, End, Error, Guard, Outcome, Route};

/// One candidate that is being asked. The router is told once: of the error, of the reply's end, or, if it
/// is dropped, that nobody wanted the answer.
pub(super) struct Told {
    route: Arc<dyn Route>,
    decision: DecisionId,
    /// None once the router was told.
    candidate: Option<Candidate>,
}

impl Told {
    pub(super) fn new(route: &Arc<dyn Route>, decision: DecisionId, candidate: &Candidate) -> Self {
        Told { route: Arc::clone(route), decision, candidate: Some(candidate.clone()) }
    }

    /// There will be no reply.
    pub(super) fn failed(mut self, error: &Error) {
        self.tell(&End::of(Outcome::Failed(error.failure())));
    }

    fn tell(&mut self, end: &End) {
        if let Some(candidate) = self.candidate.take() {
            self.route.observe(self.decision, &candidate.endpoint, end);
        }
    }
}

impl Guard for Told {
    fn end(mut self: Box<Self>, end: &mut End) {
        self.tell(end);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.tell(&End::of(Outcome::Dropped));
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").field("candidate", &self.candidate).finish_non_exhaustive()
    }
}
