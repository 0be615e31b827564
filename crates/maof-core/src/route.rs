//! Choosing: who should answer a call, in which order, and why.
//!
//! A decision is made for every call, so it copies nothing that it can share: whoever might answer stands in one list for
//! all decisions on the same target, and a decision holds places in it. Words are made when somebody asks why.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::call::Call;
use crate::error::{Error, Result};
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
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Its id, for feedback.
    pub id: DecisionId,
    /// Everybody who answers what was asked for, whoever asks; shared by all decisions on it.
    pub pool: Arc<[Candidate]>,
    /// Whom to ask, in order: places in `pool`, each at most once; never empty.
    pub order: Vec<u16>,
    /// How probable it was that the first would be the first: 1 where chance had no part, none where that is not known.
    pub propensity: Option<f64>,
    /// Why.
    pub why: Why,
}

/// What led to a decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Why {
    /// The strategy's name.
    pub strategy: &'static str,
    /// The arm of the split that the call fell to, where calls are split.
    pub arm: Option<Name>,
    /// How the pool was found, for people.
    pub found: Option<Arc<str>>,
    /// The stages that gave scores, in their order.
    pub stages: Arc<[&'static str]>,
    /// What each stage said of each candidate: `stages` numbers for every place of the pool, NaN where it said nothing.
    pub scores: Vec<f32>,
    /// Who was left out of the pool, and why.
    pub left_out: Vec<(u16, LeftOut)>,
}

/// Why somebody was not to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// The caller may not use the agent.
    Grant,
    /// The endpoint does not answer what is wanted.
    Operation,
    /// The endpoint is asked already, for another agent.
    Twice,
    /// The endpoint is drained: it finishes what it has and gets nothing new.
    Drained,
    /// A rule on tags names others.
    Tags,
    /// The prompt has more tokens than the endpoint takes.
    Context,
}

impl LeftOut {
    /// The reason's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Operation => "operation",
            Self::Twice => "twice",
            Self::Drained => "drained",
            Self::Tags => "tags",
            Self::Context => "context",
        }
    }
}

impl Decision {
    /// A decision on these candidates in this order, by nothing but the order.
    pub fn in_order(id: DecisionId, candidates: Vec<Candidate>, found: &str) -> Self {
        let order = (0..=u16::MAX).take(candidates.len()).collect();
        let why = Why { strategy: "priority", found: Some(found.into()), ..Why::default() };
        Decision { id, pool: candidates.into(), order, propensity: Some(1.0), why }
    }

    /// Whom to ask, in order.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.order.iter().filter_map(|place| self.pool.get(usize::from(*place)))
    }

    /// Whom to ask after so many others.
    pub fn candidate(&self, after: usize) -> Option<&Candidate> {
        self.order.get(after).and_then(|place| self.pool.get(usize::from(*place)))
    }

    /// The decision in words and numbers.
    pub fn explain(&self) -> Explanation<'_> {
        let stages = &self.why.stages;
        let scores = |place: u16| {
            let row = usize::from(place) * stages.len();
            let row = self.why.scores.get(row..row + stages.len()).unwrap_or_default();
            let said = stages.iter().zip(row).filter(|(_, score)| !score.is_nan());
            said.map(|(stage, score)| (*stage, *score)).collect()
        };
        let one = |place: &u16| {
            let candidate = self.pool.get(usize::from(*place))?;
            Some(Asked {
                agent: &candidate.agent,
                endpoint: &candidate.endpoint,
                scores: Scores(scores(*place)),
            })
        };
        let passed = |(place, why): &(u16, LeftOut)| {
            let candidate = self.pool.get(usize::from(*place))?;
            Some(Passed { agent: &candidate.agent, endpoint: &candidate.endpoint, why: *why })
        };
        Explanation {
            decision: self.id,
            strategy: self.why.strategy,
            arm: self.why.arm.as_ref(),
            found: self.why.found.as_deref().unwrap_or_default(),
            propensity: self.propensity,
            candidates: self.order.iter().filter_map(one).collect(),
            left_out: self.why.left_out.iter().filter_map(passed).collect(),
        }
    }
}

/// A decision in words and numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation<'a> {
    /// The decision.
    pub decision: DecisionId,
    /// The strategy's name.
    pub strategy: &'static str,
    /// The arm of the split that the call fell to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arm: Option<&'a Name>,
    /// How those who might answer were found.
    pub found: &'a str,
    /// How probable it was that the first would be the first.
    pub propensity: Option<f64>,
    /// Who is asked, in order.
    pub candidates: Vec<Asked<'a>>,
    /// Who is not.
    pub left_out: Vec<Passed<'a>>,
}

/// One who is asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Asked<'a> {
    /// The agent.
    pub agent: &'a Name,
    /// The endpoint.
    pub endpoint: &'a Name,
    /// What each stage said of it.
    pub scores: Scores,
}

/// What each stage said of a candidate; an object in JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores(pub Vec<(&'static str, f32)>);

impl Serialize for Scores {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// One who is not asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Passed<'a> {
    /// The agent.
    pub agent: &'a Name,
    /// The endpoint.
    pub endpoint: &'a Name,
    /// Why.
    pub why: LeftOut,
}

impl fmt::Display for Explanation<'_> {
    /// One line: `zoe@gpt (cheapest 120) > ada@haiku (cheapest 300), without bob@old: drained`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, one) in self.candidates.iter().enumerate() {
            write!(f, "{}{}@{}", if i > 0 { " > " } else { "" }, one.agent, one.endpoint)?;
            for (j, (stage, score)) in one.scores.0.iter().enumerate() {
                write!(f, "{}{stage} {score:.4}", if j > 0 { ", " } else { " (" })?;
            }
            f.write_str(if one.scores.0.is_empty() { "" } else { ")" })?;
        }
        for (i, one) in self.left_out.iter().enumerate() {
            let before = if i > 0 { ", " } else { "; without " };
            write!(f, "{before}{}@{}: {}", one.agent, one.endpoint, one.why.as_str())?;
        }
        Ok(())
    }
}

/// How asking one candidate went.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The decision that it was asked under.
    pub decision: DecisionId,
    /// Who was asked.
    pub candidate: &'a Candidate,
    /// How long it took until the reply began, or the refusal was there. Of what was dropped before, how long it had
    /// been waited for.
    pub waited: Duration,
    /// How it ended.
    pub end: &'a End,
}

/// Decides who answers, and learns from how it went.
pub trait Route: Send + Sync + fmt::Debug {
    /// Everybody who may answer `call`, in the configured order. Decides and counts nothing.
    ///
    /// # Errors
    /// As [`Route::decide`].
    fn candidates(&self, call: &Call) -> Result<Vec<Candidate>>;

    /// Who may answer `call`, best first.
    ///
    /// # Errors
    /// `not_found` when nobody is known by that name, type or capability; `permission_denied` when the
    /// principal may use none of them; `unavailable` when all of them are drained.
    fn decide(&self, call: &Call) -> Result<Decision>;

    /// The endpoint is asked now; [`Route::observe`] follows exactly once. By default nothing is counted.
    fn asked(&self, endpoint: &Name) {
        let _ = endpoint;
    }

    /// How asking somebody went.
    fn observe(&self, observed: Observed<'_>);

    /// What the answer under `decision`, made for a call of this tenant, was worth, 0 to 1. It may come late or never; what
    /// comes again changes nothing. By default nothing is learned.
    ///
    /// # Errors
    /// `not_found` naming `decision`: never made for this tenant, or so long ago that it was forgotten. `invalid_request` naming
    /// `score`, or `strategy` where it learns nothing.
    fn feedback(&self, tenant: &Name, decision: DecisionId, score: f64) -> Result<()> {
        let _ = (tenant, score);
        Err(Error::not_found(format!("no decision {decision} waits for feedback")).param("decision"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_names_who_is_asked_with_scores_and_who_is_not() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let one =
            |agent, endpoint| Candidate { agent: name(agent), endpoint: name(endpoint), instructions: None };
        let pool = vec![one("zoe", "gpt"), one("ada", "haiku"), one("bob", "old")];
        let decision = Decision {
            order: vec![1, 0],
            why: Why {
                strategy: "cheapest",
                arm: None,
                found: Some("they can".into()),
                stages: ["cheapest", "least_busy"].into(),
                scores: vec![300.0, f32::NAN, 120.0, 2.0, f32::NAN, f32::NAN],
                left_out: vec![(2, LeftOut::Drained)],
            },
            ..Decision::in_order(DecisionId::from_uuid(uuid::Uuid::nil()), pool, "")
        };
        let told = decision.explain();
        assert_eq!(
            told.to_string(),
            "ada@haiku (cheapest 120.0000, least_busy 2.0000) > zoe@gpt (cheapest 300.0000); without bob@old: drained"
        );
        let json = serde_json::to_value(&told).unwrap();
        assert_eq!(json["candidates"][0]["scores"]["least_busy"], 2.0);
        assert_eq!((&json["left_out"][0]["why"], &json["found"]), (&"drained".into(), &"they can".into()));
        let asked: Vec<_> = decision.candidates().map(|c| c.agent.as_str()).collect();
        assert_eq!((asked, decision.candidate(2)), (vec!["ada", "zoe"], None));
    }
}
