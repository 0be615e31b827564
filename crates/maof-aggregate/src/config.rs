//! What a join can say.

use std::collections::BTreeMap;

use maof_core::{Error, Name, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::vote::HEAVIEST;

/// How answers are folded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "strategy", rename_all = "lowercase", deny_unknown_fields)]
pub enum Config {
    /// The answer of the first member that has one, in the order of the members.
    First {
        /// The part that an answer must have and that agreement is about, as a JSON pointer such as `/label`.
        /// Default: all of it.
        #[serde(default)]
        key: String,
    },
    /// The answer that most members gave. On a tie, the one whose members have the highest priors together,
    /// then that of the earliest member (in their order, not that of arrival). The member with the highest
    /// prior, or the earliest, speaks for those who agree.
    Majority {
        /// The part of an answer that is voted on, as a JSON pointer such as `/label`. Default: all of it.
        #[serde(default)]
        key: String,
        /// What each member's word is worth where it comes to a tie, 0 or more. Default: nothing.
        #[serde(default)]
        #[schemars(with = "BTreeMap<String, f64>")]
        priors: BTreeMap<Name, f64>,
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
        match self {
            Config::First { key } => pointer("key", key),
            Config::Majority { key, priors } => {
                pointer("key", key)?;
                each("priors", priors, |w| (0.0..=HEAVIEST).contains(&w), "a prior is 0 to 1,000,000,000")
            }
            Config::Weighted { key, weights, accuracies, confidence, classes } => {
                pointer("key", key)?;
                pointer("confidence", confidence)?;
                let given = [!weights.is_empty(), !accuracies.is_empty(), !confidence.is_empty()];
                if given.into_iter().filter(|g| *g).count() != 1 {
                    return wrong(
                        "give one of `weights`, `accuracies` and `confidence`",
                        "weights".to_owned(),
                    );
                }
                each("weights", weights, |w| w.abs() <= HEAVIEST, "a weight is at most 1,000,000,000")?;
                if !weights.is_empty() && weights.values().all(|w| *w <= 0.0) {
                    return wrong("some member must have a weight above 0", "weights".to_owned());
                }
                let share = |p: f64| p > 0.0 && p < 1.0;
                each("accuracies", accuracies, share, "an accuracy is above 0 and below 1")?;
                match classes {
                    0 | 1 => wrong("there are at least 2 classes", "classes".to_owned()),
                    _ => Ok(()),
                }
            }
        }
    }
}

fn wrong(why: &'static str, field: String) -> Result<()> {
    Err(Error::invalid_request(why).param(field))
}

fn pointer(field: &'static str, said: &str) -> Result<()> {
    match said.is_empty() || said.starts_with('/') {
        true => Ok(()),
        false => wrong("a JSON pointer begins with a slash, such as /label", field.to_owned()),
    }
}

/// Checks each member's number; one that is not a number passes no check.
fn each(
    field: &'static str,
    numbers: &BTreeMap<Name, f64>,
    right: impl Fn(f64) -> bool,
    why: &'static str,
) -> Result<()> {
    match numbers.iter().find(|(_, number)| !right(**number)) {
        Some((name, _)) => wrong(why, format!("{field}.{name}")),
        None => Ok(()),
    }
}
