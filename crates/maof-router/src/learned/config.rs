//! What can be set of learning.

use maof_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a model is trained. The defaults were chosen by cross-validation on one half of the public data that
/// docs/routing.md names; nothing near them is clearly better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Passes over the outcomes. Default 20; 1 to 1000.
    pub epochs: u32,
    /// The length of a step. Default 0.02; above 0, at most 1.
    pub rate: f32,
    /// The pull of each weight towards zero at a step. Default 0.001; 0 to 1.
    pub decay: f32,
    /// Parts of the outcomes that are held out in turn to calibrate on. Default 5; 2 to 20.
    pub folds: u32,
    /// Tokens of an answer, to price an arm of which no answer was recorded. Default 256; 1 to 1,000,000.
    pub output_tokens: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { epochs: 20, rate: 0.02, decay: 1e-3, folds: 5, output_tokens: 256 }
    }
}

impl Config {
    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        let rules = [
            ("epochs", (1..=1000).contains(&self.epochs), "must be 1 to 1000"),
            ("rate", self.rate > 0.0 && self.rate <= 1.0, "must be above 0 and at most 1"),
            ("decay", (0.0..=1.0).contains(&self.decay), "must be 0 to 1"),
            ("folds", (2..=20).contains(&self.folds), "must be 2 to 20"),
            ("output_tokens", (1..=1_000_000).contains(&self.output_tokens), "must be 1 to 1,000,000"),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            None => Ok(()),
            Some((field, _, rule)) => Err(Error::invalid_request(format!("`{field}` {rule}")).param(field)),
        }
    }
}
