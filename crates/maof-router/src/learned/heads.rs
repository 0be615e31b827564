//! Quality heads: for each arm, the probability that its answer to a prompt is good, by logistic regression.
//!
//! Learned by AdaGrad (J. Duchi, E. Hazan and Y. Singer, "Adaptive Subgradient Methods for Online Learning and
//! Stochastic Optimization", JMLR 2011): in several passes over recorded outcomes, and by one step at each feedback.

use super::features::{BUCKETS, FORM_VALUE, Features, SCALARS};

/// The plain numbers and the bias.
pub(super) const DENSE: usize = SCALARS + 1;
const TINY: f32 = 1e-6;

/// Weights of all arms: those of one bucket lie side by side, so that one look-up serves all arms.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Heads {
    arms: usize,
    /// `BUCKETS` rows of `arms`, then `DENSE` rows of `arms`.
    weights: Vec<f32>,
    /// The sum of each weight's squared gradients.
    squares: Vec<f32>,
}

/// How fast a head learns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    /// The length of a step.
    pub(super) rate: f32,
    /// The pull towards zero at each step.
    pub(super) decay: f32,
}

impl Heads {
    /// Heads that know nothing: every arm at one half.
    pub(super) fn blank(arms: usize) -> Heads {
        let length = (BUCKETS + DENSE) * arms;
        Heads { arms, weights: vec![0.0; length], squares: vec![0.0; length] }
    }

    /// Sets what every prompt of an arm has in common, from the share of good answers in training.
    pub(super) fn set_bias(&mut self, arm: usize, mean: f32) {
        let at = (BUCKETS + SCALARS) * self.arms + arm;
        if let Some(bias) = self.weights.get_mut(at) {
            *bias = log_odds(mean);
        }
    }

    /// The probability of each arm's answer to be good, into `out`.
    pub(super) fn appraise(&self, features: &Features, out: &mut Vec<f32>) {
        out.clear();
        out.resize(self.arms, 0.0);
        for (row, value) in rows(features) {
            for (sum, weight) in out.iter_mut().zip(self.row(row)) {
                *sum += weight * value;
            }
        }
        for value in out {
            *value = logistic(*value);
        }
    }

    /// One step of each arm against its error, what was expected less what was seen; NaN where nothing was seen.
    pub(super) fn step(&mut self, features: &Features, errors: &[f32], pace: Pace) {
        for (row, value) in rows(features) {
            let range = row * self.arms..(row + 1) * self.arms;
            let decay = if row == BUCKETS + SCALARS { 0.0 } else { pace.decay };
            let (Some(weights), Some(squares)) =
                (self.weights.get_mut(range.clone()), self.squares.get_mut(range))
            else {
                continue;
            };
            for ((weight, square), error) in weights.iter_mut().zip(squares).zip(errors) {
                if !error.is_nan() {
                    let gradient = error * value + decay * *weight;
                    *square += gradient * gradient;
                    *weight -= pace.rate * gradient / (square.sqrt() + TINY);
                }
            }
        }
    }

    /// The weights and their squares of one row, by arm.
    pub(super) fn learned(&self, row: usize) -> impl Iterator<Item = (f32, f32)> {
        let squares = self.squares.get(row * self.arms..(row + 1) * self.arms).unwrap_or_default();
        self.row(row).iter().copied().zip(squares.iter().copied())
    }

    /// Sets what [`Heads::learned`] gave for one arm of a row.
    pub(super) fn set(&mut self, row: usize, arm: usize, weight: f32, square: f32) {
        let at = row * self.arms + arm;
        if let (Some(w), Some(s)) = (self.weights.get_mut(at), self.squares.get_mut(at)) {
            (*w, *s) = (weight, square);
        }
    }

    fn row(&self, row: usize) -> &[f32] {
        self.weights.get(row * self.arms..(row + 1) * self.arms).unwrap_or_default()
    }
}

/// Every row that a prompt touches, with its value there.
fn rows(features: &Features) -> impl Iterator<Item = (usize, f32)> {
    let grams = features.grams.iter().map(|(bucket, value)| (*bucket as usize, *value));
    let form = features.form.iter().map(|bucket| (*bucket as usize, FORM_VALUE));
    let dense = features.scalars.iter().copied().chain([1.0]).enumerate();
    grams.chain(form).chain(dense.map(|(at, value)| (BUCKETS + at, value)))
}

/// 1 / (1 + e^-x).
pub(super) fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The inverse of [`logistic`], kept within about ±7.
pub(super) fn log_odds(p: f32) -> f32 {
    let p = p.clamp(1e-3, 1.0 - 1e-3);
    (p / (1.0 - p)).ln()
}

#[cfg(test)]
mod tests {
    use super::super::features::Encoder;
    use super::*;

    const PACE: Pace = Pace { rate: 0.1, decay: 0.0 };

    fn features(text: &str) -> Features {
        let mut features = Features::default();
        features.read(text);
        Encoder::blank().encode(&mut features);
        features
    }

    #[test]
    fn an_arm_learns_from_its_own_feedback_only() {
        let (easy, hard) = (features("two plus two"), features("prove the lemma"));
        let mut heads = Heads::blank(2);
        let mut seen = Vec::new();
        for _ in 0..500 {
            for (features, target) in [(&easy, 1.0), (&hard, 0.0)] {
                heads.appraise(features, &mut seen);
                heads.step(features, &[seen[0] - target, f32::NAN], PACE);
            }
        }
        heads.appraise(&easy, &mut seen);
        assert!(seen[0] > 0.9, "{seen:?}");
        assert_eq!(seen[1], 0.5);
        heads.appraise(&hard, &mut seen);
        assert!(seen[0] < 0.1, "{seen:?}");
    }

    #[test]
    fn a_bias_is_the_share_of_good_answers() {
        let mut heads = Heads::blank(1);
        heads.set_bias(0, 0.75);
        let mut seen = Vec::new();
        heads.appraise(&Features::default(), &mut seen);
        assert!((seen[0] - 0.75).abs() < 1e-6);
        assert!((logistic(log_odds(0.2)) - 0.2).abs() < 1e-6);
        assert!(log_odds(0.0).is_finite() && log_odds(1.0).is_finite());
    }
}
