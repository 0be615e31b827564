//! Questions that say the same in other words: which kept answer may be given to a question that nobody asked so before.
//!
//! By words alone, in this process: no model is asked. Two questions are as similar as the cosine of their weighted words, pairs of
//! words and pieces of words (as in a search engine, rare ones count most), and the same only if also nothing tells them apart that
//! decides: numbers, names, negation, opposites; and if the second best is clearly less similar. What that is worth, and what it
//! costs in wrong answers, is in docs/adr/0012-cache.md.
//!
//! Leave it away where a wrong answer costs more than a call. It knows no synonyms, and no meaning: where questions differ in one
//! ordinary word, as from a template, it may take one for the other.
//!
//! ```
//! use maof_cache::semantic::{Questions, Semantic};
//! let mut questions = Questions::new(&Semantic::default());
//! let (scope, paris, rome) = ([0; 32], [1; 32], [2; 32]);
//! questions.add(scope, "How can I get a refund for my train ticket to Paris?", paris);
//! questions.add(scope, "Which documents do I need to rent a car in Rome?", rome);
//! let found = questions.find(&scope, "How do I get the refund for a train ticket to Paris?").unwrap();
//! assert_eq!(found.key, paris);
//! assert!(questions.find(&scope, "How do I get the refund for a train ticket to Berlin?").is_none());
//! ```

mod config;
mod features;
mod questions;
#[cfg(test)]
mod tests;

pub use config::Semantic;
pub use questions::{Found, Questions};
