//! The breaker as a pure machine: who may pass, and what follows from how it went.

use std::time::{Duration, Instant};

use maof_core::CircuitState;

use super::config::Config;

/// What those are told who come while all probes are under way: nobody knows how long a probe takes, and
/// to ask again after this is no hammering.
const WHILE_PROBING: Duration = Duration::from_secs(1);

/// The machine.
#[derive(Debug)]
pub(super) struct Machine {
    config: Config,
    phase: Phase,
    /// Counts the changes of phase. A call that was admitted in an earlier phase says nothing of this one.
    generation: u64,
}

#[derive(Debug)]
enum Phase {
    /// How many calls failed since the last success.
    Closed { failures: u32 },
    /// When it opened.
    Open { since: Instant },
    /// Probes under way, and those that succeeded.
    HalfOpen { probes: u32, successes: u32 },
}

/// What an admitted call must be resolved with, once.
#[derive(Debug)]
pub(super) struct Ticket {
    generation: u64,
}

/// How an admitted call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// The endpoint is well.
    Success,
    /// The endpoint failed.
    Failure,
    /// The call says nothing about the endpoint.
    Neutral,
}

impl Machine {
    /// A closed breaker.
    pub(super) fn new(config: &Config) -> Self {
        Machine { config: config.clone(), phase: Phase::Closed { failures: 0 }, generation: 0 }
    }

    /// The state. An open breaker stays so until somebody asks to pass after its rest.
    pub(super) fn state(&self) -> CircuitState {
        match self.phase {
            Phase::Closed { .. } => CircuitState::Closed,
            Phase::Open { .. } => CircuitState::Open,
            Phase::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    /// Lets a call pass, or says after which time to ask again.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Ticket, Duration> {
        if let Phase::Open { since } = self.phase {
            let rest = self.config.open().saturating_sub(now.saturating_duration_since(since));
            if !rest.is_zero() {
                return Err(rest);
            }
            self.enter(Phase::HalfOpen { probes: 0, successes: 0 });
        }
        if let Phase::HalfOpen { probes, .. } = &mut self.phase {
            if *probes >= self.config.half_open_max {
                return Err(WHILE_PROBING);
            }
            *probes += 1;
        }
        Ok(Ticket { generation: self.generation })
    }

    /// Learns how an admitted call went.
    pub(super) fn resolve(&mut self, ticket: Ticket, judgement: Judgement, now: Instant) {
        if ticket.generation != self.generation {
            return;
        }
        match (&mut self.phase, judgement) {
            (Phase::Closed { failures }, Judgement::Success) => *failures = 0,
            (Phase::Closed { failures }, Judgement::Failure) => {
                *failures += 1;
                if *failures >= self.config.failure_threshold {
                    self.enter(Phase::Open { since: now });
                }
            }
            (Phase::HalfOpen { probes, successes }, Judgement::Success) => {
                *probes -= 1;
                *successes += 1;
                if *successes >= self.config.success_threshold {
                    self.enter(Phase::Closed { failures: 0 });
                }
            }
            (Phase::HalfOpen { .. }, Judgement::Failure) => self.enter(Phase::Open { since: now }),
            (Phase::HalfOpen { probes, .. }, Judgement::Neutral) => *probes -= 1,
            // Nobody is admitted while it is open, so that no ticket is of an open phase.
            (Phase::Closed { .. }, Judgement::Neutral) | (Phase::Open { .. }, _) => {}
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
    }
}
