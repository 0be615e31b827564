//! Sentiment by a lexicon of rated words, and rules for negation, degree, capitals and punctuation.
//!
//! VADER: C. J. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
//! Social Media Text", ICWSM 2014, by the crate `vader-sentimental`. The rated snippets of `examples/data/`
//! were gathered by the same authors, which favours this method there.

use std::sync::LazyLock;

use vader_sentimental::SentimentIntensityAnalyzer;

static ANALYZER: LazyLock<SentimentIntensityAnalyzer<'static>> =
    LazyLock::new(SentimentIntensityAnalyzer::new);

/// The compound score, from -1 (most negative) to 1; 0 when no word of the text is rated.
///
/// ```
/// use maof_local::sentiment::lexicon::compound;
/// assert!(compound("It was very good.") > compound("It was good."));
/// assert!(compound("It was not good.") < 0.0);
/// ```
pub fn compound(text: &str) -> f64 {
    // The library sums over a map of random order: the last digits differ from run to run.
    (ANALYZER.polarity_scores(text).compound * 1e4).round() / 1e4
}
