//! What can be set of circuit breakers.

use std::time::Duration;

use maof_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When to rest an endpoint that keeps failing. Every endpoint has a breaker of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Failures in a row that open the breaker. Default 5; 1 to 1,000,000.
    pub failure_threshold: u32,
    /// How long an open breaker refuses calls before it lets probes pass, in milliseconds. Default 60,000;
    /// 1 to 86,400,000.
    pub open_ms: u64,
    /// Successful probes that close the breaker. Default 3; 1 to 1,000,000.
    pub success_threshold: u32,
    /// Probes that may be under way at the same time. Default 3; 1 to 1,000,000.
    pub half_open_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config { failure_threshold: 5, open_ms: 60_000, success_threshold: 3, half_open_max: 3 }
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
        let counts = [
            ("failure_threshold", self.failure_threshold),
            ("success_threshold", self.success_threshold),
            ("half_open_max", self.half_open_max),
        ];
        for (field, count) in counts {
            if !(1..=1_000_000).contains(&count) {
                return Err(Error::invalid_request("must be 1 to 1,000,000").param(field));
            }
        }
        if !(1..=86_400_000).contains(&self.open_ms) {
            return Err(Error::invalid_request("must be 1 to 86,400,000 milliseconds").param("open_ms"));
        }
        Ok(())
    }
}
