//! What can be set of hedging.

use std::time::Duration;

use maof_core::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds::{DAY_MS, within};

/// When to ask a second endpoint beside one whose stream does not begin. Whole replies are never hedged: most that
/// take long are long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Hedges for every hundred calls. Default 5; 1 to 50.
    pub percent: u32,
    /// An endpoint is slow that has said nothing for longer than this share of its streams took to begin of late,
    /// in percent. Default 95; 50 to 100.
    pub percentile: u32,
    /// The least time that an endpoint is waited for, in milliseconds. Default 50; 1 to 86,400,000.
    pub least_ms: u64,
    /// Streams of an endpoint that must have begun before it can be called slow. Default 20; 1 to 1,000.
    pub minimum_calls: u32,
    /// The share of the calls that may be under way above which there are no hedges, in percent. Default 70; 1 to
    /// 100. Needs `load_shed`.
    pub max_load_percent: u32,
    /// How long an endpoint that said it has too many requests is neither hedged nor asked as a hedge, in
    /// milliseconds. Default 10,000; at most 86,400,000.
    pub limited_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            percent: 5,
            percentile: 95,
            least_ms: 50,
            minimum_calls: 20,
            max_load_percent: 70,
            limited_ms: 10_000,
        }
    }
}

impl Config {
    pub(crate) fn least(&self) -> Duration {
        Duration::from_millis(self.least_ms)
    }

    pub(crate) fn limited(&self) -> Duration {
        Duration::from_millis(self.limited_ms)
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        within("percent", self.percent, 1..=50, "must be 1 to 50 percent")?;
        within("percentile", self.percentile, 50..=100, "must be 50 to 100 percent")?;
        within("least_ms", self.least_ms, 1..=DAY_MS, "must be 1 to 86,400,000 milliseconds")?;
        within("minimum_calls", self.minimum_calls, 1..=1_000, "must be 1 to 1,000")?;
        within("max_load_percent", self.max_load_percent, 1..=100, "must be 1 to 100 percent")?;
        within("limited_ms", self.limited_ms, 0..=DAY_MS, "must be at most 86,400,000 milliseconds")
    }
}
