//! Sentiment by a lexicon of rated words and rules for negation, degree, capitals and punctuation.
//!
//! VADER: C. J. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
//! Social Media Text", ICWSM 2014. The rated snippets of `examples/data/` were gathered by the same authors,
//! which favours this method there.

use std::sync::LazyLock;

use maof_core::Result;
use serde_json::Value;
use vader_sentimental::SentimentIntensityAnalyzer;

use super::verdict;

static ANALYZER: LazyLock<SentimentIntensityAnalyzer<'static>> =
    LazyLock::new(SentimentIntensityAnalyzer::new);

/// Positive or negative; a text without any rated word leans to neither and is called positive.
///
/// # Errors
/// None; the signature is that of every agent.
pub fn answer(text: &str) -> Result<Value> {
    // The compound score is in -1..1.
    Ok(verdict((ANALYZER.polarity_scores(text).compound + 1.0) / 2.0))
}
