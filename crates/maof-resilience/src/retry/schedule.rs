//! Plain exponential intervals. The only file that knows the `backoff` crate; ADR 3 says how to leave it.

use std::time::Duration;

use backoff::backoff::Backoff as _;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};

use super::config::Config;

/// The intervals of one request: the first, then each `multiplier` times the one before, up to a limit.
#[derive(Debug)]
pub(super) struct Schedule {
    intervals: ExponentialBackoff,
    limit: Duration,
}

impl Schedule {
    pub(super) fn new(config: &Config) -> Self {
        let intervals = ExponentialBackoffBuilder::new()
            .with_initial_interval(config.initial_interval())
            .with_max_interval(config.max_interval())
            .with_multiplier(config.multiplier)
            // Jitter comes from our own random port, so that tests own it.
            .with_randomization_factor(0.0)
            // What ends the retries is their number and the deadline.
            .with_max_elapsed_time(None)
            .build();
        Schedule { intervals, limit: config.max_interval() }
    }

    /// The next interval.
    pub(super) fn next(&mut self) -> Duration {
        // Without an elapsed limit there is always a next one.
        self.intervals.next_backoff().unwrap_or(self.limit).min(self.limit)
    }
}
