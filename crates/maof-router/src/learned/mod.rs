//! Learned choice: which arm (an endpoint, a model, an agent) a request should go to, learned from outcomes.
//!
//! - [`Training`] learns a [`Model`] from recorded [`Outcome`]s: for each arm, how likely its answer to a prompt is good,
//!   from hashed words and a few plain numbers, and from what came of the prompts most like it. Quality is weighed
//!   against price; thresholds are calibrated on outcomes held out, so that configuration says `quality >= 0.95`
//!   ([`Model::at_quality`]).
//! - [`Model::check`] looks at the cheap arm's answer and tells whether asking the strong one as well pays.
//! - [`bandit`] learns from feedback alone.
//! - [`evaluate`] measures all of it.
//!
//! Everything here is pure: no clock, no I/O, randomness from the [`maof_core::Random`] that is handed in. A model is
//! bounded by its number of buckets, arms and kept prompts, whatever it is fed.
//!
//! Not for choosing among arms of which no outcomes are known, nor for prompts of another kind than those that were
//! learned from: what was learned on one kind of question does not carry over to another.
//!
//! ```
//! use maof_core::{Name, Result};
//! use maof_router::learned::{Answer, Outcome, Policy, Scratch, Seeded, Training};
//!
//! // The strong model can do everything, the cheap one only what is easy.
//! let line = |n: u32| match n % 2 {
//!     0 => format!(r#"{{"prompt": "an easy question about {n}", "y": {{"cheap": 1, "strong": 1}}}}"#),
//!     _ => format!(r#"{{"prompt": "prove the hard lemma {n}", "y": {{"cheap": 0, "strong": 1}}}}"#),
//! };
//! let outcomes: Vec<Outcome> = (0..200).filter_map(|n| Outcome::parse(&line(n)).transpose()).collect::<Result<_>>()?;
//! let mut model = Training::default().train(&outcomes, &Seeded::new(1))?;
//!
//! let mut scratch = Scratch::default();
//! let (easy, hard) = ("an easy question about 777", "prove the hard lemma 777");
//! assert!(model.score(hard, &mut scratch) > model.score(easy, &mut scratch));
//! let chosen = model.choose(hard, Policy::Weigh(0.1), |_| true, &mut scratch).map(|arm| arm.arm.name.to_string());
//! assert_eq!(chosen.as_deref(), Some("strong"));
//! // The cheap answer is there, and it is a refusal.
//! let checked = model.check(easy, &Answer::new("I'm sorry, I cannot answer that."), &mut scratch);
//! assert!(checked.escalates(0.1));
//! // Feedback: one step, a few microseconds.
//! model.observe(easy, &Name::new("cheap")?, 0.0, &mut scratch)?;
//! # Ok::<(), maof_core::Error>(())
//! ```

mod arithmetic;
pub mod bandit;
mod blend;
mod calibration;
mod cascade;
mod config;
mod context;
mod data;
pub mod evaluate;
mod features;
mod file;
mod forest;
mod hash;
mod heads;
mod model;
mod neighbours;
mod outcome;
mod prices;
mod seeded;
mod train;
pub mod verify;

#[cfg(test)]
mod tests;

pub use calibration::{Calibration, Step, Tradeoff};
pub use config::Config;
pub use context::{Context, Contexts};
pub use file::MAX_BYTES;
pub(crate) use hash::hashed as hash;
pub use model::{Arm, Checked, MAX_ARMS, Model, Policy, Prospect, Scratch, Seen};
pub use outcome::{Outcome, Question};
pub use prices::Prices;
pub(crate) use seeded::uniform;
pub use seeded::{Seeded, shuffle};
pub use train::{MIN_OUTCOMES, Training, arms_of};
pub use verify::Answer;
