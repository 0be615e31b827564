//! How many calls may be under way, as a pure machine.
//!
//! The limit is decided anew after each cohort of calls, as the gradients of Netflix' concurrency-limits and of
//! Envoy do it (<https://github.com/Netflix/concurrency-limits>,
//! <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter>):
//!
//! ```text
//! gradient = clamp(tolerance * usual wait / wait of the cohort, 1/2, 1)
//! limit    = limit * gradient + sqrt(limit)
//! ```
//!
//! Some things are otherwise, because answers of models take from milliseconds to minutes:
//!
//! - A wait is that for a reply to begin, and a cohort's is the mean of its logarithms: a few very long answers, or
//!   some more of them than usual, do not look like a queue.
//! - A cohort is of calls that came in together, and is waited for. Who looked at the replies of a moment would see
//!   the short ones first, and those that came in under an older limit.
//! - What is usual is learnt while few calls are under way, and hardly from others, so that an overload of minutes
//!   does not become usual. Where half as many calls wait no less, there is no queue: then the wait is usual now,
//!   and the limit is what it was.
//! - Until the first sign of a queue the limit doubles, as in TCP's slow start.
//! - A limit far above what is under way is not walked down in steps, which would last until the queue is as long as the
//!   limit. Where replies are slow, calls gather, and as many leave in a second as before, it is a queue and not a slower
//!   upstream; then the limit becomes what is under way less the queue, which is counted as TCP Vegas does it
//!   (<https://doi.org/10.1109/49.464716>): those that leave within the time that is waited too long.

use std::time::{Duration, Instant};

use super::config::Config;

/// Calls without which a cohort says nothing.
const ENOUGH: u32 = 50;
/// How far what is usual moves towards a cohort's wait: that was quicker, of few calls, of many.
const QUICKER: f64 = 0.3;
const QUIET: f64 = 0.1;
const BUSY: f64 = 0.000_5;

/// Calls gather where so many more are under way when a cohort has its replies than when it came in, provided that so
/// much of what left in a second before still does. The product is above 1: while an upstream becomes slower, one or the
/// other is not so.
const GATHERING: f64 = 1.4;
const STILL: f64 = 0.9;

/// The machine.
#[derive(Debug)]
pub(super) struct Machine {
    config: Config,
    limit: f64,
    under_way: u32,
    /// How many calls have left.
    left: u64,
    cohort: Cohort,
    /// The logarithm of what is a usual wait, once known.
    usual: Option<f64>,
    /// Whether there was never a sign of a queue.
    starting: bool,
    /// How many left in a second while there was no sign of a queue: up at once, down slowly, since an upstream that was
    /// taken for a queue by accident would be refused calls that it could answer.
    calm: f64,
    /// From where the limit shrinks, until it is known whether that helps.
    fullest: Option<Fullest>,
}

/// How it was when most calls met since the limit began to shrink.
#[derive(Clone, Copy, Debug)]
struct Fullest {
    limit: f64,
    crowd: f64,
    wait: f64,
}

/// Calls that came in together.
#[derive(Debug)]
struct Cohort {
    number: u64,
    /// When its first call came in, and how many calls had left by then.
    began: Instant,
    left: u64,
    /// Whether others may still join.
    open: bool,
    calls: u32,
    /// Of those, how many have had their reply, or left without.
    done: u32,
    replies: u32,
    /// The sum of the waits' logarithms.
    sum: f64,
    /// The sum of how many calls were under way when each came in.
    crowd: u64,
}

/// What a cohort tells when it has its replies.
#[derive(Clone, Copy, Debug)]
struct Told {
    /// The logarithm of how long its calls waited, in the mean.
    wait: f64,
    /// How many others each of them met.
    crowd: f64,
    /// How many left in a second since it came in.
    leave: f64,
}

/// To which cohort a call belongs that was let in; none for calls that nobody watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(Option<u64>);

impl Cohort {
    fn new(number: u64, began: Instant) -> Self {
        Cohort { number, began, left: 0, open: true, calls: 0, done: 0, replies: 0, sum: 0.0, crowd: 0 }
    }

    /// Whether enough of it is there to decide by. The slowest tenth is not waited for.
    fn is_done(&self) -> bool {
        !self.open && u64::from(self.done) * 10 >= u64::from(self.calls) * 9
    }
}

impl Machine {
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        let limit = config.initial_calls.clamp(config.min_calls, config.max_calls).into();
        Machine {
            config: config.clone(),
            limit,
            under_way: 0,
            left: 0,
            cohort: Cohort::new(0, now),
            usual: None,
            starting: true,
            calm: 0.0,
            fullest: None,
        }
    }

    /// So many calls may be under way.
    pub(super) fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// So many are.
    pub(super) fn under_way(&self) -> u32 {
        self.under_way
    }

    /// Lets a call in, unless too many are under way; one that is exempt is counted and always let in.
    pub(super) fn enter(&mut self, exempt: bool, now: Instant) -> Option<Ticket> {
        if !exempt && self.under_way >= self.limit() {
            return None;
        }
        self.under_way += 1;
        let cohort = &mut self.cohort;
        if cohort.calls == 0 {
            (cohort.began, cohort.left) = (now, self.left);
        }
        // What is usual is learnt from the very first calls: in a storm, later ones queue.
        let long_enough = now.saturating_duration_since(cohort.began) >= self.config.window();
        cohort.open &= cohort.calls < ENOUGH || !(long_enough || self.usual.is_none());
        if !cohort.open {
            return Some(Ticket(None));
        }
        cohort.calls += 1;
        cohort.crowd += u64::from(self.under_way);
        Some(Ticket(Some(cohort.number)))
    }

    /// A call has left.
    pub(super) fn leave(&mut self) {
        self.left += 1;
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// A call has waited so long for its reply, or leaves without one. The limit, if it changes.
    pub(super) fn done(&mut self, ticket: Ticket, waited: Option<Duration>, now: Instant) -> Option<u32> {
        let cohort = &mut self.cohort;
        if ticket.0 != Some(cohort.number) {
            return None;
        }
        cohort.done += 1;
        if let Some(waited) = waited {
            cohort.replies += 1;
            cohort.sum += waited.as_secs_f64().max(1e-6).ln();
        }
        if !cohort.is_done() {
            return None;
        }
        let next = Cohort::new(cohort.number + 1, now);
        let cohort = std::mem::replace(&mut self.cohort, next);
        let before = self.limit();
        // Who only fails says nothing of queues.
        if cohort.replies * 2 >= cohort.calls {
            let took = now.saturating_duration_since(cohort.began).as_secs_f64().max(1e-6);
            self.decide(Told {
                wait: cohort.sum / f64::from(cohort.replies),
                crowd: cohort.crowd as f64 / f64::from(cohort.calls),
                leave: (self.left - cohort.left) as f64 / took,
            });
        }
        Some(self.limit()).filter(|limit| *limit != before)
    }

    /// Decides by what a cohort tells.
    fn decide(&mut self, told: Told) {
        let Told { wait, crowd, leave } = told;
        // Where there is room for twice as many, the limit is not what anybody waits for.
        let is_quiet = crowd * 2.0 < self.limit;
        let at_least = self.limit <= f64::from(self.config.min_calls);
        let usual = *self.usual.get_or_insert(wait);
        let step = match (wait < usual, is_quiet || at_least) {
            (true, _) => QUICKER,
            (false, true) => QUIET,
            (false, false) => BUSY,
        };
        let gradient = (self.config.tolerance * (usual - wait).exp()).clamp(0.5, 1.0);
        let gathering =
            gradient < 1.0 && f64::from(self.under_way) > GATHERING * crowd && leave >= STILL * self.calm;
        // A queue does not become usual.
        self.usual = Some(usual + if gathering { BUSY } else { step } * (wait - usual));
        if gradient >= 1.0 {
            self.calm = leave.max(self.calm + QUIET * (leave - self.calm));
        }
        if is_quiet && !gathering {
            return;
        }
        self.starting &= gradient >= 1.0;
        let next = match self.starting {
            true => self.limit * 2.0,
            false => self.limit * gradient + self.limit.sqrt(),
        };
        let without_queue = crowd - leave * (wait.exp() - self.config.tolerance * usual.exp());
        let next = if gathering { next.min(without_queue) } else { next };
        let next = self.if_it_helps(wait, crowd, next);
        self.limit = next.clamp(self.config.min_calls.into(), self.config.max_calls.into());
    }

    /// The next limit, or the one from before it began to shrink, if that has not made the wait shorter.
    fn if_it_helps(&mut self, wait: f64, crowd: f64, next: f64) -> f64 {
        if next >= self.limit {
            self.fullest = None;
            return next;
        }
        let now = Fullest { limit: self.limit, crowd, wait };
        let fullest = *self.fullest.get_or_insert(now);
        if crowd >= fullest.crowd {
            self.fullest = Some(now);
        }
        // In a queue, half as many wait half as long; half of that is sign enough.
        let part = crowd / fullest.crowd;
        if part > 0.5 || wait < fullest.wait + part.ln() / 2.0 {
            return next;
        }
        self.fullest = None;
        self.usual = Some(wait);
        fullest.limit
    }
}
