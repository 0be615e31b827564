//! Several answers into one.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Result;
use crate::ids::Name;
use crate::money::Money;

/// One member's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// Who answered.
    pub agent: Name,
    /// What it said.
    pub value: Value,
    /// What it cost.
    pub cost: Money,
}

/// What became of the members' answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The answer.
    pub value: Value,
    /// The share of the weight that stands behind it, in millionths (1,000,000: all agree).
    pub agreement_ppm: u32,
    /// Who said otherwise, and what.
    pub dissent: Vec<Answered>,
    /// What each member cost, in the members' order.
    pub costs: Vec<(Name, Money)>,
    /// Whether no member stood out and the stated rule decided.
    pub tied: bool,
}

/// How a member stands while others are awaited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Member<'a> {
    /// It has answered.
    Answered {
        /// Who.
        agent: &'a Name,
        /// What it said.
        value: &'a Value,
    },
    /// Its answer is awaited.
    Awaited(&'a Name),
    /// It failed, and is passed over.
    Failed,
}

/// Folds several answers into one.
#[async_trait]
pub trait Aggregate: Send + Sync + fmt::Debug {
    /// The verdict on `answers`, in the order of the members.
    ///
    /// # Errors
    /// `invalid_request` when there is no answer, or one that this strategy cannot count.
    async fn aggregate(&self, answers: Vec<Answered>) -> Result<Verdict>;

    /// Whether no answer that is still awaited can change what `members`, in their order, have decided. Which of those who
    /// agree speaks for them may change still. Pure, since it is asked again when a run is replayed. Default: never.
    fn is_decided(&self, members: &[Member<'_>]) -> bool {
        let _ = members;
        false
    }
}
