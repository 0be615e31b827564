//! The breaker as a pure machine: who may pass, and what follows from how it went.

use std::time::{Duration, Instant};

use maof_core::CircuitState;

use super::config::Config;
use super::window::Window;

/// What those are told who come while all probes are under way: nobody knows how long a probe takes, and
/// to ask again after this is no hammering.
const WHILE_PROBING: Duration = Duration::from_secs(1);

/// The machine.
#[derive(Debug)]
pub(super) struct Machine {
    config: Config,
    phase: Phase,
    /// The calls of late; none where their shares do not matter.
    window: Option<Window>,
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
    began: Instant,
    /// When its reply came, if it did.
    replied: Option<Instant>,
}

impl Ticket {
    /// The reply is there, though a streamed one may yet fail.
    pub(super) fn replied(&mut self, now: Instant) {
        self.replied = Some(now);
    }

    fn waited(&self, now: Instant) -> Duration {
        self.replied.unwrap_or(now).saturating_duration_since(self.began)
    }
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
        let window = config.rate.as_ref().map(|rate| Window::new(rate.window()));
        Machine { config: config.clone(), phase: Phase::Closed { failures: 0 }, window, generation: 0 }
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
        Ok(Ticket { generation: self.generation, began: now, replied: None })
    }

    /// Learns how an admitted call went.
    pub(super) fn resolve(&mut self, ticket: Ticket, judgement: Judgement, now: Instant) {
        if ticket.generation != self.generation {
            return;
        }
        let is_slow = self.config.rate.as_ref().is_some_and(|rate| ticket.waited(now) > rate.slow());
        match (&mut self.phase, judgement) {
            (Phase::Closed { failures }, Judgement::Success | Judgement::Failure) => {
                let failed = judgement == Judgement::Failure;
                *failures = if failed { *failures + 1 } else { 0 };
                let in_a_row = failed && *failures == self.config.failure_threshold;
                if self.is_too_much(failed, is_slow, now) || in_a_row {
                    self.enter(Phase::Open { since: now });
                }
            }
            (Phase::HalfOpen { probes, successes }, Judgement::Success) if !is_slow => {
                *probes -= 1;
                *successes += 1;
                if *successes >= self.config.success_threshold {
                    self.enter(Phase::Closed { failures: 0 });
                }
            }
            // A slow probe too: it would be opened again by what it was opened for.
            (Phase::HalfOpen { .. }, Judgement::Success | Judgement::Failure) => {
                self.enter(Phase::Open { since: now });
            }
            (Phase::HalfOpen { probes, .. }, Judgement::Neutral) => *probes -= 1,
            // Nobody is admitted while it is open, so that no ticket is of an open phase.
            (Phase::Closed { .. }, Judgement::Neutral) | (Phase::Open { .. }, _) => {}
        }
    }

    /// Counts a call, and says whether the share of failed or of slow ones is too large.
    fn is_too_much(&mut self, failed: bool, is_slow: bool, now: Instant) -> bool {
        let (Some(rate), Some(window)) = (&self.config.rate, &mut self.window) else { return false };
        let seen = window.add(failed, is_slow, now);
        let reaches =
            |part: u32, percent: u32| u64::from(part) * 100 >= u64::from(percent) * u64::from(seen.calls);
        seen.calls >= rate.minimum_calls
            && (reaches(seen.failed, rate.failure_percent) || reaches(seen.slow, rate.slow_percent))
    }

    fn enter(&mut self, phase: Phase) {
        // What it was opened for is past when it closes.
        self.window.iter_mut().for_each(Window::clear);
        self.phase = phase;
        self.generation += 1;
    }
}
