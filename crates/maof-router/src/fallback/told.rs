//! Tells the router how an attempt of a candidate ended, whatever happens to it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use maof_core::{Candidate, Clock, DecisionId, End, Error, Guard, Observed, Outcome, Route};

/// One candidate that is being asked. The router is told once: of the error, of the reply's end, or, if it
/// is dropped, that nobody wanted the answer.
pub(super) struct Told {
    route: Arc<dyn Route>,
    clock: Arc<dyn Clock>,
    decision: DecisionId,
    asked: Instant,
    /// How long it took until the reply began; none before.
    waited: Option<Duration>,
    /// None once the router was told.
    candidate: Option<Candidate>,
}

impl Told {
    /// The candidate is asked now.
    pub(super) fn new(
        route: &Arc<dyn Route>,
        clock: &Arc<dyn Clock>,
        decision: DecisionId,
        candidate: &Candidate,
    ) -> Self {
        route.asked(&candidate.endpoint);
        let (route, clock) = (Arc::clone(route), Arc::clone(clock));
        let asked = clock.instant();
        Told { route, clock, decision, asked, waited: None, candidate: Some(candidate.clone()) }
    }

    /// The reply has begun.
    pub(super) fn began(&mut self) {
        self.waited = Some(self.clock.instant().saturating_duration_since(self.asked));
    }

    /// There will be no reply.
    pub(super) fn failed(mut self, error: &Error) {
        self.tell(&End::of(Outcome::Failed(error.failure())));
    }

    fn tell(&mut self, end: &End) {
        let Some(candidate) = self.candidate.take() else { return };
        let waited =
            self.waited.unwrap_or_else(|| self.clock.instant().saturating_duration_since(self.asked));
        self.route.observe(Observed { decision: self.decision, candidate: &candidate, waited, end });
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
