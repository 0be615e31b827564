//! What can be set of time limits.

use std::time::Duration;

use maof_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds::{DAY_MS, within};

/// How long to wait for answers. How long connecting may take, and how long an answer that has begun may be
/// silent, is for whoever reads from the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The longest wait for the reply to one attempt, in milliseconds. Default 60,000; 1 to 86,400,000.
    pub attempt_ms: u64,
    /// The longest wait for the first event of a streamed reply, in milliseconds. Default 12,000; 1 to
    /// 86,400,000. To be raised for models that think long before they say anything.
    pub first_token_ms: u64,
    /// The longest time for a whole call that brings no deadline of its own, with all retries and fallbacks,
    /// in milliseconds. Default 600,000; at least `attempt_ms`, at most 86,400,000.
    pub total_ms: u64,
}

/// How long to wait for one reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AttemptConfig {
    /// The longest wait for the reply to one attempt, in milliseconds. Default 60,000; 1 to
    /// `resilience.timeout.total_ms`.
    pub attempt_ms: u64,
    /// The longest wait for the first event of a streamed reply, in milliseconds. Default 12,000; 1 to
    /// 86,400,000.
    pub first_token_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config { attempt_ms: 60_000, first_token_ms: 12_000, total_ms: 600_000 }
    }
}

impl Default for AttemptConfig {
    fn default() -> Self {
        Config::default().each_attempt()
    }
}

impl Config {
    /// The limits of each attempt.
    pub fn each_attempt(&self) -> AttemptConfig {
        AttemptConfig { attempt_ms: self.attempt_ms, first_token_ms: self.first_token_ms }
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
        self.each_attempt().validate(DAY_MS)?;
        if !(self.attempt_ms..=DAY_MS).contains(&self.total_ms) {
            let why = "must be at least `attempt_ms`, and at most 86,400,000 milliseconds";
            return Err(Error::invalid_request(why).param("total_ms"));
        }
        Ok(())
    }
}

impl AttemptConfig {
    pub(crate) fn attempt(&self) -> Duration {
        Duration::from_millis(self.attempt_ms)
    }

    pub(crate) fn first_token(&self) -> Duration {
        Duration::from_millis(self.first_token_ms)
    }

    /// Checks the settings, for calls that take at most `total_ms` milliseconds.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self, total_ms: u64) -> Result<()> {
        let must = "must be 1 to 86,400,000 milliseconds";
        within("attempt_ms", self.attempt_ms, 1..=DAY_MS, must)?;
        within("first_token_ms", self.first_token_ms, 1..=DAY_MS, must)?;
        if self.attempt_ms > total_ms {
            let why = format!(
                "a whole call has the {total_ms} ms of `resilience.timeout.total_ms`; raise those too"
            );
            return Err(Error::invalid_request(why).param("attempt_ms"));
        }
        Ok(())
    }
}
