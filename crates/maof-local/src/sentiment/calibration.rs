//! From a method's raw score to a probability that means the same for every method.
//!
//! J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999: a logistic function of the score,
//! fitted to scores of texts that the method was not trained on.

use serde::{Deserialize, Serialize};

/// Rounds of Newton's method; with two unknowns a handful is enough.
const ROUNDS: usize = 25;

/// A logistic function of a raw score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// What one point of the raw score adds to the log odds.
    pub slope: f64,
    /// The log odds at a raw score of 0.
    pub offset: f64,
}

impl Calibration {
    /// The function under which these scores, with whether each text was positive, are likeliest; its
    /// numbers are rounded to four decimals. Without scores, the even chance.
    ///
    /// ```
    /// use maof_local::sentiment::Calibration;
    /// let fitted = Calibration::fit(&[(-2.0, false), (-1.0, true), (1.0, false), (2.0, true)]);
    /// assert!(fitted.probability(2.0) > 0.5 && fitted.probability(-2.0) < 0.5);
    /// ```
    pub fn fit(scores: &[(f64, bool)]) -> Calibration {
        let (mut slope, mut offset) = (0.0, 0.0);
        for _ in 0..ROUNDS {
            // The slight pull towards zero keeps the answer finite where a score separates the classes.
            let (mut by_slope, mut by_offset) = (1e-3 * slope, 1e-3 * offset);
            let (mut ss, mut so, mut oo) = (1e-3, 0.0, 1e-3);
            for (score, positive) in scores {
                let p = logistic(slope * score + offset);
                let error = p - f64::from(u8::from(*positive));
                let weight = p * (1.0 - p);
                by_slope += error * score;
                by_offset += error;
                ss += weight * score * score;
                so += weight * score;
                oo += weight;
            }
            let determinant = ss * oo - so * so;
            slope -= (oo * by_slope - so * by_offset) / determinant;
            offset -= (ss * by_offset - so * by_slope) / determinant;
        }
        let round = |x: f64| (x * 1e4).round() / 1e4;
        Calibration { slope: round(slope), offset: round(offset) }
    }

    /// The probability that a text of this raw score is positive.
    pub fn probability(&self, score: f64) -> f64 {
        logistic(self.slope * score + self.offset)
    }
}

/// The probability of log odds.
pub(super) fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-log_odds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fitted_probability_is_the_share_that_was_seen() {
        // Of the texts at -1, one in five is positive; at 1, four in five.
        let mut scores = vec![(-1.0, false); 400];
        scores.extend(vec![(-1.0, true); 100]);
        scores.extend(vec![(1.0, true); 400]);
        scores.extend(vec![(1.0, false); 100]);
        let fitted = Calibration::fit(&scores);
        assert!((fitted.probability(1.0) - 0.8).abs() < 1e-3, "{fitted:?}");
        assert!((fitted.probability(-1.0) - 0.2).abs() < 1e-3, "{fitted:?}");
    }

    #[test]
    fn scores_that_separate_the_classes_or_are_missing_still_give_numbers() {
        let check = |scores: &[(f64, bool)]| {
            let fitted = Calibration::fit(scores);
            assert!(fitted.slope.is_finite() && fitted.offset.is_finite(), "{fitted:?}");
        };
        check(&[]);
        check(&[(-1.0, false), (1.0, true)]);
        check(&[(0.0, true), (0.0, true)]);
    }
}
