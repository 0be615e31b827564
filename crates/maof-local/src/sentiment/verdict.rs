//! The answer that all methods give.

use maof_core::{Error, Result};
use serde_json::{Value, json};

use super::{Bayes, Linear, lexicon, measured};

pub(crate) fn by_lexicon(text: &str) -> Result<Value> {
    verdict("lexicon", lexicon::compound(text))
}

pub(crate) fn by_bayes(text: &str) -> Result<Value> {
    verdict("bayes", Bayes::shipped()?.log_odds(text))
}

pub(crate) fn by_linear(text: &str) -> Result<Value> {
    verdict("linear", Linear::shipped()?.log_odds(text))
}

/// `confidence` is the probability of the label, `score` the leaning from -1 (negative) to 1 (positive).
fn verdict(method: &str, raw: f64) -> Result<Value> {
    let known = measured()?.get(method).ok_or_else(|| Error::internal("a method was never measured"))?;
    let positive = known.calibration.probability(raw);
    let label = if positive >= 0.5 { "positive" } else { "negative" };
    let round = |x: f64| (x * 1000.0).round() / 1000.0;
    Ok(json!({
        "label": label,
        "confidence": round(positive.max(1.0 - positive)),
        "score": round(2.0 * positive - 1.0),
    }))
}
