//! What can be set of single flights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which calls that are under way at the same time are made once. Only calls of one tenant, to one target and
/// for a whole reply are ever the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether calls with identical bodies are the same where their answer is: embeddings, counts of tokens, and
    /// conversations with a `temperature` of 0. Default true. Calls under one effect key always are.
    pub identical_bodies: bool,
    /// Calls that may wait for one; further ones are made by themselves. Default 1,000; 0 for none.
    pub max_waiting: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config { identical_bodies: true, max_waiting: 1_000 }
    }
}
