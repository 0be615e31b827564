//! What can be set of the engine.

use maof_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the engine runs work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Runs in flight at the same time. Default 256, 1 to 100,000. What waits stays in the store.
    pub max_in_flight: u32,
    /// How long a claim holds without a heartbeat, in milliseconds. Default 30,000, at least 300. Another
    /// worker takes a dead one's runs over after it.
    pub lease_ms: u64,
    /// How often the queue is looked at when nothing was announced, in milliseconds. Default 1,000.
    pub poll_ms: u64,
    /// How often a run may be claimed before it is given up as poison. Default 100.
    pub max_claims: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config { max_in_flight: 256, lease_ms: 30_000, poll_ms: 1_000, max_claims: 100 }
    }
}

impl Config {
    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        let check = |ok: bool, field: &'static str, why: &'static str| match ok {
            true => Ok(()),
            false => Err(Error::invalid_request(why).param(field)),
        };
        check((1..=100_000).contains(&self.max_in_flight), "max_in_flight", "must be 1 to 100,000")?;
        check((300..=3_600_000).contains(&self.lease_ms), "lease_ms", "must be 300 to 3,600,000")?;
        check((1..=60_000).contains(&self.poll_ms), "poll_ms", "must be 1 to 60,000")?;
        check(self.max_claims >= 1, "max_claims", "must be at least 1")
    }
}
