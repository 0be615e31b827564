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

/// The longest text that [`Tiktoken`] counts, in bytes: at worst (one letter repeated) that takes about 12 ms, and
/// a call waits for it on its own thread.
pub const COUNT_AT_MOST: u64 = 50_000;

/// Counts by the encodings cl100k and o200k; estimates other models' tokens, and those of texts longer than
/// [`COUNT_AT_MOST`]. A table is loaded when it is first needed (50-120 ms, 13-24 MB).
#[derive(Clone, Copy, Debug, Default)]
pub struct Tiktoken;

/// The encoding of a model, by the names that OpenAI documents.
fn encoding(model: &str) -> Option<&'static str> {
    let model = model.rsplit('/').next().unwrap_or(model);
    // A model of one's own is named after the one that it was tuned from.
    let model = model.strip_prefix("ft:").unwrap_or(model);
    const O200K: [&str; 8] = ["gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "chatgpt-4o", "o1", "o3", "o4"];
    const CL100K: [&str; 4] = ["gpt-4", "gpt-3.5", "text-embedding-3", "text-embedding-ada-002"];
    // `o3` is meant by `o3-mini`, not by `o30`: what only looks like a name has another encoding.
    let is = |name: &&str| {
        model.strip_prefix(*name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.', ':']))
    };
    let starts = |names: &[&str]| names.iter().any(is);
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
        let bytes = text.len() as u64;
        let known = encoding(model).filter(|_| bytes <= COUNT_AT_MOST);
        match known.and_then(tiktoken::get_encoding) {
            Some(encoding) => Count::Exact(encoding.count(text) as u64),
            None => Count::Estimate(bytes.div_ceil(3)),
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
    fn a_text_too_long_to_count_is_estimated() {
        let most = "a".repeat(COUNT_AT_MOST as usize);
        assert!(matches!(Tiktoken.count("gpt-4o", &most), Count::Exact(_)));
        assert_eq!(Tiktoken.count("gpt-4o", &[&most, "a"].concat()), Count::Estimate(16_667));
    }

    #[test]
    fn a_model_is_counted_by_the_encoding_that_its_maker_names() {
        let check = |model: &str, expect: Option<&str>| assert_eq!(encoding(model), expect, "{model}");
        check("gpt-4o-mini", Some("o200k_base"));
        check("openai/gpt-5-nano", Some("o200k_base"));
        check("o3-mini", Some("o200k_base"));
        check("gpt-5.1", Some("o200k_base"));
        check("ft:gpt-4o-mini:acme::x1", Some("o200k_base"));
        check("gpt-4-turbo", Some("cl100k_base"));
        check("gpt-3.5-turbo-0125", Some("cl100k_base"));
        check("text-embedding-3-small", Some("cl100k_base"));
        for other in ["claude-opus", "llama3.2", "o30", "olmo", "gpt-40", "gpt-oss:20b", ""] {
            check(other, None);
        }
    }

    #[test]
    fn a_token_is_at_least_a_byte() {
        for text in ["", "abc", "日本語", "\u{0}\u{1}", "🌍🌍"] {
            assert!(Tiktoken.count("gpt-4o", text).tokens() <= text.len() as u64);
        }
    }
}
