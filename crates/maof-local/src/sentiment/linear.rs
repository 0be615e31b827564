//! Sentiment by logistic regression over words, pairs of words and pieces of words.
//!
//! Learned by AdaGrad (J. Duchi, E. Hazan and Y. Singer, "Adaptive Subgradient Methods for Online Learning
//! and Stochastic Optimization", JMLR 2011) in a fixed order, so that learning is repeatable.

use std::sync::OnceLock;

use maof_core::Result;

use super::calibration::logistic;
use super::features::piece_buckets;
use super::model::{Example, Weights};

const MAGIC: [u8; 4] = *b"LIN ";
const BITS: u32 = 16;
// These three by cross-validation, among 3, 6 and 10; 0.1, 0.25 and 0.5; 1e-5, 1e-4 and 1e-3.
const EPOCHS: usize = 6;
const RATE: f64 = 0.1;
/// The pull towards zero at each example.
const DECAY: f64 = 1e-3;

/// A trained model: what each bucket adds to the log odds.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear(Weights);

impl Linear {
    /// The committed model.
    ///
    /// # Errors
    /// `invalid_request` when its file is of another version.
    pub fn shipped() -> Result<&'static Linear> {
        static MODEL: OnceLock<Linear> = OnceLock::new();
        if let Some(model) = MODEL.get() {
            return Ok(model);
        }
        let model = Linear::from_bytes(include_bytes!("../../models/linear.bin"))?;
        Ok(MODEL.get_or_init(|| model))
    }

    /// Learns, several times over the examples, in an order that depends on how many there are only.
    pub fn train(examples: &[Example<'_>]) -> Linear {
        let buckets: Vec<Vec<u32>> = examples.iter().map(|e| piece_buckets(e.text, BITS)).collect();
        let mut weights = vec![Descent::default(); 1 << BITS];
        let mut bias = Descent::default();
        let stride = stride(examples.len());
        for epoch in 0..EPOCHS {
            let order = (1..=examples.len()).map(|n| (epoch + n * stride) % examples.len());
            for (example, buckets) in order.filter_map(|at| Some((examples.get(at)?, buckets.get(at)?))) {
                let share = share(buckets);
                let known = buckets.iter().filter_map(|b| weights.get(*b as usize));
                let log_odds = known.map(|w| w.value).sum::<f64>() * share + bias.value;
                let error = (logistic(log_odds) - f64::from(u8::from(example.positive))) * example.weight;
                for bucket in buckets {
                    if let Some(weight) = weights.get_mut(*bucket as usize) {
                        weight.step(error * share + DECAY * weight.value);
                    }
                }
                bias.step(error);
            }
        }
        let weights: Vec<f64> = weights.iter().map(|w| w.value).collect();
        Linear(Weights::quantise(&weights, bias.value))
    }

    /// The log odds that a text is positive.
    pub fn log_odds(&self, text: &str) -> f64 {
        let buckets = piece_buckets(text, BITS);
        self.0.sum(&buckets) * share(&buckets) + self.0.bias()
    }

    /// Reads a model.
    ///
    /// # Errors
    /// `invalid_request` when it is none, or of another version.
    pub fn from_bytes(file: &[u8]) -> Result<Linear> {
        Weights::from_bytes(MAGIC, BITS, file).map(Linear)
    }

    /// The model's file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes(MAGIC)
    }
}

/// One number on its way down, with the sum of its squared gradients.
#[derive(Clone, Default)]
struct Descent {
    value: f64,
    squares: f64,
}

impl Descent {
    fn step(&mut self, gradient: f64) {
        self.squares += gradient * gradient;
        self.value -= RATE * gradient / (self.squares.sqrt() + 1e-8);
    }
}

/// What each bucket counts, so that a long text does not weigh more than a short one.
fn share(buckets: &[u32]) -> f64 {
    1.0 / (buckets.len().max(1) as f64).sqrt()
}

/// A stride of about 0.618 of `length` that visits everything: it shares no factor with `length`. The
/// examples come sorted by genre; so they are mixed.
fn stride(length: usize) -> usize {
    let about = (length as f64 * 0.618) as usize | 1;
    (about..about + length).find(|stride| gcd(*stride, length) == 1).unwrap_or(1)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_visits_every_example_once() {
        for length in 1..200 {
            let stride = stride(length);
            let mut visited: Vec<usize> = (1..=length).map(|n| (n * stride) % length).collect();
            visited.sort_unstable();
            assert!(visited.into_iter().eq(0..length), "{length} by {stride}");
        }
    }
}
