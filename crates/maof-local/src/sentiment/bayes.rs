//! Sentiment by multinomial naive Bayes over words and pairs of words, each counted once a text.
//!
//! S. Wang and C. Manning, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification", ACL
//! 2012: the binarised multinomial model, with additive smoothing.

use std::sync::OnceLock;

use maof_core::Result;

use super::features::word_buckets;
use super::model::{Example, Weights};

const MAGIC: [u8; 4] = *b"MNB ";
const BITS: u32 = 17;
/// Added to every count; chosen by cross-validation among 0.5, 1, 2, 4, 6 and 10.
const SMOOTHING: f64 = 6.0;

/// A trained model: the log odds that each bucket adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Bayes(Weights);

impl Bayes {
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

    /// Counts, in the order of the examples.
    ///
    /// ```
    /// use maof_local::sentiment::{Bayes, Example};
    /// let good = Example { text: "a fine day", positive: true, weight: 1.0 };
    /// let bad = Example { text: "a foul day", positive: false, weight: 1.0 };
    /// let model = Bayes::train(&[good, bad]);
    /// assert!(model.log_odds("fine") > 0.0 && model.log_odds("foul") < 0.0);
    /// assert_eq!(Bayes::from_bytes(&model.to_bytes())?, model);
    /// # Ok::<(), maof_core::Error>(())
    /// ```
    pub fn train(examples: &[Example<'_>]) -> Bayes {
        let mut texts = Tally::default();
        let mut buckets = vec![Tally::default(); 1 << BITS];
        for example in examples {
            texts.add(example);
            for bucket in word_buckets(example.text, BITS) {
                if let Some(tally) = buckets.get_mut(bucket as usize) {
                    tally.add(example);
                }
            }
        }
        let smooth = SMOOTHING * buckets.iter().filter(|b| b.is_seen()).count() as f64;
        let mut total = Tally { negative: smooth, positive: smooth };
        for bucket in &buckets {
            total.negative += bucket.negative;
            total.positive += bucket.positive;
        }
        let log_odds = |b: &Tally| {
            libm::log((b.positive + SMOOTHING) / total.positive)
                - libm::log((b.negative + SMOOTHING) / total.negative)
        };
        // A bucket that was never seen says nothing, whatever the sizes of the classes.
        let weights: Vec<f64> = buckets.iter().map(|b| if b.is_seen() { log_odds(b) } else { 0.0 }).collect();
        Bayes(Weights::quantise(&weights, libm::log((texts.positive + 1.0) / (texts.negative + 1.0))))
    }

    /// The log odds that a text is positive. Words are not independent, so they are too sure of themselves
    /// until they are calibrated.
    pub fn log_odds(&self, text: &str) -> f64 {
        self.0.sum(&word_buckets(text, BITS)) + self.0.bias()
    }

    /// Reads a model.
    ///
    /// # Errors
    /// `invalid_request` when it is none, or of another version.
    pub fn from_bytes(file: &[u8]) -> Result<Bayes> {
        Weights::from_bytes(MAGIC, BITS, file).map(Bayes)
    }

    /// The model's file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes(MAGIC)
    }
}

/// What was counted in texts of each class.
#[derive(Clone, Copy, Default)]
struct Tally {
    negative: f64,
    positive: f64,
}

impl Tally {
    fn add(&mut self, example: &Example<'_>) {
        if example.positive {
            self.positive += example.weight;
        } else {
            self.negative += example.weight;
        }
    }

    fn is_seen(&self) -> bool {
        self.negative + self.positive > 0.0
    }
}
