//! What can be set of rate limits.

use std::num::NonZeroU32;
use std::time::Duration;

use maof_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds::{DAY_MS, within};

/// How late a timer may be, with room to spare.
const LATE: Duration = Duration::from_millis(4);

/// How many requests an endpoint gets in time, and how they are spread over it. Every endpoint counts its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Requests in each period. Default 60; 1 to 1,000,000.
    pub requests: u32,
    /// The period, in milliseconds. Default 60,000; 1 to 86,400,000.
    pub per_ms: u64,
    /// Requests that may come at once after a pause; the others follow `per_ms / requests` apart. Default 1:
    /// they are spread evenly. 1 to `requests`.
    pub burst: u32,
    /// The longest that a call waits for its turn, in milliseconds; if it would take longer, another endpoint is
    /// asked at once. Default 5,000; at most 120,000.
    pub max_wait_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config { requests: 60, per_ms: 60_000, burst: 1, max_wait_ms: 5_000 }
    }
}

impl Config {
    /// The time between two requests that are spread evenly.
    pub(crate) fn interval(&self) -> Duration {
        (Duration::from_millis(self.per_ms) / self.requests.max(1)).max(Duration::from_nanos(1))
    }

    /// Requests that may come at once. Timers tick in milliseconds: where requests follow faster, as many as
    /// a late tick holds back may come together.
    pub(crate) fn cells(&self) -> NonZeroU32 {
        let ticks = LATE.as_nanos() / self.interval().as_nanos();
        let held_back = u32::try_from(ticks).unwrap_or(u32::MAX);
        NonZeroU32::new(self.burst.saturating_add(held_back)).unwrap_or(NonZeroU32::MIN)
    }

    pub(crate) fn max_wait(&self) -> Duration {
        Duration::from_millis(self.max_wait_ms)
    }

    /// Calls that may wait behind the head of the queue, which itself waits for up to an interval: as many as
    /// have their turn within the longest wait.
    pub(crate) fn places(&self) -> usize {
        let turns = self.max_wait().as_nanos() / self.interval().as_nanos();
        // A queue of more is longer than anybody's memory.
        usize::try_from(turns).unwrap_or(usize::MAX).clamp(1, 1_000_000) - 1
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        within("requests", self.requests, 1..=1_000_000, "must be 1 to 1,000,000")?;
        within("per_ms", self.per_ms, 1..=DAY_MS, "must be 1 to 86,400,000 milliseconds")?;
        if !(1..=self.requests).contains(&self.burst) {
            return Err(Error::invalid_request("must be 1 to `requests`").param("burst"));
        }
        within("max_wait_ms", self.max_wait_ms, 0..=120_000, "must be at most 120,000 milliseconds")
    }
}
