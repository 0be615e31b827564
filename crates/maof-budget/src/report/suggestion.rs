//! A suggestion: what would have cost less, how much, and what says so.

use std::sync::Arc;

use maof_core::{Money, Spent, Timestamp};
use serde::{Serialize, Serializer};

/// What a suggestion is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Another endpoint of the same agent, or another agent's, charges less for the same.
    Cheaper,
    /// Prompts begin in the same way again and again, and their provider could keep what it read of them.
    PromptCache,
    /// The same question was asked again, and its answer could have been kept.
    ResponseCache,
    /// A few questions are much larger than the others, and cost most.
    OversizedContext,
    /// Callers ask for room that no answer needs: it is held, and keeps others from being admitted.
    UnusedMaxTokens,
}

/// What would have cost less.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suggestion {
    /// What it is about.
    pub kind: Kind,
    /// Whose calls: an agent, or an endpoint.
    pub of: Arc<str>,
    /// What to do, in a sentence.
    pub advice: String,
    /// What would not have been spent in the time that was looked at.
    #[serde(rename = "saves_usd", serialize_with = "dollars")]
    pub saves: Money,
    /// What would not have been held, of what is held for one call. It is given back all the same.
    #[serde(rename = "frees_usd", serialize_with = "dollars", skip_serializing_if = "is_zero")]
    pub frees: Money,
    /// What the ledger says.
    pub evidence: Evidence,
    /// What the ledger does not say, and the saving depends on.
    pub assumes: String,
}

/// What the ledger says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Evidence {
    /// How many attempts speak for it.
    pub attempts: u64,
    /// On how many days they lie, from the first to the last.
    pub days: u64,
    /// What they cost.
    #[serde(rename = "cost_usd", serialize_with = "dollars")]
    pub cost: Money,
    /// The amounts that the saving was worked out from, in words.
    pub says: String,
}

impl Evidence {
    /// Of these attempts.
    pub fn of(spent: &Spent, says: String) -> Self {
        Evidence { attempts: spent.attempts, days: days(spent), cost: spent.cost, says }
    }
}

/// Days (UTC) from the first attempt to the last.
pub(super) fn days(spent: &Spent) -> u64 {
    let day = |at: Timestamp| at.as_secs().div_euclid(86_400);
    match (spent.first, spent.last) {
        (Some(first), Some(last)) => u64::try_from(day(last) - day(first) + 1).unwrap_or(0),
        _ => 0,
    }
}

/// Those that save most first; at most 100.
pub fn dearest_first(mut suggestions: Vec<Suggestion>) -> Vec<Suggestion> {
    suggestions.sort_by(|a, b| {
        let key = |s: &Suggestion| (std::cmp::Reverse((s.saves, s.frees)), s.kind, Arc::clone(&s.of));
        key(a).cmp(&key(b))
    });
    suggestions.truncate(100);
    suggestions
}

fn dollars<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    // As text: JSON numbers are floats to many.
    serializer.serialize_str(money.amount(&mut [0; Money::WIDEST]))
}

fn is_zero(money: &Money) -> bool {
    *money == Money::ZERO
}
