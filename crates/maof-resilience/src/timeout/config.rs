//! What can be set of time limits.

use std::time::Duration;

use maof_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest limit: a day, in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// How long to wait for answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The longest wait for the reply to one attempt, in milliseconds. Default 60,000; 1 to 86,400,000.
    pub attempt_ms: u64,
    /// The longest time for a whole call that brings no deadline of its own, with all retries and fallbacks,
    /// in milliseconds. Default 600,000; at least `attempt_ms`, at most 86,400,000.
    pub total_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config { attempt_ms: 60_000, total_ms: 600_000 }
    }
}

impl Config {
    /// The limit of one attempt.
    pub fn attempt(&self) -> Duration {
        Duration::from_millis(self.attempt_ms)
    }

    /// The limit of a whole call.
    pub fn total(&self) -> Duration {
        Duration::from_millis(self.total_ms)
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        if !(1..=DAY_MS).contains(&self.attempt_ms) {
            return Err(Error::invalid_request("must be 1 to 86,400,000 milliseconds").param("attempt_ms"));
        }
        if !(self.attempt_ms..=DAY_MS).contains(&self.total_ms) {
            let why = "must be at least `attempt_ms`, and at most 86,400,000 milliseconds";
            return Err(Error::invalid_request(why).param("total_ms"));
        }
        Ok(())
    }
}
