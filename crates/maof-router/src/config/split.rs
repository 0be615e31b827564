//! Shares of the calls that go another way: arms of a split (an A/B test), and a shadow.

use maof_core::{Error, Name, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::strategy::Strategy;

/// The arm of all calls that fall to no other.
pub(crate) const CONTROL: &str = "control";
/// The most arms.
const MOST: usize = 8;

/// A share of the calls that goes another way. What `sticky` names (a session, else a user) always falls to the same arm, and when
/// shares change nobody moves who need not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// What it is called in decisions, spans and metrics; not `control`, which is the rest.
    #[schemars(with = "String")]
    pub name: Name,
    /// Its share of the calls, above 0; all together at most 1.
    pub share: f64,
    /// The strategy that chooses for it. Say this, or `agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// The agent that answers instead, where the caller may use it and it answers calls of the kind. Say this, or `strategy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub agent: Option<Name>,
    /// The agent, endpoint, type of task or capability that must be asked for. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub of: Option<Name>,
}

/// A share of the conversations is also sent to another agent, in the background: nobody gets its answers, and no caller waits
/// for them or is told of them. They are billed, to the caller's accounts, under a hold of their own; the ledger calls
/// them `shadow`. An account `agent:NAME` bounds what they cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    /// The agent that is asked too, whoever may use it.
    #[schemars(with = "String")]
    pub agent: Name,
    /// The share of the conversations, above 0, at most 1; drawn for each.
    pub share: f64,
    /// The agent, endpoint, type of task or capability that must be asked for. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub of: Option<Name>,
    /// How many are under way at most; further ones are not made. None is made either while this process is above 70 % of what
    /// `resilience.load_shed` lets in. Default 16; 1 to 1,000.
    #[serde(default = "at_once")]
    pub max_concurrent: u32,
    /// How long one may take, in milliseconds. Default 60,000; 100 to 600,000.
    #[serde(default = "a_minute")]
    pub timeout_ms: u64,
}

const fn at_once() -> u32 {
    16
}

const fn a_minute() -> u64 {
    60_000
}

pub(super) fn validate(arms: &[Arm]) -> Result<()> {
    let wrong = |why: &str, field: String| Err(Error::invalid_request(why.to_owned()).param(field));
    if arms.len() > MOST {
        return wrong("has more than eight arms", "split".to_owned());
    }
    for (i, arm) in arms.iter().enumerate() {
        let at = format!("split[{i}]");
        if arm.name.as_str() == CONTROL || arms[..i].iter().any(|other| other.name == arm.name) {
            return wrong("each arm has a name of its own, and `control` is the rest", format!("{at}.name"));
        }
        if !(arm.share > 0.0 && arm.share <= 1.0) {
            return wrong("must be above 0 and at most 1", format!("{at}.share"));
        }
        if arm.strategy.is_some() == arm.agent.is_some() {
            return wrong("say either `strategy` or `agent`", format!("{at}.strategy"));
        }
    }
    // Shares such as three times 0.333 and 0.001 add up to a little more than 1.
    if arms.iter().map(|arm| arm.share).sum::<f64>() > 1.0 + 1e-9 {
        return wrong("all shares together are more than 1", "split".to_owned());
    }
    Ok(())
}

impl Shadow {
    pub(super) fn validate(&self) -> Result<()> {
        let wrong = |why: &str, field: &'static str| Err(Error::invalid_request(why.to_owned()).param(field));
        if !(self.share > 0.0 && self.share <= 1.0) {
            return wrong("must be above 0 and at most 1", "shadow.share");
        }
        if !(1..=1_000).contains(&self.max_concurrent) {
            return wrong("must be 1 to 1,000", "shadow.max_concurrent");
        }
        if !(100..=600_000).contains(&self.timeout_ms) {
            return wrong("must be 100 to 600,000 milliseconds", "shadow.timeout_ms");
        }
        Ok(())
    }
}
