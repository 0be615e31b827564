//! Sentiment of a text: positive or negative, with a confidence, by three methods that answer alike.
//!
//! The trained two know the training part of `examples/data/` only. `cargo run --release -p maof-local
//! --example train` makes their committed models again, byte for byte.

pub mod bayes;
pub mod lexicon;
pub mod linear;

use maof_core::{Error, Result};
use serde_json::{Value, json};

use crate::text::{hash, words};

/// How often each method was right in five-fold cross-validation on the training part, news only, in the
/// order lexicon, bayes, linear; printed by the training program. Weights for votes come from them.
pub const ACCURACY: [(&str, f64); 3] = [("lexicon", 0.6945), ("bayes", 0.6641), ("linear", 0.7144)];

/// The answer that all methods give: `p` is the probability that the text is positive.
fn verdict(p: f64) -> Value {
    let label = if p >= 0.5 { "positive" } else { "negative" };
    let round = |x: f64| (x * 1000.0).round() / 1000.0;
    json!({"label": label, "confidence": round(p.max(1.0 - p)), "score": round(2.0 * p - 1.0)})
}

/// The n-grams of a text as buckets: words, pairs of words, and for `deep` triples of words too.
fn buckets(text: &str, bits: u32, deep: bool) -> Vec<u32> {
    let words = words(text);
    let mask = (1_u32 << bits) - 1;
    let mut found: Vec<u32> = words.iter().map(|w| hash(&["1", w]) & mask).collect();
    found.extend(words.windows(2).map(|w| hash(&["2", &w[0], &w[1]]) & mask));
    if deep {
        // Word beginnings stand for inflected forms.
        found.extend(words.iter().filter(|w| w.len() > 5).map(|w| {
            let stem: String = w.chars().take(5).collect();
            hash(&["s", &stem]) & mask
        }));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// A model's file: a magic word, a version, then the quantised weights.
const VERSION: u8 = 1;

fn seal(magic: [u8; 4], scale: f32, bias: f32, weights: &[i8]) -> Vec<u8> {
    let mut out = magic.to_vec();
    out.push(VERSION);
    out.extend(scale.to_le_bytes());
    out.extend(bias.to_le_bytes());
    out.extend(weights.iter().map(|w| w.to_le_bytes()[0]));
    out
}

struct Unsealed {
    scale: f32,
    bias: f32,
    weights: Vec<i8>,
}

fn unseal(magic: [u8; 4], bits: u32, bytes: &[u8]) -> Result<Unsealed> {
    let wrong = |why: &'static str| Error::invalid_request(why).param("model");
    let (head, rest) = bytes.split_at_checked(5).ok_or_else(|| wrong("the model file is too short"))?;
    if head[..4] != magic {
        return Err(wrong("the file is no model of this kind"));
    }
    if head[4] != VERSION {
        return Err(wrong("the model file has another version; train it again"));
    }
    let (numbers, weights) = rest.split_at_checked(8).ok_or_else(|| wrong("the model file is too short"))?;
    if weights.len() != 1 << bits {
        return Err(wrong("the model file has the wrong length"));
    }
    let float =
        |at: usize| f32::from_le_bytes([numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]]);
    let weights = weights.iter().map(|b| i8::from_le_bytes([*b])).collect();
    Ok(Unsealed { scale: float(0), bias: float(4), weights })
}

/// Quantises to 8 bits: the scale that maps the largest of `weights` to 127, and the weights by it.
fn quantise(weights: &[f64]) -> (f32, Vec<i8>) {
    let largest = weights.iter().fold(1e-9_f64, |m, w| m.max(w.abs()));
    let scale = (largest / 127.0) as f32;
    let small = weights.iter().map(|w| (w / f64::from(scale)).round().clamp(-127.0, 127.0) as i8);
    (scale, small.collect())
}

/// The probability of log odds.
fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
