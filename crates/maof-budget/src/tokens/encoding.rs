//! The public encodings, and which model has which.

use std::sync::OnceLock;

use super::merge;
use super::split::Rule;
use super::stream::Stream;
use super::vocabulary::{LONGEST, Vocabulary};

/// An encoding whose tokens can be counted exactly. Its tables are made when they
/// are first needed, or by [`load`](Encoding::load): 8 MB for cl100k, 15 MB for o200k, and 5 and 10 MB more for the first
/// long piece that is hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `cl100k_base`: GPT-4, GPT-3.5, the embedding models.
    Cl100k,
    /// `o200k_base`: GPT-4o, GPT-4.1, GPT-5, o1 and later, and gpt-oss.
    O200k,
}

static CL100K: OnceLock<Vocabulary> = OnceLock::new();
static O200K: OnceLock<Vocabulary> = OnceLock::new();

impl Encoding {
    /// The encoding of a model, by the names that OpenAI documents
    /// (<https://github.com/openai/tiktoken/blob/main/tiktoken/model.py>, 2025); a path before the name, such as
    /// `openai/`, does not matter. None where the maker has not published one, or the name is not known.
    pub fn of(model: &str) -> Option<Encoding> {
        let model = model.rsplit('/').next().unwrap_or(model);
        // A model of one's own is named after the one that it was tuned from.
        let model = model.strip_prefix("ft:").unwrap_or(model);
        const O200K: [&str; 9] =
            ["gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "chatgpt-4o", "gpt-oss", "o1", "o3", "o4"];
        const CL100K: [&str; 4] = ["gpt-4", "gpt-3.5", "text-embedding-3", "text-embedding-ada-002"];
        // `o3` is meant by `o3-mini`, not by `o30`: what only looks like a name has another encoding.
        let is = |name: &&str| {
            model.strip_prefix(*name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.', ':']))
        };
        if O200K.iter().any(is) {
            Some(Encoding::O200k)
        } else if CL100K.iter().any(is) {
            Some(Encoding::Cl100k)
        } else {
            None
        }
    }

    /// How many tokens a text is. What looks like a special token (`<|endoftext|>`) is text. The time is
    /// proportional to the text's length whatever is in it; nothing is allocated once the tables are there.
    pub fn count(self, text: &str) -> u64 {
        self.pieces(text).sum()
    }

    /// Whether a text is more than `limit` tokens. Counts only where its length does not tell, and no further than
    /// needed: a token is at least one byte and at most 128.
    pub fn exceeds(self, text: &str, limit: u64) -> bool {
        let bytes = text.len() as u64;
        if bytes <= limit {
            return false;
        }
        if bytes > limit.saturating_mul(LONGEST as u64) {
            return true;
        }
        let mut tokens = 0;
        self.pieces(text).any(|piece| {
            tokens += piece;
            tokens > limit
        })
    }

    /// Counts a text that comes in parts.
    pub fn stream(self) -> Stream {
        Stream::new(self)
    }

    /// Makes the tables now, so that no call waits for them: about 50 ms (cl100k) and 100 ms (o200k) of CPU.
    pub fn load(self) {
        let _ = self.vocabulary().suffixes();
    }

    pub(crate) fn rule(self) -> Rule {
        match self {
            Encoding::Cl100k => Rule::Cl100k,
            Encoding::O200k => Rule::O200k,
        }
    }

    pub(crate) fn vocabulary(self) -> &'static Vocabulary {
        match self {
            Encoding::Cl100k => CL100K
                .get_or_init(|| Vocabulary::new(include_bytes!(concat!(env!("OUT_DIR"), "/cl100k.merges")))),
            Encoding::O200k => O200K
                .get_or_init(|| Vocabulary::new(include_bytes!(concat!(env!("OUT_DIR"), "/o200k.merges")))),
        }
    }

    /// The tokens of each piece.
    fn pieces(self, text: &str) -> impl Iterator<Item = u64> {
        let (rule, vocabulary) = (self.rule(), self.vocabulary());
        let mut start = 0;
        std::iter::from_fn(move || {
            let end = rule.piece(text, start)?;
            let tokens = merge::count(vocabulary, text.as_bytes(), start, end);
            start = end;
            Some(tokens)
        })
    }
}
