//! Sentiment of a text: positive or negative, with a confidence, by three methods that answer alike.
//!
//! | method | what it knows |
//! |---|---|
//! | [`lexicon`] | words rated by people, and rules (VADER) |
//! | [`Bayes`] | how often words and pairs of words were in positive and in negative texts |
//! | [`Linear`] | a weight for each word, pair of words and piece of a word |
//!
//! The trained two know the training part of `examples/data/` only; [`measured`] says how often each was
//! right on what it had not seen. `cargo run --release -p maof-local --example train` makes the committed
//! models again, byte for byte. There are two classes: texts to which people gave a mean rating within half a
//! point of neutral, on a scale from -4 to 4, are neither trained on nor judged.
//!
//! ```
//! use maof_local::sentiment;
//! let model = sentiment::Linear::shipped()?;
//! let feeling = sentiment::measured()?.get("linear").map(|m| m.calibration.probability(model.log_odds("A joy!")));
//! assert!(feeling > Some(0.5));
//! # Ok::<(), maof_core::Error>(())
//! ```

mod bayes;
mod calibration;
mod features;
pub mod lexicon;
mod linear;
mod measured;
mod model;
mod verdict;

pub use bayes::Bayes;
pub use calibration::Calibration;
pub use linear::Linear;
pub use measured::{Measured, Method, Vote, measured};
pub use model::Example;
pub(crate) use verdict::{by_bayes, by_lexicon, by_linear};

#[cfg(test)]
mod tests;
