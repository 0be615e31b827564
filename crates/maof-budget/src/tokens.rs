//! Counting tokens, behind a port: exactly where the model's encoding is public, else by a stated estimate.
//!
//! ```
//! use maof_budget::tokens::{Count, CountTokens, Tiktoken};
//! assert_eq!(Tiktoken.count("gpt-4o", "hello world"), Count::Exact(2));
//! assert_eq!(Tiktoken.count("some-other-model", "hello world"), Count::Estimate(4));
//! ```

use std::fmt;

/// A number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// As the model counts.
    Exact(u64),
    /// A third of the bytes, rounded up: too many for English (about a quarter), about right for code, too
    /// few for scripts of three bytes a character in old encodings.
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

/// Counts by the encodings cl100k and o200k. A table is loaded when it is first needed (50-120 ms, 13-24 MB).
#[derive(Clone, Copy, Debug, Default)]
pub struct Tiktoken;

/// The encoding of a model, by the names that OpenAI documents.
fn encoding(model: &str) -> Option<&'static str> {
    let model = model.rsplit('/').next().unwrap_or(model);
    const O200K: [&str; 8] = ["gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "chatgpt-4o", "o1", "o3", "o4"];
    const CL100K: [&str; 4] = ["gpt-4", "gpt-3.5", "text-embedding-3", "text-embedding-ada-002"];
    let starts = |names: &[&str]| names.iter().any(|name| model.starts_with(name));
    if starts(&O200K) {
        Some("o200k_base")
    } else if starts(&CL100K) {
        Some("cl100k_base")
    } else {
        None
    }
}

impl CountTokens for Tiktoken {
    fn count(&self, model: &str, text: &str) -> Count {
        match encoding(model).and_then(tiktoken::get_encoding) {
            Some(encoding) => Count::Exact(encoding.count(text) as u64),
            None => Count::Estimate((text.len() as u64).div_ceil(3)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn counts_equal_those_of_the_reference() {
        let texts = [
            "",
            "hello world",
            "The quick brown fox jumps over 13 lazy dogs.\n\n\tIndeed!",
            "fn main() { println!(\"{:?}\", vec![1, 2, 3]); }",
            "今日はとても良い天気ですね。明日も晴れるでしょう。",
            "مرحبا بالعالم 👩‍👩‍👧 🌍 naïve café",
            "<|endoftext|> is text here",
            &"a".repeat(2_000),
            &" \n\t".repeat(300),
        ];
        let o200k = tiktoken_rs::o200k_base().unwrap();
        let cl100k = tiktoken_rs::cl100k_base().unwrap();
        for text in texts {
            let check = |model: &str, expect: usize| {
                assert_eq!(Tiktoken.count(model, text), Count::Exact(expect as u64), "{model}: {text:.40}");
            };
            check("gpt-4o-mini", o200k.encode_ordinary(text).len());
            check("openai/gpt-4-turbo", cl100k.encode_ordinary(text).len());
        }
    }

    #[test]
    fn a_token_is_at_least_a_byte() {
        for text in ["", "abc", "日本語", "\u{0}\u{1}", "🌍🌍"] {
            assert!(Tiktoken.count("gpt-4o", text).tokens() <= text.len() as u64);
        }
    }
}
