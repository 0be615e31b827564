//! What was learned, as it is kept for the next start.

use maof_core::{DecisionId, Error, Name, Result, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::memory::{Memo, Who};
use crate::learned::bandit::{linear, thompson};

/// The version of [`Saved`] and [`SavedLinear`].
const VERSION: u16 = 1;

/// What a router knows beside its configuration; JSON of at most a megabyte or so.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    version: u16,
    /// Under which name it learned: whoever goes on from it goes on as the same node.
    pub(crate) node: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) thompson: Option<thompson::State>,
    /// Decisions that feedback may still come for.
    pub(crate) decisions: Vec<Waiting>,
}

/// A decision that feedback may still come for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Waiting {
    pub(crate) id: DecisionId,
    pub(crate) at: Timestamp,
    pub(crate) tenant: Name,
    /// The kind of task, and who answered.
    pub(crate) class: Name,
    pub(crate) agent: Name,
    pub(crate) endpoint: Name,
    /// Whether feedback has come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) settled: bool,
}

impl Saved {
    pub(crate) fn new(node: Name, thompson: Option<thompson::State>, decisions: Vec<Waiting>) -> Saved {
        Saved { version: VERSION, node, thompson, decisions }
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        to_bytes(self)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Saved> {
        from_bytes(bytes)
    }
}

/// What linear sampling learned; JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedLinear {
    version: u16,
    /// As in [`Saved`].
    pub(crate) node: Name,
    pub(crate) state: linear::State,
}

impl SavedLinear {
    pub(crate) fn new(node: Name, state: linear::State) -> SavedLinear {
        SavedLinear { version: VERSION, node, state }
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        to_bytes(self)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<SavedLinear> {
        from_bytes(bytes)
    }
}

fn to_bytes(saved: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(saved).map_err(|e| Error::internal("what was learned is no JSON").because(e))
}

fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let damaged = |e: serde_json::Error| {
        Error::invalid_request("what was learned before is damaged or of another version").because(e)
    };
    /// Told before anything else is read: another version may have other fields.
    #[derive(Deserialize)]
    struct Version {
        version: u16,
    }
    let Version { version } = serde_json::from_slice(bytes).map_err(damaged)?;
    if version != VERSION {
        let why = format!("what was learned before has version {version}, this build reads {VERSION}");
        return Err(Error::invalid_request(why));
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

impl Waiting {
    /// None where who was chosen is not known.
    pub(super) fn of(id: DecisionId, memo: &Memo) -> Option<Waiting> {
        let (pool, place) = match &memo.who {
            Who::Before(waiting) => return Some(Waiting { settled: memo.settled, ..(**waiting).clone() }),
            Who::Here(pool, place) => (pool, place),
        };
        let candidate = pool.candidates.get(usize::from(*place))?;
        Some(Waiting {
            id,
            at: memo.at,
            tenant: memo.tenant.clone(),
            class: pool.class.clone(),
            agent: candidate.agent.clone(),
            endpoint: candidate.endpoint.clone(),
            settled: memo.settled,
        })
    }
}
