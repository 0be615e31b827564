//! Sentiment by multinomial naive Bayes over words and pairs of words, presence only.
//!
//! S. Wang and C. Manning, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification", ACL
//! 2012: the binarised multinomial model with Laplace smoothing. N-grams are hashed into 2^16 buckets.

use std::sync::OnceLock;

use maof_core::Result;
use serde_json::Value;

use super::{buckets, logistic, quantise, seal, unseal, verdict};

const MAGIC: [u8; 4] = *b"MNB1";
const BITS: u32 = 16;

/// A trained model: the log odds that each bucket adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Bayes {
    scale: f32,
    prior: f32,
    weights: Vec<i8>,
}

/// The committed model.
///
/// # Errors
/// `invalid_request` when its file is of another version.
pub fn shipped() -> Result<&'static Bayes> {
    static MODEL: OnceLock<Bayes> = OnceLock::new();
    if let Some(model) = MODEL.get() {
        return Ok(model);
    }
    let model = Bayes::from_bytes(include_bytes!("../../models/bayes.bin"))?;
    Ok(MODEL.get_or_init(|| model))
}

impl Bayes {
    /// Learns from texts and whether each is positive.
    pub fn train(examples: &[(&str, bool)]) -> Bayes {
        let mut counts = vec![[1.0_f64; 2]; 1 << BITS];
        let mut classes = [0.0_f64; 2];
        for (text, positive) in examples {
            let class = usize::from(*positive);
            classes[class] += 1.0;
            for bucket in buckets(text, BITS, false) {
                counts[bucket as usize][class] += 1.0;
            }
        }
        let totals = counts.iter().fold([0.0_f64; 2], |t, c| [t[0] + c[0], t[1] + c[1]]);
        let log_odds = |c: &[f64; 2]| (c[1] / totals[1]).ln() - (c[0] / totals[0]).ln();
        let weights: Vec<f64> = counts
            .iter()
            // A bucket that was never seen says nothing, whatever the classes' sizes.
            .map(|c| if c[0] + c[1] > 2.0 { log_odds(c) } else { 0.0 })
            .collect();
        let prior = (classes[1].max(1.0) / classes[0].max(1.0)).ln() as f32;
        let (scale, weights) = quantise(&weights);
        Bayes { scale, prior, weights }
    }

    /// Reads a model.
    ///
    /// # Errors
    /// `invalid_request` when it is none, or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Bayes> {
        let model = unseal(MAGIC, BITS, bytes)?;
        Ok(Bayes { scale: model.scale, prior: model.bias, weights: model.weights })
    }

    /// The model's file.
    pub fn to_bytes(&self) -> Vec<u8> {
        seal(MAGIC, self.scale, self.prior, &self.weights)
    }

    /// The probability that a text is positive. Features are not independent, so it is too sure of itself;
    /// the label is what counts.
    pub fn probability(&self, text: &str) -> f64 {
        let sum: i64 = buckets(text, BITS, false).iter().map(|b| i64::from(self.weights[*b as usize])).sum();
        logistic(sum as f64 * f64::from(self.scale) + f64::from(self.prior))
    }

    /// Positive or negative.
    ///
    /// # Errors
    /// None; the signature is that of every agent.
    pub fn answer(&self, text: &str) -> Result<Value> {
        Ok(verdict(self.probability(text)))
    }
}
