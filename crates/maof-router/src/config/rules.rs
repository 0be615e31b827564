//! What single strategies need.

use std::path::PathBuf;

use maof_core::{Error, Name, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::learned::bandit::{linear, thompson};

/// What stays with one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sticky {
    /// A session; of a call without one, its tenant and user.
    #[default]
    Session,
    /// A tenant.
    Tenant,
    /// A user of a tenant.
    User,
    /// What a tenant's calls say under this tag; of one that says nothing, its tenant and user.
    Tag(#[schemars(with = "String")] Name),
}

/// A rule on tags. It holds for calls that say this under the tag, where any of its agents may answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TagRule {
    /// The tag.
    #[schemars(with = "String")]
    pub tag: Name,
    /// What it must say. Default: anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub is: Option<Name>,
    /// The agents that answer, and no others.
    #[schemars(with = "Vec<String>")]
    pub agents: Vec<Name>,
}

/// A tier of agents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The most difficult prompt for it: above the tier below, at most 1. Default 1. `maof route explain` shows how
    /// difficult a prompt is taken to be.
    #[serde(default = "one")]
    pub up_to: f32,
    /// Its agents; equals, for what comes after.
    #[schemars(with = "Vec<String>")]
    pub agents: Vec<Name>,
}

fn one() -> f32 {
    1.0
}

/// What the rank `learned` needs. Its arms are endpoints or agents, by name or alias; who is no arm comes last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Learned {
    /// The file that `maof route train` wrote, relative to the configuration. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// The part of the best single arm's quality to keep, as cheaply as held-out outcomes tell: 0.95 is 95 %. Default:
    /// as `cost_weight` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<f32>,
    /// How much quality (0 to 1) one more mean call of the best single arm must add to be worth its cost. Default: 0, the
    /// highest quality whatever it costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_weight: Option<f32>,
}

impl Learned {
    pub(super) fn validate(&self) -> Result<()> {
        let wrong = |why: &'static str, field: &'static str| Err(Error::invalid_request(why).param(field));
        match (self.quality, self.cost_weight) {
            (Some(_), Some(_)) => wrong("say `quality` or `cost_weight`, not both", "quality"),
            (Some(part), None) if !(part > 0.0 && part <= 1.5) => {
                wrong("must be above 0 and at most 1.5", "quality")
            }
            (None, Some(weight)) if !(0.0..=100.0).contains(&weight) => {
                wrong("must be 0 to 100", "cost_weight")
            }
            _ => Ok(()),
        }
    }
}

/// How the spread `thompson` learns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Thompson {
    /// What teaches it. Default `ends`.
    pub learn_from: Teacher,
    /// How much of quality (0 to 1) the cost of the dearest of those who may answer outweighs; the others' less, by their
    /// cost. Default 0: cost does not matter. At most 10.
    pub cost_weight: f64,
    /// How fast is forgotten, and how much is tried.
    pub belief: thompson::Config,
}

/// What teaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Teacher {
    /// Each answer that is complete counts 1 and each failure 0; feedback counts beside them.
    #[default]
    Ends,
    /// Feedback alone.
    Feedback,
}

/// How the spread `linear_thompson` learns: as `thompson`, but what an answer is worth is taken to be linear in 78 numbers of
/// the prompt (its words, folded, and plain numbers such as its length). Nothing is forgotten.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LinearThompson {
    /// What teaches it. Default `ends`.
    pub learn_from: Teacher,
    /// How much of quality (0 to 1) the cost of the dearest of those who may answer outweighs; the others' less, by their
    /// cost. Default 0: cost does not matter. At most 10.
    pub cost_weight: f64,
    /// Recorded outcomes to begin with, as `maof route train` reads them (JSON lines, not gzipped), relative to the configuration. Their
    /// models are endpoints, aliases or agents. Default: none. At most 100,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<PathBuf>,
    /// How strongly an arm without feedback is taken to be of no quality. Default 1; above 0, at most 1000.
    pub ridge: f64,
    /// How much is explored: the standard deviation of one feedback. Default 0.1; 0 (never) to 10.
    pub noise: f64,
}

impl Default for LinearThompson {
    fn default() -> Self {
        let linear::Config { ridge, noise, .. } = linear::Config::default();
        LinearThompson { learn_from: Teacher::default(), cost_weight: 0.0, outcomes: None, ridge, noise }
    }
}

impl LinearThompson {
    /// The shape of the belief.
    pub(crate) fn belief(&self) -> linear::Config {
        linear::Config { ridge: self.ridge, noise: self.noise, ..linear::Config::default() }
    }

    pub(super) fn validate(&self) -> Result<()> {
        if !(0.0..=10.0).contains(&self.cost_weight) {
            return Err(Error::invalid_request("must be 0 to 10").param("cost_weight"));
        }
        self.belief().validate()
    }
}

impl Default for Thompson {
    fn default() -> Self {
        Thompson { learn_from: Teacher::default(), cost_weight: 0.0, belief: thompson::Config::default() }
    }
}

impl Thompson {
    pub(super) fn validate(&self) -> Result<()> {
        if !(0.0..=10.0).contains(&self.cost_weight) {
            return Err(Error::invalid_request("must be 0 to 10").param("cost_weight"));
        }
        self.belief.validate().map_err(|e| {
            let field = format!("belief.{}", e.field().unwrap_or_default());
            e.param(field)
        })
    }
}
