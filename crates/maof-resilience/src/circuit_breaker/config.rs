//! What can be set of circuit breakers.

use std::time::Duration;

use maof_core::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds::{DAY_MS, within};

/// When to rest an endpoint that keeps failing. Every endpoint has a breaker of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Failures in a row that open the breaker. Default 5; 1 to 1,000,000, or 0 for none where `rate` is set.
    pub failure_threshold: u32,
    /// How long an open breaker refuses calls before it lets probes pass, in milliseconds. Default 60,000;
    /// 1 to 86,400,000.
    pub open_ms: u64,
    /// Successful probes that close the breaker. Default 3; 1 to 1,000,000.
    pub success_threshold: u32,
    /// Probes that may be under way at the same time. Default 3; 1 to 1,000,000.
    pub half_open_max: u32,
    /// Shares of calls that open the breaker, beside failures in a row. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

/// Shares of the calls within a sliding window that open a breaker. The words and, but for the window, the
/// defaults are those of resilience4j (<https://resilience4j.readme.io/docs/circuitbreaker>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rate {
    /// How long a call counts after it ended, in milliseconds. Default 60,000; 10 to 86,400,000.
    pub window_ms: u64,
    /// Calls that the window must have before their shares mean anything. Default 100; 1 to 1,000,000.
    pub minimum_calls: u32,
    /// Of the window's calls, the share of failed ones that opens the breaker, in percent. Default 50; 1 to 100.
    pub failure_percent: u32,
    /// Of the window's calls, the share of slow ones that opens the breaker, in percent. Default 100; 1 to 100.
    pub slow_percent: u32,
    /// A call is slow whose reply, or whose stream's first event, takes longer than this, in milliseconds.
    /// Default 60,000; 1 to 86,400,000.
    pub slow_ms: u64,
}

impl Default for Rate {
    fn default() -> Self {
        Rate {
            window_ms: 60_000,
            minimum_calls: 100,
            failure_percent: 50,
            slow_percent: 100,
            slow_ms: 60_000,
        }
    }
}

impl Rate {
    pub(crate) fn window(&self) -> Duration {
        Duration::from_millis(self.window_ms)
    }

    pub(crate) fn slow(&self) -> Duration {
        Duration::from_millis(self.slow_ms)
    }

    fn validate(&self) -> Result<()> {
        within("rate.window_ms", self.window_ms, 10..=DAY_MS, "must be 10 to 86,400,000 milliseconds")?;
        within("rate.minimum_calls", self.minimum_calls, 1..=1_000_000, "must be 1 to 1,000,000")?;
        within("rate.failure_percent", self.failure_percent, 1..=100, "must be 1 to 100 percent")?;
        within("rate.slow_percent", self.slow_percent, 1..=100, "must be 1 to 100 percent")?;
        within("rate.slow_ms", self.slow_ms, 1..=DAY_MS, "must be 1 to 86,400,000 milliseconds")
    }
}

impl Default for Config {
    fn default() -> Self {
        Config { failure_threshold: 5, open_ms: 60_000, success_threshold: 3, half_open_max: 3, rate: None }
    }
}

impl Config {
    pub(crate) fn open(&self) -> Duration {
        Duration::from_millis(self.open_ms)
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        let count = "must be 1 to 1,000,000";
        let least = u32::from(self.rate.is_none());
        within("failure_threshold", self.failure_threshold, least..=1_000_000, count)?;
        within("success_threshold", self.success_threshold, 1..=1_000_000, count)?;
        within("half_open_max", self.half_open_max, 1..=1_000_000, count)?;
        within("open_ms", self.open_ms, 1..=DAY_MS, "must be 1 to 86,400,000 milliseconds")?;
        self.rate.as_ref().map_or(Ok(()), Rate::validate)
    }
}
