//! What can be set of the semantic tier.

use maof_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a question in other words is taken for one that was answered. `{}` for the defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Semantic {
    /// How similar it must be, in percent, 20 to 100. Default 45.
    pub similarity_percent: u8,
    /// By how much the second best must be less similar, in points of percent, 0 to 50. Default 10.
    pub margin_percent: u8,
    /// Questions that are remembered for it, at most, 1 to 20,000; the oldest are forgotten. Those of one tenant, target and
    /// conversation are all compared, so a call's time grows with their number. Default 2,000.
    pub max_questions: u32,
}

impl Default for Semantic {
    fn default() -> Self {
        Semantic { similarity_percent: 45, margin_percent: 10, max_questions: 2_000 }
    }
}

impl Semantic {
    /// Checks the numbers.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        let wrong = |why: &'static str, field: &'static str| Err(Error::invalid_request(why).param(field));
        if !(20..=100).contains(&self.similarity_percent) {
            return wrong("must be 20 to 100", "similarity_percent");
        }
        if self.margin_percent > 50 {
            return wrong("must be at most 50", "margin_percent");
        }
        if !(1..=20_000).contains(&self.max_questions) {
            return wrong("must be 1 to 20,000", "max_questions");
        }
        Ok(())
    }
}
