//! Strategies: one word, or stages of one's own.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// How those who may answer are put into an order: one word, or stages.
///
/// ```
/// use maof_router::{Spread, Strategy};
/// let word: Strategy = serde_json::from_str(r#""round_robin""#)?;
/// assert_eq!(word.stages().spread, Spread::RoundRobin);
/// let stages = r#"{"filter": ["capability"], "rank": ["complexity", "cheapest"], "spread": "least_busy"}"#;
/// let stages: Strategy = serde_json::from_str(stages)?;
/// assert_eq!(stages.as_str(), "composed");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Strategy {
    /// One word.
    Named(Named),
    /// Stages of one's own.
    Composed(Stages),
}

/// Strategies by name; each stands for stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Named {
    /// Those that `agent_map` names for it, else `default_agents`; in that order, always.
    Priority,
    /// Those that have a capability of the type's name, in the order in which they are configured; where
    /// nobody has it, as `priority`.
    Capability,
    /// Each as often as its share of `weights`.
    Weighted,
    /// Each in turn.
    RoundRobin,
    /// Who answers the fewest calls right now.
    LeastBusy,
    /// The quicker of two that are drawn.
    Latency,
    /// Who costs least for this prompt.
    Cheapest,
    /// Who takes least time for an answer that is right, failures counted in.
    Performance,
    /// The least tier in `tiers` that the prompt is not too difficult for.
    Complexity,
    /// Always the same one for what `sticky` names.
    Sticky,
    /// Whom the model of `learned` chooses.
    Learned,
    /// Whom Thompson sampling draws, learning from how answers end and from feedback.
    Thompson,
    /// The same, by what is known of the prompt itself rather than by the class of the task.
    LinearThompson,
}

/// Filter, rank, spread: some are left out, those who stay are ordered, and among equals one is drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stages {
    /// Who is left out. Who is drained always is, and who rests (its circuit breaker is open, its probe fails) comes last
    /// always. Default: nobody else.
    pub filter: Vec<Filter>,
    /// What comes first; those whom one calls equal are ordered by the next. Default: everybody is equal.
    pub rank: Vec<Rank>,
    /// Who is asked first among those whom every rank calls equal. Default `none`.
    pub spread: Spread,
}

/// Who is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Those without a capability of the type's name; where nobody has it, the agents of `agent_map` stay.
    Capability,
    /// Those whom the first rule of `tags` that fits does not name.
    Tags,
    /// Endpoints that take fewer input tokens than the prompt has, as far as that is known.
    Context,
}

/// What comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rank {
    /// The agents in the order of `agent_map`; an agent's endpoints are equals.
    Priority,
    /// The lowest cost of this prompt and an answer of 256 tokens; the same cost is equal.
    Cheapest,
    /// The shortest time until an answer begins of late; within a quarter is equal.
    Latency,
    /// The shortest time for one answer that is right: latency over the share of calls that succeed; within a quarter is
    /// equal.
    Performance,
    /// The least tier that the prompt is not too difficult for, then those above it, then those below.
    Complexity,
    /// The highest quality less cost by the model of `learned`.
    Learned,
}

/// Who is asked first among equals; the others follow in a circle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// The first one in the configured order.
    #[default]
    None,
    /// Anyone.
    Random,
    /// Each as often as its share of `weights`.
    Weighted,
    /// Each in turn.
    RoundRobin,
    /// Who answers the fewest calls right now, for its weight.
    LeastBusy,
    /// The quicker of two that are drawn: peak EWMA of the time until an answer begins, times the calls under way.
    Latency,
    /// Always the same one for what `sticky` names, by rendezvous hashing: when one leaves, only its own move.
    Sticky,
    /// As often as it is believed to be the best, by discounted Thompson sampling for each class of tasks.
    Thompson,
    /// As often as it is believed to be the best for this prompt, by linear Thompson sampling.
    LinearThompson,
}

impl Default for Strategy {
    fn default() -> Self {
        Strategy::Named(Named::Priority)
    }
}

impl Strategy {
    /// The strategy's name, as in configuration; `composed` where it has stages of its own.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Composed(_) => "composed",
            Self::Named(named) => named.as_str(),
        }
    }

    /// The stages that it stands for.
    pub fn stages(&self) -> Stages {
        let named = match self {
            Self::Composed(stages) => return stages.clone(),
            Self::Named(named) => named,
        };
        let (filter, rank, spread): (&[Filter], &[Rank], Spread) = match named {
            Named::Priority => (&[], &[], Spread::None),
            Named::Capability => (&[Filter::Capability], &[], Spread::None),
            Named::Weighted => (&[], &[], Spread::Weighted),
            Named::RoundRobin => (&[], &[], Spread::RoundRobin),
            Named::LeastBusy => (&[], &[], Spread::LeastBusy),
            Named::Latency => (&[], &[], Spread::Latency),
            Named::Cheapest => (&[], &[Rank::Cheapest], Spread::None),
            Named::Performance => (&[], &[Rank::Performance], Spread::Latency),
            Named::Complexity => (&[], &[Rank::Complexity], Spread::None),
            Named::Sticky => (&[], &[], Spread::Sticky),
            Named::Learned => (&[], &[Rank::Learned], Spread::None),
            Named::Thompson => (&[], &[], Spread::Thompson),
            Named::LinearThompson => (&[], &[], Spread::LinearThompson),
        };
        Stages { filter: filter.to_vec(), rank: rank.to_vec(), spread }
    }
}

impl Named {
    /// The name, as in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Capability => "capability",
            Self::Weighted => "weighted",
            Self::RoundRobin => "round_robin",
            Self::LeastBusy => "least_busy",
            Self::Latency => "latency",
            Self::Cheapest => "cheapest",
            Self::Performance => "performance",
            Self::Complexity => "complexity",
            Self::Sticky => "sticky",
            Self::Learned => "learned",
            Self::Thompson => "thompson",
            Self::LinearThompson => "linear_thompson",
        }
    }
}

impl Rank {
    /// The rank's name, as in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Cheapest => "cheapest",
            Self::Latency => "latency",
            Self::Performance => "performance",
            Self::Complexity => "complexity",
            Self::Learned => "learned",
        }
    }
}

impl Spread {
    /// The spread's name, as in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Random => "random",
            Self::Weighted => "weighted",
            Self::RoundRobin => "round_robin",
            Self::LeastBusy => "least_busy",
            Self::Latency => "latency",
            Self::Sticky => "sticky",
            Self::Thompson => "thompson",
            Self::LinearThompson => "linear_thompson",
        }
    }
}

// Not derived: what is wrong inside the stages would be told as "matches no variant".
impl<'de> Deserialize<'de> for Strategy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Strategy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a strategy, or its `filter`, `rank` and `spread`")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Strategy, E> {
                Named::deserialize(StrDeserializer::new(name)).map(Strategy::Named)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Strategy, A::Error> {
                Stages::deserialize(MapAccessDeserializer::new(map)).map(Strategy::Composed)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
