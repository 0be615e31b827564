//! The breaker as many callers share it: the machine behind a lock, and permits that resolve themselves.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use maof_core::{CircuitState, Classify as _, Clock, End, Error, Guard, Outcome};

use super::config::Config;
use super::state::{Judgement, Machine, Ticket};
use crate::sync::Mutex;

/// One endpoint's breaker. Clones are the same breaker.
#[derive(Clone)]
pub struct Breaker {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    /// Whether it matters how long a call waits for its reply.
    timed: bool,
    inner: Mutex<Inner>,
    /// Held while changes are told, so that they are told in the order in which they happened.
    telling: Mutex<()>,
    on_change: Box<dyn Fn(CircuitState) + Send + Sync>,
}

struct Inner {
    machine: Machine,
    /// Changes that nobody was told yet.
    changes: VecDeque<CircuitState>,
}

impl Breaker {
    /// A closed breaker. `on_change` is told every new state, each once and in order, outside the breaker's
    /// lock; it must neither block nor panic nor call through the breaker.
    pub fn new(
        config: &Config,
        clock: Arc<dyn Clock>,
        on_change: impl Fn(CircuitState) + Send + Sync + 'static,
    ) -> Self {
        let inner = Inner { machine: Machine::new(config), changes: VecDeque::new() };
        let (inner, telling, on_change) = (Mutex::new(inner), Mutex::new(()), Box::new(on_change));
        let timed = config.rate.is_some();
        Breaker { shared: Arc::new(Shared { clock, timed, inner, telling, on_change }) }
    }

    /// The state. An open breaker stays so until somebody asks to pass after its rest.
    pub fn state(&self) -> CircuitState {
        self.shared.inner.lock().machine.state()
    }

    /// Lets a call pass.
    ///
    /// # Errors
    /// The time after which to ask again, when the breaker is open or its probes are all under way.
    pub fn admit(&self) -> Result<Permit, Duration> {
        let now = self.shared.clock.instant();
        let ticket = self.change(|machine| machine.admit(now))?;
        Ok(Permit { breaker: self.clone(), ticket: Some(ticket) })
    }

    fn resolve(&self, ticket: Ticket, judgement: Judgement) {
        let now = self.shared.clock.instant();
        self.change(|machine| machine.resolve(ticket, judgement, now));
    }

    /// Does something to the machine, and tells if it changed its state.
    fn change<T>(&self, act: impl FnOnce(&mut Machine) -> T) -> T {
        let mut inner = self.shared.inner.lock();
        let before = inner.machine.state();
        let result = act(&mut inner.machine);
        let after = inner.machine.state();
        if before != after {
            inner.changes.push_back(after);
            drop(inner);
            self.tell();
        }
        result
    }

    fn tell(&self) {
        let _in_order = self.shared.telling.lock();
        loop {
            // A statement of its own, so that the lock is let go before anybody is told.
            let change = self.shared.inner.lock().changes.pop_front();
            let Some(state) = change else { return };
            (self.shared.on_change)(state);
        }
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// The right to make one call. It is resolved once: by [`Permit::success`], by [`Permit::failure`], by the
/// end of the reply that it guards; or it is dropped, says nothing of the endpoint, and gives a probe back.
#[derive(Debug)]
#[must_use = "a permit that is dropped says nothing of the endpoint"]
pub struct Permit {
    breaker: Breaker,
    /// None once it is resolved.
    ticket: Option<Ticket>,
}

impl Permit {
    /// The endpoint answered well.
    pub fn success(mut self) {
        self.resolve(Judgement::Success);
    }

    /// The endpoint failed.
    pub fn failure(mut self) {
        self.resolve(Judgement::Failure);
    }

    /// The reply is there; how it ends is told by its end.
    pub(super) fn replied(&mut self) {
        let shared = &self.breaker.shared;
        if let Some(ticket) = self.ticket.as_mut().filter(|_| shared.timed) {
            ticket.replied(shared.clock.instant());
        }
    }

    fn resolve(&mut self, judgement: Judgement) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.resolve(ticket, judgement);
        }
    }
}

impl Guard for Permit {
    fn end(mut self: Box<Self>, end: &mut End) {
        let judgement = match &end.outcome {
            Outcome::Complete => Judgement::Success,
            Outcome::Failed(failure) if Error::from(failure.clone()).is_fault() => Judgement::Failure,
            Outcome::Failed(_) | Outcome::Dropped => Judgement::Neutral,
        };
        self.resolve(judgement);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.resolve(Judgement::Neutral);
    }
}
