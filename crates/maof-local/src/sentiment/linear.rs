//! Sentiment by logistic regression over words, pairs of words and word beginnings, hashed into 2^17 buckets.
//!
//! Hashing: K. Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009. Learned by
//! AdaGrad (J. Duchi, E. Hazan, Y. Singer, JMLR 2011) in a fixed order, so that it is repeatable.

use std::sync::OnceLock;

use maof_core::Result;
use serde_json::Value;

use super::{buckets, logistic, quantise, seal, unseal, verdict};

const MAGIC: [u8; 4] = *b"LIN1";
const BITS: u32 = 17;
const EPOCHS: usize = 6;
const RATE: f64 = 0.25;
/// Strength of the pull towards zero, for each example.
const DECAY: f64 = 1e-4;

/// A trained model: what each bucket adds to the log odds.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    scale: f32,
    bias: f32,
    weights: Vec<i8>,
}

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

impl Linear {
    /// Learns from texts and whether each is positive, in the order in which they come, several times over.
    pub fn train(examples: &[(&str, bool)]) -> Linear {
        let features: Vec<Vec<u32>> = examples.iter().map(|(text, _)| buckets(text, BITS, true)).collect();
        let mut weights = vec![0.0_f64; 1 << BITS];
        let mut squares = vec![1e-8_f64; 1 << BITS];
        let (mut bias, mut bias_squares) = (0.0_f64, 1e-8_f64);
        // A stride that shares no factor with the length visits every example, and mixes genres and labels.
        let stride = (examples.len() as f64 * 0.618) as usize | 1;
        let stride = (stride..).find(|s| gcd(*s, examples.len().max(1)) == 1).unwrap_or(1);
        for epoch in 0..EPOCHS {
            let mut at = epoch;
            for _ in 0..examples.len() {
                at = (at + stride) % examples.len();
                let features = &features[at];
                let norm = 1.0 / (features.len().max(1) as f64).sqrt();
                let sum: f64 = features.iter().map(|b| weights[*b as usize]).sum();
                let error = logistic(sum * norm + bias) - f64::from(u8::from(examples[at].1));
                for bucket in features {
                    let i = *bucket as usize;
                    let gradient = error * norm + DECAY * weights[i];
                    squares[i] += gradient * gradient;
                    weights[i] -= RATE * gradient / squares[i].sqrt();
                }
                bias_squares += error * error;
                bias -= RATE * error / bias_squares.sqrt();
            }
        }
        let (scale, weights) = quantise(&weights);
        Linear { scale, bias: bias as f32, weights }
    }

    /// Reads a model.
    ///
    /// # Errors
    /// `invalid_request` when it is none, or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Linear> {
        let model = unseal(MAGIC, BITS, bytes)?;
        Ok(Linear { scale: model.scale, bias: model.bias, weights: model.weights })
    }

    /// The model's file.
    pub fn to_bytes(&self) -> Vec<u8> {
        seal(MAGIC, self.scale, self.bias, &self.weights)
    }

    /// The probability that a text is positive.
    pub fn probability(&self, text: &str) -> f64 {
        let features = buckets(text, BITS, true);
        let sum: i64 = features.iter().map(|b| i64::from(self.weights[*b as usize])).sum();
        let norm = (features.len().max(1) as f64).sqrt();
        logistic(sum as f64 * f64::from(self.scale) / norm + f64::from(self.bias))
    }

    /// Positive or negative.
    ///
    /// # Errors
    /// None; the signature is that of every agent.
    pub fn answer(&self, text: &str) -> Result<Value> {
        Ok(verdict(self.probability(text)))
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
