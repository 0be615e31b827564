//! What can be set of the cache.

use maof_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::semantic::Semantic;

/// Which answers are given again, and for how long. Only to calls of one tenant, tier and grant, for one target, that say
/// the same in one dialect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which calls are answered from the cache. Default `deterministic`.
    pub when: When,
    /// Seconds for which an answer is given again, counted from when it was asked for; 1 to 31,536,000 (a year).
    /// Default 3,600.
    pub ttl_seconds: u64,
    /// Bytes that all kept answers take, about; at least 65,536. What is asked for least is let go first. Default
    /// 67,108,864 (64 MiB).
    pub max_bytes: u64,
    /// Bytes that one kept answer may take, about; at most a tenth of `max_bytes`. Default 1,048,576 (1 MiB).
    pub max_answer_bytes: u64,
    /// Whether a question in other words than one that was answered is given its answer too. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semantic: Option<Semantic>,
}

/// Which calls are answered from the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Embeddings, counts of tokens, conversations with a `temperature` of 0, and those whose caller says `Cache-Control:
    /// max-age`.
    #[default]
    Deterministic,
    /// Every conversation too, whatever its temperature.
    Always,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            when: When::Deterministic,
            ttl_seconds: 3_600,
            max_bytes: 64 << 20,
            max_answer_bytes: 1 << 20,
            semantic: None,
        }
    }
}

impl Config {
    /// Checks the numbers.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        if !(1..=31_536_000).contains(&self.ttl_seconds) {
            return Err(Error::invalid_request("must be 1 to 31,536,000 seconds").param("ttl_seconds"));
        }
        if self.max_bytes < 64 << 10 {
            return Err(Error::invalid_request("must be at least 65,536 bytes").param("max_bytes"));
        }
        if self.max_answer_bytes == 0 || self.max_answer_bytes > self.max_bytes / 10 {
            let why = "must be 1 to a tenth of `max_bytes`";
            return Err(Error::invalid_request(why).param("max_answer_bytes"));
        }
        self.semantic.as_ref().map_or(Ok(()), Semantic::validate).map_err(|e| {
            let field = format!("semantic.{}", e.field().unwrap_or_default());
            e.param(field)
        })
    }
}
