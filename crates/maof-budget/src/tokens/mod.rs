//! Counting tokens, behind a port: exactly where the model's encoding is public, else by a stated estimate.
//!
//! Exact counts are those of OpenAI's tiktoken, in time proportional to the text whatever is in it, with nothing
//! allocated once the tables are there. Since a token is at least a byte, most questions need no counting at all:
//! [`Encoding::exceeds`] counts only where the length does not tell, and no further than needed. docs/tokens.md has
//! what was measured.
//!
//! When not: a provider's own count, where it reports one, is the truth that is billed.
//!
//! ```
//! use maof_budget::tokens::{Around, Count, CountTokens, Encoding, Family, Tiktoken};
//! assert_eq!(Tiktoken.count("gpt-4o", "hello world"), Count::Exact(2));
//! assert_eq!(Tiktoken.count("some-other-model", "hello world"), Count::Estimate(4));
//! assert!(!Encoding::O200k.exceeds("hello world", 11), "eleven bytes are at most eleven tokens");
//! // A whole request: its texts, and what its maker puts around them.
//! let gemini = Family::of("gemini-2.5-flash");
//! let likely = gemini.text("hello world") + gemini.around(Around { messages: 1, ..Around::default() });
//! assert_eq!((likely, gemini.at_most(likely)), (4, 5));
//! ```

mod class;
mod count;
mod encoding;
mod family;
mod long;
mod merge;
mod picture;
mod split;
mod stream;
mod vocabulary;

pub use count::{COUNT_AT_MOST, Count, CountTokens, Tiktoken};
pub use encoding::Encoding;
pub use family::{Around, Family};
pub use picture::{Detail, PICTURE_AT_MOST, picture};
pub use stream::Stream;

#[cfg(test)]
mod tests;
