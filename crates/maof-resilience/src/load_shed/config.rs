//! What can be set of load shedding.

use std::time::Duration;

use maof_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds::within;

/// How many calls may be under way at once. The limit follows how long replies take: it grows while they are as
/// fast as when there were few calls, and shrinks when they become slower than `tolerance` allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The limit never shrinks below this. Default 64; 1 to 1,000,000.
    pub min_calls: u32,
    /// The limit at the start. Default 1,000; it is brought within the other two.
    pub initial_calls: u32,
    /// The limit never grows above this. Default 10,000; `min_calls` to 1,000,000. With `min_calls` the same it
    /// is fixed.
    pub max_calls: u32,
    /// By what replies may be slower than while few calls were under way, before the limit shrinks. Default 1.5;
    /// 1.0 to 10.0.
    pub tolerance: f64,
    /// How long calls are gathered of which the limit is decided anew once they have their replies, in
    /// milliseconds. Default 500; 10 to 60,000.
    pub window_ms: u64,
    /// What callers that are refused are told to wait, in milliseconds. Default 1,000; 1 to 120,000.
    pub retry_after_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            min_calls: 64,
            initial_calls: 1_000,
            max_calls: 10_000,
            tolerance: 1.5,
            window_ms: 500,
            retry_after_ms: 1_000,
        }
    }
}

impl Config {
    pub(crate) fn window(&self) -> Duration {
        Duration::from_millis(self.window_ms)
    }

    pub(crate) fn retry_after(&self) -> Duration {
        Duration::from_millis(self.retry_after_ms)
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        within("min_calls", self.min_calls, 1..=1_000_000, "must be 1 to 1,000,000")?;
        if !(self.min_calls..=1_000_000).contains(&self.max_calls) {
            return Err(Error::invalid_request("must be at least `min_calls`, and at most 1,000,000")
                .param("max_calls"));
        }
        within("tolerance", self.tolerance, 1.0..=10.0, "must be 1.0 to 10.0")?;
        within("window_ms", self.window_ms, 10..=60_000, "must be 10 to 60,000 milliseconds")?;
        within("retry_after_ms", self.retry_after_ms, 1..=120_000, "must be 1 to 120,000 milliseconds")
    }
}
