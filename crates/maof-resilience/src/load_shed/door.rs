//! The door as many callers share it: the machine behind a lock, and admissions that give themselves back.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use maof_core::{Clock, End, Guard};

use super::config::Config;
use super::state::{Machine, Ticket};
use crate::sync::Mutex;

/// The door to everything behind it. Clones are the same door.
#[derive(Clone)]
pub struct Door {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    machine: Mutex<Machine>,
    retry_after: Duration,
    on_limit: Box<dyn Fn(u32) + Send + Sync>,
}

impl Door {
    /// A door that nobody has come through. `on_limit` is told each new limit, in no certain order where two
    /// follow at once; it must neither block nor panic nor go through the door.
    pub fn new(
        config: &Config,
        clock: Arc<dyn Clock>,
        on_limit: impl Fn(u32) + Send + Sync + 'static,
    ) -> Self {
        let machine = Mutex::new(Machine::new(config, clock.instant()));
        let (retry_after, on_limit) = (config.retry_after(), Box::new(on_limit));
        Door { shared: Arc::new(Shared { clock, machine, retry_after, on_limit }) }
    }

    /// How many calls may be under way.
    pub fn limit(&self) -> u32 {
        self.shared.machine.lock().limit()
    }

    /// How many of the calls that may be under way are, in percent; above 100 where some were exempt.
    pub fn load_percent(&self) -> u32 {
        let machine = self.shared.machine.lock();
        machine.under_way().saturating_mul(100) / machine.limit().max(1)
    }

    /// Lets a call in; one that is exempt always.
    ///
    /// # Errors
    /// The time after which to ask again.
    pub fn enter(&self, exempt: bool) -> Result<Admission, Duration> {
        let began = self.shared.clock.instant();
        match self.shared.machine.lock().enter(exempt, began) {
            Some(ticket) => Ok(Admission { door: self.clone(), began, ticket: Some(ticket) }),
            None => Err(self.shared.retry_after),
        }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("machine", &self.shared.machine).finish_non_exhaustive()
    }
}

/// A call that was let in; it leaves when this is dropped, as a guard at its reply's end.
#[derive(Debug)]
#[must_use = "an admission that is dropped has left"]
pub struct Admission {
    door: Door,
    began: Instant,
    /// None once the reply was there.
    ticket: Option<Ticket>,
}

impl Admission {
    /// The reply is there, or the first of it.
    pub fn replied(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let now = self.door.shared.clock.instant();
            let waited = now.saturating_duration_since(self.began);
            self.change(|machine| machine.done(ticket, Some(waited), now));
        }
    }

    fn change(&self, act: impl FnOnce(&mut Machine) -> Option<u32>) {
        // A statement of its own, so that nobody is told inside the lock.
        let limit = act(&mut self.door.shared.machine.lock());
        if let Some(limit) = limit {
            (self.door.shared.on_limit)(limit);
        }
    }
}

impl Guard for Admission {
    fn end(self: Box<Self>, _: &mut End) {}
}

impl Drop for Admission {
    fn drop(&mut self) {
        // Only a call without a reply has its ticket yet.
        let unanswered = self.ticket.take().map(|ticket| (ticket, self.door.shared.clock.instant()));
        self.change(|machine| {
            machine.leave();
            let (ticket, now) = unanswered?;
            machine.done(ticket, None, now)
        });
    }
}
