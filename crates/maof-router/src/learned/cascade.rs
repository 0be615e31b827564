//! The cascade: ask the cheap arm, verify its answer, and ask the strong one only where that pays.
//!
//! A logistic layer over the verifiers and the prompt's own prospects gives the probability that the cheap answer
//! is right. It starts from weights set by hand, so that it serves without training, and learning pulls it away from
//! them as far as the outcomes bear out.

use super::heads::{log_odds, logistic};
use super::verify::{Evidence, VERIFIERS};

/// One weight a verifier, then one for the prompt's own log odds, then the bias.
pub(super) const WEIGHTS: usize = VERIFIERS + 2;

/// By hand, in the order of [`super::verify::NAMES`]: what each says for or against an answer, in log odds.
const UNTRAINED: [f32; WEIGHTS] =
    [2.0, 1.0, 1.5, 1.0, 2.0, 0.3, 0.5, 0.2, 0.5, 0.0, 0.0, 2.0, 3.0, 3.0, 1.5, 0.7, 0.0];

/// Steps of gradient descent; the problem is convex and small.
const STEPS: usize = 400;
const RATE: f32 = 0.5;
/// How many answers the weights set by hand are worth, at each weight. Chosen by cross-validation as the rest of the
/// defaults were; 4 and 64 are a little worse.
const PRIOR: f32 = 16.0;

/// The logistic layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cascade(pub(super) [f32; WEIGHTS]);

/// One answer to learn from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checked {
    pub(super) evidence: Evidence,
    /// The cheap arm's quality by the prompt alone.
    pub(super) prospect: f32,
    /// How good the answer was, 0 to 1.
    pub(super) quality: f32,
}

impl Cascade {
    /// The weights set by hand.
    pub(super) fn untrained() -> Cascade {
        Cascade(UNTRAINED)
    }

    /// Learns by full-batch AdaGrad, drawn towards the weights set by hand.
    pub(super) fn fit(answers: &[Checked]) -> Cascade {
        let mut weights = UNTRAINED;
        let mut squares = [0.0_f32; WEIGHTS];
        let count = answers.len().max(1) as f32;
        for _ in 0..STEPS {
            let mut gradient = [0.0_f32; WEIGHTS];
            for answer in answers {
                let inputs = inputs(&answer.evidence, answer.prospect);
                let error = logistic(dot(&weights, &inputs)) - answer.quality;
                for (sum, input) in gradient.iter_mut().zip(inputs) {
                    *sum += error * input / count;
                }
            }
            for (at, weight) in weights.iter_mut().enumerate() {
                // One answer curves the loss by a quarter at most.
                let slope = gradient[at] + PRIOR / 4.0 / count * (*weight - UNTRAINED[at]);
                squares[at] += slope * slope;
                *weight -= RATE * slope / (squares[at].sqrt() + 1e-6);
            }
        }
        Cascade(weights)
    }

    /// The probability that the answer is right.
    pub(super) fn right(&self, evidence: &Evidence, prospect: f32) -> f32 {
        logistic(dot(&self.0, &inputs(evidence, prospect)))
    }
}

fn inputs(evidence: &Evidence, prospect: f32) -> [f32; WEIGHTS] {
    let mut inputs = [1.0; WEIGHTS];
    inputs[..VERIFIERS].copy_from_slice(evidence);
    inputs[VERIFIERS] = log_odds(prospect);
    inputs
}

fn dot(a: &[f32; WEIGHTS], b: &[f32; WEIGHTS]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::super::verify::{Answer, NAMES, verify};
    use super::*;

    #[test]
    fn untrained_a_refused_or_wrong_answer_is_less_likely_right() {
        let right = |text: &str| Cascade::untrained().right(&verify("2 + 2?", &Answer::new(text)), 0.6);
        let good = right("2 + 2 = 4.\n#### 4");
        for bad in ["2 + 2 = 5.\n#### 5", "I'm sorry, I cannot do that.", "Then 2 + 2 is", "Perhaps 4."] {
            assert!(right(bad) < good - 0.1, "{bad}: {} is not below {good}", right(bad));
        }
    }

    #[test]
    fn a_verifier_that_tells_gains_weight_and_one_that_misleads_loses_it() {
        let at = |name| NAMES.iter().position(|known| *known == name).unwrap();
        let answer = |tells: f32, misleads: f32| {
            let mut evidence = [0.0; VERIFIERS];
            evidence[at("numbers_used")] = tells;
            evidence[at("schema")] = misleads;
            Checked { evidence, prospect: 0.5, quality: if tells > 0.0 { 1.0 } else { 0.0 } }
        };
        let answers: Vec<Checked> =
            (0..400).map(|n| if n % 2 == 0 { answer(1.0, -1.0) } else { answer(-1.0, 1.0) }).collect();
        let learned = Cascade::fit(&answers).0;
        assert!(learned[at("numbers_used")] > UNTRAINED[at("numbers_used")]);
        assert!(learned[at("schema")] < UNTRAINED[at("schema")]);
        // Nothing was seen of the others: they stay what they were.
        assert_eq!(learned[at("judge")], UNTRAINED[at("judge")]);
        assert_eq!(Cascade::fit(&[]), Cascade::untrained());
    }
}
