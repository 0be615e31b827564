//! Bandits: learn who answers best from feedback alone, and keep trying the others as often as that may pay.
//!
//! - [`Thompson`]: discounted, per task class and arm. The default.
//! - [`Linear`]: sees the request; forgets nothing.
//! - [`Pending`]: decisions that wait for feedback, by id.
//!
//! Not for a model that was trained and whose prompts stay what they were: it explores nothing and is better from the
//! first request on ([`super::Model`]).
//!
//! ```
//! use maof_core::Name;
//! use maof_router::learned::Seeded;
//! use maof_router::learned::bandit::{Candidate, Thompson, thompson};
//!
//! let (good, bad) = (Name::new("good")?, Name::new("bad")?);
//! let arms = [&good, &bad].map(|arm| Candidate { arm, penalty: 0.0 });
//! let (class, random) = (Name::new("summary")?, Seeded::new(1));
//! let mut bandit = Thompson::new(thompson::Config::default(), Name::new("node-1")?)?;
//! let mut asked = [0, 0];
//! for _ in 0..500 {
//!     // `drawn.propensity` is logged with the decision.
//!     if let Some(drawn) = bandit.choose(&class, &arms, &random) {
//!         asked[drawn.arm] += 1;
//!         bandit.observe(&class, arms[drawn.arm].arm, if drawn.arm == 0 { 1.0 } else { 0.0 })?;
//!     }
//! }
//! assert!(asked[0] > 450);
//! # Ok::<(), maof_core::Error>(())
//! ```

pub mod linear;
mod matching;
mod pending;
pub mod thompson;

#[cfg(test)]
mod tests;

pub use linear::Linear;
pub use matching::Drawn;
pub use pending::{Feedback, Pending};
pub use thompson::{Candidate, Thompson};
