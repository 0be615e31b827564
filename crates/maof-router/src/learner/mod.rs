//! What learns while it serves: a bandit by class or by prompt, or the heads of a trained model; and the decisions that wait for feedback.
//!
//! Decisions read, feedback writes. Both hold their lock for microseconds and never across an await.

mod bandit;
pub(crate) mod glimpses;
mod heads;
mod linear;
mod memory;
mod saved;

pub(crate) use bandit::Bandit;
pub(crate) use heads::Heads;
pub(crate) use linear::Linear;
pub(crate) use memory::{Ended, Lesson, Memo, Memory, Who};
pub(crate) use saved::{Saved, SavedLinear};
