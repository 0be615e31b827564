//! What the training program measured: each method's calibration and how often it was right.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use maof_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::Calibration;

/// What the training program measured, as committed in `models/measured.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The version of this record: 1.
    pub version: u32,
    /// Examples in the training part, of every genre.
    pub trained_on: usize,
    /// Examples of news among them, on which accuracies and calibrations were cross-validated.
    pub validated_on: usize,
    /// Examples of news in the held-out part.
    pub held_out: usize,
    /// By the name of the method.
    pub methods: BTreeMap<String, Method>,
    /// Votes of all three, by name: `majority`, `weighted` (by the log odds of the accuracies), `pooled` (the
    /// sign of the sum of the log odds that the methods gave for each text) and, to compare,
    /// `always_negative`.
    pub votes: BTreeMap<String, Vote>,
}

/// What is known of one method.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// Share of the news of the training part that it got right in five-fold cross-validation by article: the
    /// number to weigh its vote by.
    pub accuracy: f64,
    /// Share of the held-out part that it got right: to report, not to choose by.
    pub held_out: f64,
    /// From its raw score to a probability.
    pub calibration: Calibration,
}

/// How often a vote is right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// In cross-validation, as [`Method::accuracy`].
    pub accuracy: f64,
    /// On the held-out part.
    pub held_out: f64,
}

impl Measured {
    /// What is known of the method called `name`: `lexicon`, `bayes` or `linear`.
    pub fn get(&self, name: &str) -> Option<&Method> {
        self.methods.get(name)
    }
}

/// What was measured of the committed models.
///
/// ```
/// let measured = maof_local::sentiment::measured()?;
/// assert!(measured.get("bayes").is_some_and(|m| m.accuracy > 0.65));
/// # Ok::<(), maof_core::Error>(())
/// ```
///
/// # Errors
/// `internal` when the committed record cannot be read.
pub fn measured() -> Result<&'static Measured> {
    static MEASURED: OnceLock<Measured> = OnceLock::new();
    if let Some(measured) = MEASURED.get() {
        return Ok(measured);
    }
    let read: Measured = serde_json::from_str(include_str!("../../models/measured.json"))
        .map_err(|e| Error::internal("models/measured.json cannot be read; train again").because(e))?;
    Ok(MEASURED.get_or_init(|| read))
}
