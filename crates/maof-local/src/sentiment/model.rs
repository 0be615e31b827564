//! What the trained methods have in common: an example, and a file of weights.
//!
//! A file is a magic word of four bytes, a version, two little-endian floats (scale and bias), then one signed
//! byte for each bucket.

use maof_core::{Error, Result};

/// The version of the format and of what the buckets mean.
const VERSION: u8 = 2;

/// A text to learn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Example<'a> {
    /// The text.
    pub text: &'a str,
    /// Whether it is positive.
    pub positive: bool,
    /// How many examples it counts for.
    pub weight: f64,
}

/// Weights in eight bits, a bias, and what a bit is worth.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Weights {
    scale: f32,
    bias: f32,
    bytes: Vec<i8>,
}

impl Weights {
    /// Rounds `weights` to whole steps, 127 of which make up the largest.
    pub(super) fn quantise(weights: &[f64], bias: f64) -> Weights {
        let largest = weights.iter().fold(1e-9_f64, |most, w| most.max(w.abs()));
        let scale = (largest / 127.0) as f32;
        let step = |w: &f64| (w / f64::from(scale)).round().clamp(-127.0, 127.0) as i8;
        Weights { scale, bias: bias as f32, bytes: weights.iter().map(step).collect() }
    }

    /// The sum of the weights of these buckets.
    pub(super) fn sum(&self, buckets: &[u32]) -> f64 {
        let steps = buckets.iter().filter_map(|b| self.bytes.get(*b as usize)).map(|w| i64::from(*w));
        steps.sum::<i64>() as f64 * f64::from(self.scale)
    }

    pub(super) fn bias(&self) -> f64 {
        f64::from(self.bias)
    }

    pub(super) fn to_bytes(&self, magic: [u8; 4]) -> Vec<u8> {
        let mut out = magic.to_vec();
        out.push(VERSION);
        out.extend(self.scale.to_le_bytes());
        out.extend(self.bias.to_le_bytes());
        out.extend(self.bytes.iter().flat_map(|w| w.to_le_bytes()));
        out
    }

    /// Reads what [`Weights::to_bytes`] wrote.
    pub(super) fn from_bytes(magic: [u8; 4], bits: u32, file: &[u8]) -> Result<Weights> {
        let short = || wrong("the model file is too short".to_owned());
        let (found, rest) = file.split_first_chunk::<4>().ok_or_else(short)?;
        if *found != magic {
            return Err(wrong("the file is no model of this kind".to_owned()));
        }
        let (version, rest) = rest.split_first().ok_or_else(short)?;
        if *version != VERSION {
            return Err(wrong(format!(
                "the model file has version {version}, this build reads {VERSION}; train the model again"
            )));
        }
        let (scale, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (bias, weights) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        if weights.len() != 1 << bits {
            return Err(wrong(format!(
                "the model file has {} weights, not {}",
                weights.len(),
                1_u32 << bits
            )));
        }
        let (scale, bias) = (f32::from_le_bytes(*scale), f32::from_le_bytes(*bias));
        if !(scale.is_finite() && bias.is_finite()) {
            return Err(wrong("the model file has a number that is not finite".to_owned()));
        }
        Ok(Weights { scale, bias, bytes: weights.iter().map(|b| i8::from_le_bytes([*b])).collect() })
    }
}

fn wrong(why: String) -> Error {
    Error::invalid_request(why).param("model")
}
