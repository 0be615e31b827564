//! What can be set of retries.

use std::time::Duration;

use maof_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest pause: an hour, in milliseconds.
const HOUR_MS: u64 = 3_600_000;

/// How often, and after which pauses, to ask the same endpoint again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Attempts at one endpoint in all, the first one included. Default 3; 1 (no retries) to 20.
    pub max_attempts: u32,
    /// The longest pause before the second attempt, in milliseconds. Default 250; 1 to 3,600,000. The real
    /// pause is a random part of it.
    pub initial_interval_ms: u64,
    /// Where the longest pause stops growing, in milliseconds. Default 30,000; at least
    /// `initial_interval_ms`, at most 3,600,000.
    pub max_interval_ms: u64,
    /// By what the longest pause grows with each attempt. Default 2.0; 1.0 to 10.0.
    pub multiplier: f64,
    /// The longest pause that an upstream may ask for, in milliseconds. Default 30,000; at most 3,600,000.
    /// If it asks for more, its error is passed on at once, so that another endpoint may be asked.
    pub max_wait_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_attempts: 3,
            initial_interval_ms: 250,
            max_interval_ms: 30_000,
            multiplier: 2.0,
            max_wait_ms: 30_000,
        }
    }
}

impl Config {
    pub(crate) fn initial_interval(&self) -> Duration {
        Duration::from_millis(self.initial_interval_ms)
    }

    pub(crate) fn max_interval(&self) -> Duration {
        Duration::from_millis(self.max_interval_ms)
    }

    pub(crate) fn max_wait(&self) -> Duration {
        Duration::from_millis(self.max_wait_ms)
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        let check = |ok: bool, field: &'static str, why: &'static str| match ok {
            true => Ok(()),
            false => Err(Error::invalid_request(why).param(field)),
        };
        let initial = self.initial_interval_ms;
        check((1..=20).contains(&self.max_attempts), "max_attempts", "must be 1 to 20")?;
        check(
            (1..=HOUR_MS).contains(&initial),
            "initial_interval_ms",
            "must be 1 to 3,600,000 milliseconds",
        )?;
        check(
            (initial..=HOUR_MS).contains(&self.max_interval_ms),
            "max_interval_ms",
            "must be at least `initial_interval_ms`, and at most 3,600,000 milliseconds",
        )?;
        check((1.0..=10.0).contains(&self.multiplier), "multiplier", "must be 1.0 to 10.0")?;
        check(self.max_wait_ms <= HOUR_MS, "max_wait_ms", "must be at most 3,600,000 milliseconds")
    }
}
