//! Counting by a model's name.

use std::fmt;

use super::family::Family;

/// A number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// As the model counts.
    Exact(u64),
    /// What is likely: by the model's [family](super::Family), which says how far to trust it; where that is not
    /// known, or the text is too long to be counted, a third of the bytes, rounded up (too many for English,
    /// about right for code, too few for scripts of three bytes a character in old encodings).
    Estimate(u64),
}

impl Count {
    /// The number.
    pub fn tokens(self) -> u64 {
        match self {
            Count::Exact(n) | Count::Estimate(n) => n,
        }
    }
}

/// Counts tokens.
pub trait CountTokens: Send + Sync + fmt::Debug {
    /// The tokens of `text` for `model`.
    fn count(&self, model: &str, text: &str) -> Count;
}

/// The longest text that [`Tiktoken`] counts, in bytes: a call waits for it on its own thread, as a rule for less than
/// a millisecond, at worst (a run of spaces) for about ten.
pub const COUNT_AT_MOST: u64 = 50_000;

/// Counts by a model's name: exactly where its encoding is published, else by its family.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tiktoken;

impl CountTokens for Tiktoken {
    fn count(&self, model: &str, text: &str) -> Count {
        let bytes = text.len() as u64;
        match Family::of(model) {
            _ if bytes > COUNT_AT_MOST => Count::Estimate(bytes.div_ceil(3)),
            Family::Other => Count::Estimate(bytes.div_ceil(3)),
            family @ (Family::OpenAi(_) | Family::GptOss) => Count::Exact(family.text(text)),
            family => Count::Estimate(family.text(text)),
        }
    }
}
