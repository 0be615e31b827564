//! Votes: plurality, plain or weighted.
//!
//! Weights are made whole numbers first, so that sums are exact: neither the order of adding nor a rounding
//! decides a vote, and a tie is a tie.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use maof_core::{Aggregate, Answered, Member, Name, Result, Verdict};
use serde_json::Value;

use crate::ballot::ballot;
use crate::verdict::{nobody, ppm, verdict};

/// The largest weight that can be given.
pub(crate) const HEAVIEST: f64 = 1e9;

/// Nobody is ever surer than this, nor less sure than its opposite.
const SUREST: f64 = 0.999;

/// The answer with the most weight behind it.
#[derive(Debug)]
pub(crate) struct Vote {
    key: String,
    weigh: Weigh,
}

/// What a member's vote counts for.
#[derive(Debug)]
enum Weigh {
    /// One; a tie is decided by what those tied are worth together.
    Heads { priors: BTreeMap<Name, u64> },
    /// What is said of the member, one where nothing is.
    Members { weights: BTreeMap<Name, u64> },
    /// How sure the answer says that it is, at this pointer, among this many classes.
    Confidence { pointer: String, classes: f64 },
}

/// One member's vote.
struct Voter {
    weight: u64,
    /// Who among several speaks, and what decides a tie.
    standing: u64,
}

/// One answer that was given, and who gave it.
struct Class {
    ballot: String,
    weight: u128,
    standing: u128,
    /// The members that gave it, by place.
    members: Vec<usize>,
    /// The one of the highest standing, the earliest among equals; its answer is the whole class's.
    speaker: usize,
}

impl Vote {
    pub(crate) fn plain(key: String, priors: &BTreeMap<Name, f64>) -> Self {
        Vote { key, weigh: Weigh::Heads { priors: whole(priors) } }
    }

    pub(crate) fn weighted(key: String, weights: &BTreeMap<Name, f64>) -> Self {
        Vote { key, weigh: Weigh::Members { weights: whole(weights) } }
    }

    pub(crate) fn accurate(key: String, accuracies: &BTreeMap<Name, f64>, classes: u32) -> Self {
        let weights = accuracies.iter().map(|(name, p)| (name.clone(), log_odds(*p, f64::from(classes))));
        Self::weighted(key, &weights.collect())
    }

    pub(crate) fn pooled(key: String, pointer: String, classes: u32) -> Self {
        Vote { key, weigh: Weigh::Confidence { pointer, classes: f64::from(classes) } }
    }

    fn voter(&self, agent: &Name, value: &Value) -> Voter {
        let even = |weight: u64| Voter { weight, standing: weight };
        match &self.weigh {
            Weigh::Heads { priors } => Voter { weight: 1, standing: priors.get(agent).copied().unwrap_or(0) },
            Weigh::Members { weights } => {
                even(weights.get(agent).copied().unwrap_or_else(|| billionths(1.0)))
            }
            Weigh::Confidence { pointer, classes } => {
                // Who does not say how sure it is, is not counted; nobody is ever quite sure.
                let said = value.pointer(pointer).and_then(Value::as_f64);
                even(said.map_or(0, |c| billionths(log_odds(c.clamp(1.0 - SUREST, SUREST), *classes))))
            }
        }
    }

    /// The most that a member who has not answered may come to weigh.
    fn most(&self, agent: &Name) -> u64 {
        match &self.weigh {
            Weigh::Confidence { classes, .. } => billionths(log_odds(SUREST, *classes)),
            _ => self.voter(agent, &Value::Null).weight,
        }
    }

    /// The classes in the order in which members first gave them. Who weighs nothing, or whose answer lacks
    /// the part that is voted on, is in none.
    fn classes(&self, answers: &[Answered]) -> Vec<Class> {
        let voters: Vec<Voter> =
            answers.iter().map(|answer| self.voter(&answer.agent, &answer.value)).collect();
        let mut classes: Vec<Class> = Vec::new();
        for (place, (answer, voter)) in answers.iter().zip(&voters).enumerate() {
            let Some(said) = ballot(&answer.value, &self.key).filter(|_| voter.weight > 0) else { continue };
            let (weight, standing) = (u128::from(voter.weight), u128::from(voter.standing));
            match classes.iter_mut().find(|c| c.ballot == said) {
                Some(class) => {
                    class.weight += weight;
                    class.standing = match self.weigh {
                        Weigh::Heads { .. } => class.standing + standing,
                        _ => class.standing.max(standing),
                    };
                    class.members.push(place);
                    if voter.standing > voters[class.speaker].standing {
                        class.speaker = place;
                    }
                }
                None => {
                    let members = vec![place];
                    classes.push(Class { ballot: said, weight, standing, members, speaker: place });
                }
            }
        }
        classes
    }
}

#[async_trait]
impl Aggregate for Vote {
    async fn aggregate(&self, answers: Vec<Answered>) -> Result<Verdict> {
        let classes = self.classes(&answers);
        let rank = |class: &Class| (class.weight, class.standing);
        // Of several that rank alike the last is taken, so the earliest must come last.
        let winner = classes.iter().rev().max_by_key(|class| rank(class)).ok_or_else(nobody)?;
        let tied = classes.iter().filter(|c| c.weight == winner.weight).count() > 1;
        let agreement = ppm(winner.weight, classes.iter().map(|c| c.weight).sum());
        Ok(verdict(answers, winner.speaker, &winner.members, agreement, tied))
    }

    /// Once the leader is further ahead than all who are awaited weigh together: of the runner-up, or of an answer that
    /// nobody gave yet.
    fn is_decided(&self, members: &[Member<'_>]) -> bool {
        let (mut weights, mut awaited): (HashMap<String, u128>, u128) = (HashMap::new(), 0);
        for member in members {
            match member {
                Member::Answered { agent, value } => {
                    if let Some(said) = ballot(value, &self.key) {
                        *weights.entry(said).or_default() += u128::from(self.voter(agent, value).weight);
                    }
                }
                Member::Awaited(agent) => awaited += u128::from(self.most(agent)),
                Member::Failed => {}
            }
        }
        let mut weights: Vec<u128> = weights.into_values().collect();
        weights.sort_unstable();
        let leads = weights.pop().unwrap_or(0);
        leads > weights.pop().unwrap_or(0) + awaited
    }
}

/// What the vote of one who is right with probability `p` among so many classes should count for.
pub(crate) fn log_odds(p: f64, classes: f64) -> f64 {
    (p * (classes - 1.0) / (1.0 - p)).ln()
}

fn whole(weights: &BTreeMap<Name, f64>) -> BTreeMap<Name, u64> {
    weights.iter().map(|(name, weight)| (name.clone(), billionths(*weight))).collect()
}

/// A weight in whole billionths: nothing for one that is not above 0, else at least one.
fn billionths(weight: f64) -> u64 {
    match weight > 0.0 {
        true => (weight.min(HEAVIEST) * 1e9).round().max(1.0) as u64,
        false => 0,
    }
}
