//! What can be set of bulkheads.

use std::time::Duration;

use maof_core::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds::within;

/// How many requests an endpoint gets at once. Every endpoint has a bulkhead of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Requests that may be under way, a streamed one until its stream ends. Default 25; 1 to 100,000.
    pub max_concurrent: u32,
    /// Calls that may wait for one of those to end. Default 100; at most 100,000.
    pub max_queue: u32,
    /// The longest that a call waits, in milliseconds; then another endpoint is asked. Default 1,000; at most
    /// 120,000.
    pub max_wait_ms: u64,
}

impl Default for Config {
    /// Requests at once as in resilience4j (<https://resilience4j.readme.io/docs/bulkhead>).
    fn default() -> Self {
        Config { max_concurrent: 25, max_queue: 100, max_wait_ms: 1_000 }
    }
}

impl Config {
    pub(crate) fn max_wait(&self) -> Duration {
        Duration::from_millis(self.max_wait_ms)
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        within("max_concurrent", self.max_concurrent, 1..=100_000, "must be 1 to 100,000")?;
        within("max_queue", self.max_queue, 0..=100_000, "must be at most 100,000")?;
        within("max_wait_ms", self.max_wait_ms, 0..=120_000, "must be at most 120,000 milliseconds")
    }
}
