//! Choosing: who should answer a call, in which order, and why.

use std::fmt;
use std::sync::Arc;

use crate::call::Call;
use crate::error::Result;
use crate::ids::{DecisionId, Name};
use crate::reply::End;

/// One agent at one endpoint that may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The agent.
    pub agent: Name,
    /// The endpoint.
    pub endpoint: Name,
    /// The agent's standing instructions.
    pub instructions: Option<Arc<str>>,
}

/// Who may answer, best first, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Its id, for feedback.
    pub id: DecisionId,
    /// Whom to ask, in order; never empty.
    pub candidates: Vec<Candidate>,
    /// Why, for people.
    pub why: String,
}

/// Decides who answers, and learns from how it went.
pub trait Route: Send + Sync + fmt::Debug {
    /// Who may answer `call`.
    ///
    /// # Errors
    /// `not_found` when nobody is known by that name, type or capability; `permission_denied` when the
    /// principal may use none of them.
    fn decide(&self, call: &Call) -> Result<Decision>;

    /// How the answer of `endpoint` under `decision` ended.
    fn observe(&self, decision: DecisionId, endpoint: &Name, end: &End);
}
