//! What a journal keeps of a run: one record an event, each beginning with the version of its format.
//!
//! The format is MessagePack with field names, so that fields can be added; a change that old records
//! would not survive raises [`VERSION`].

use std::sync::Arc;

use bytes::Bytes;
use maof_core::{DecisionId, Error, ErrorKind, Failure, Money, Name, Result, RunState, Usage, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version that is written.
pub const VERSION: u8 = 1;

/// Bytes that most records fit in.
const TYPICAL: usize = 256;

/// One call of a run: which step, which item of its map, which of its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// The step's place in the workflow.
    pub step: u32,
    /// The item's place in the map; 0 without one.
    pub item: u32,
    /// The member's place in `parallel`; 0 without it.
    pub member: u32,
}

/// An agent's answer, and what it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentAnswer {
    /// The decision that chose who answered, for feedback; answers of old journals have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionId>,
    /// The agent that answered.
    pub agent: Name,
    /// The endpoint that answered.
    pub endpoint: Name,
    /// What it said: JSON where the text is a JSON object or list, else text.
    pub value: Value,
    /// What was used, over all attempts of the endpoint that answered.
    pub usage: Usage,
    /// What it cost.
    pub cost: Money,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// Requests to the endpoint that answered.
    pub attempts: u32,
    /// Candidates that were passed over.
    pub fallbacks: u32,
    /// The last of them, and why it did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<(Name, ErrorKind)>,
}

/// Something that happened to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record {
    /// The run was accepted, with this workflow.
    Accepted {
        /// The workflow as it was written.
        workflow: Value,
    },
    /// An agent is about to be asked.
    Asked {
        /// The call.
        slot: Slot,
        /// The step's name.
        step: Arc<str>,
        /// Whom.
        target: String,
        /// How often it was asked, this time included.
        attempt: u32,
    },
    /// An agent answered.
    Answered {
        /// The call.
        slot: Slot,
        /// The step's name.
        step: Arc<str>,
        /// The answer.
        answer: Box<AgentAnswer>,
    },
    /// An agent failed.
    Failed {
        /// The call.
        slot: Slot,
        /// The step's name.
        step: Arc<str>,
        /// How often it was asked.
        attempt: u32,
        /// How it failed.
        failure: Failure,
    },
    /// The answers of one item were folded.
    Joined {
        /// The step's place.
        index: u32,
        /// The item's place.
        item: u32,
        /// The step's name.
        step: Arc<str>,
        /// What came of it.
        verdict: Box<Verdict>,
    },
    /// The answers of one item could not be folded.
    JoinFailed {
        /// The step's place.
        index: u32,
        /// The item's place.
        item: u32,
        /// The step's name.
        step: Arc<str>,
        /// Why.
        failure: Failure,
    },
    /// The run ended.
    Finished {
        /// How.
        state: RunState,
        /// Why, if it failed.
        failure: Option<Failure>,
    },
}

impl Record {
    /// The bytes that a journal keeps.
    ///
    /// # Errors
    /// `internal` when it cannot be encoded.
    pub fn encode(&self) -> Result<Bytes> {
        let mut out = Vec::with_capacity(TYPICAL);
        self.write(&mut out)?;
        Ok(out.into())
    }

    /// What a journal keeps of several, as parts of one allocation.
    pub(crate) fn encode_all<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Vec<Bytes>> {
        let (mut out, mut ends) = (Vec::with_capacity(2 * TYPICAL), Vec::new());
        for record in records {
            record.write(&mut out)?;
            ends.push(out.len());
        }
        // Copied, so that a store that keeps it keeps no room that is not used.
        let mut rest = Bytes::copy_from_slice(&out);
        let starts = std::iter::once(0).chain(ends.clone());
        Ok(starts.zip(ends).map(|(start, end)| rest.split_to(end - start)).collect())
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        out.push(VERSION);
        rmp_serde::encode::write_named(out, self)
            .map_err(|e| Error::internal("a record could not be encoded").because(e))
    }

    /// Reads what [`Record::encode`] wrote.
    ///
    /// # Errors
    /// `internal` when the version is not known or the bytes are damaged.
    pub fn decode(bytes: &[u8]) -> Result<Record> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => rmp_serde::from_slice(rest)
                .map_err(|e| Error::internal("a journal record is damaged").because(e)),
            Some((version, _)) => Err(Error::internal(format!(
                "a journal record has format {version}; this version of MAOF reads {VERSION}"
            ))),
            None => Err(Error::internal("a journal record is empty")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_journal() {
        let slot = Slot { step: 1, item: 2, member: 3 };
        let answer = AgentAnswer {
            decision: Some(DecisionId::from_uuid(Default::default())),
            agent: Name::new("a").unwrap(),
            endpoint: Name::new("e").unwrap(),
            value: serde_json::json!({"label": "positive", "list": [1, 2.5, null, "x"]}),
            usage: Usage::default().with(maof_core::Unit::Input, 3).estimate(),
            cost: Money::from_nanos(7),
            micros: 9,
            attempts: 1,
            fallbacks: 1,
            instead_of: Some((Name::new("b").unwrap(), ErrorKind::BudgetExceeded)),
        };
        let records = [
            Record::Answered { slot, step: "s".into(), answer: Box::new(answer) },
            Record::Failed {
                slot,
                step: "s".into(),
                attempt: 2,
                failure: Error::timed_out("t").param("p").failure(),
            },
            Record::Finished { state: RunState::Completed, failure: None },
        ];
        let all = Record::encode_all(&records).unwrap();
        assert_eq!(all.len(), records.len());
        for (record, bytes) in records.iter().zip(all) {
            assert_eq!(Record::decode(&record.encode().unwrap()).unwrap(), *record);
            assert_eq!(bytes, record.encode().unwrap());
        }
    }

    #[test]
    fn another_version_and_damage_are_told_apart() {
        let check = |bytes: &[u8], expect: &str| {
            let error = Record::decode(bytes).unwrap_err();
            assert!(error.message().contains(expect), "{error}");
        };
        check(&[], "empty");
        check(&[9, 1, 2], "format 9");
        check(&[VERSION, 0xc1], "damaged");
    }
}
