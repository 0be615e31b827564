//! What a join can say.

use std::collections::BTreeMap;

use maof_core::{Error, Name, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How answers are folded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "strategy", rename_all = "lowercase", deny_unknown_fields)]
pub enum Config {
    /// The answer of the first member that has one, in the order of the members.
    First {},
    /// The answer that most members gave. On a tie, the answer of the earliest member among those tied.
    Majority {
        /// The part of an answer that is voted on, as a JSON pointer such as `/label`. Default: all of it.
        #[serde(default)]
        key: String,
    },
    /// The answer with the most weight behind it. On a tie, that of the member with the most weight among
    /// those tied, then of the earliest.
    Weighted {
        /// The part of an answer that is voted on. Default: all of it.
        #[serde(default)]
        key: String,
        /// Each member's weight. A member that is not named weighs 1; one of weight 0 or less is not counted.
        #[serde(default)]
        #[schemars(with = "BTreeMap<String, f64>")]
        weights: BTreeMap<Name, f64>,
        /// Instead of weights: how often each member is right, above 0 and below 1. Its weight is then
        /// ln(p (K - 1) / (1 - p)) for K classes (Nitzan and Paroush, 1982), the best for independent voters.
        #[serde(default)]
        #[schemars(with = "BTreeMap<String, f64>")]
        accuracies: BTreeMap<Name, f64>,
        /// Instead of either: the part of an answer that says how sure it is, from 0 to 1, as a JSON pointer such
        /// as `/confidence`. Its weight is then ln(c (K - 1) / (1 - c)): log odds are pooled, so that one who
        /// knows outvotes two who guess. Calibrated confidences are needed.
        #[serde(default)]
        confidence: String,
        /// How many different answers there can be; for accuracies and confidences. Default 2.
        #[serde(default = "two")]
        classes: u32,
    },
}

fn two() -> u32 {
    2
}

impl Config {
    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        let wrong = |why: &'static str, field: String| Err(Error::invalid_request(why).param(field));
        let key = match self {
            Config::First {} => return Ok(()),
            Config::Majority { key } | Config::Weighted { key, .. } => key,
        };
        if !key.is_empty() && !key.starts_with('/') {
            return wrong("a JSON pointer begins with a slash, such as /label", "key".to_owned());
        }
        let Config::Weighted { weights, accuracies, confidence, classes, .. } = self else { return Ok(()) };
        let given = [!weights.is_empty(), !accuracies.is_empty(), !confidence.is_empty()];
        if given.into_iter().filter(|g| *g).count() != 1 {
            return wrong("give one of `weights`, `accuracies` and `confidence`", "weights".to_owned());
        }
        if !confidence.is_empty() && !confidence.starts_with('/') {
            return wrong("a JSON pointer begins with a slash, such as /confidence", "confidence".to_owned());
        }
        if let Some((name, _)) = weights.iter().find(|(_, w)| !w.is_finite()) {
            return wrong("a weight is a finite number", format!("weights.{name}"));
        }
        if !weights.is_empty() && weights.values().all(|w| *w <= 0.0) {
            return wrong("some member must have a weight above 0", "weights".to_owned());
        }
        if let Some((name, _)) = accuracies.iter().find(|(_, p)| !(**p > 0.0 && **p < 1.0)) {
            return wrong("an accuracy is above 0 and below 1", format!("accuracies.{name}"));
        }
        if *classes < 2 {
            return wrong("there are at least 2 classes", "classes".to_owned());
        }
        Ok(())
    }
}
