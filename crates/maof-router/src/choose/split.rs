//! To which arm of a split a call falls.

use std::sync::Arc;

use maof_core::{Call, Name, Target};

use super::spread::{key, mixed};
use crate::config::{Arm, CONTROL, Config, Rank, Stages, Sticky, Strategy};
use crate::learned::hash;

/// A strategy, worked out.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) stages: Stages,
    /// The names of what gives scores.
    pub(crate) told: Arc<[&'static str]>,
}

/// Which way a call goes.
#[derive(Debug)]
pub(crate) enum Way {
    /// Chosen as everybody is, or by a strategy of its own.
    By(Option<Plan>),
    /// This agent answers.
    Agent(Name),
}

/// One arm; the rest is one, too.
#[derive(Debug)]
pub(crate) struct Fork {
    pub(crate) name: Name,
    pub(crate) way: Way,
    of: Option<Name>,
    share: f64,
    hash: u64,
}

/// All arms; nobody's where calls are not split.
#[derive(Debug)]
pub(crate) struct Forks {
    sticky: Sticky,
    /// The rest comes first.
    all: Vec<Fork>,
}

impl Plan {
    pub(crate) fn of(strategy: &Strategy) -> Plan {
        let stages = strategy.stages();
        let ranks = stages.rank.iter().map(|rank| rank.as_str());
        let last = Some(stages.spread.as_str()).filter(|spread| *spread != "none");
        Plan { name: strategy.as_str(), told: ranks.chain(last).collect(), stages }
    }

    /// The same for a call on an account near its limit: whoever is cheaper comes first.
    pub(crate) fn thrifty(strategy: &Strategy) -> Plan {
        let Plan { mut stages, told, .. } = Plan::of(strategy);
        stages.rank.insert(0, Rank::Cheapest);
        let told = std::iter::once(Rank::Cheapest.as_str()).chain(told.iter().copied()).collect();
        Plan { name: "near_limit", stages, told }
    }
}

impl Fork {
    fn new(name: Name, share: f64, way: Way, of: Option<Name>) -> Fork {
        let hash = mixed(hash(name.as_str().as_bytes()));
        Fork { name, way, of, share, hash }
    }

    fn of(arm: &Arm) -> Fork {
        let way = match &arm.agent {
            Some(agent) => Way::Agent(agent.clone()),
            None => Way::By(arm.strategy.as_ref().map(Plan::of)),
        };
        Fork::new(arm.name.clone(), arm.share, way, arm.of.clone())
    }

    /// Weighted rendezvous (C. Schindelhauer and G. Schomaker, "Weighted Distributed Hash Tables", SPAA 2005): everybody
    /// draws a number from its own name and the key, and the highest for its share wins.
    fn draws(&self, key: u64) -> f64 {
        // The upper 53 bits, a half above the lowest: never 0 and never 1.
        let drawn = ((mixed(self.hash ^ key) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -self.share / drawn.ln()
    }
}

impl Forks {
    pub(crate) fn new(config: &Config) -> Forks {
        let rest = (1.0 - config.split.iter().map(|arm| arm.share).sum::<f64>()).max(0.0);
        let control = Name::new(CONTROL).ok().filter(|_| !config.split.is_empty());
        let control = control.map(|name| Fork::new(name, rest, Way::By(None), None));
        let all = control.into_iter().chain(config.split.iter().map(Fork::of)).collect();
        Forks { sticky: config.sticky.clone(), all }
    }

    /// The arm of a call; none where calls are not split.
    pub(crate) fn arm(&self, call: &Call) -> Option<&Fork> {
        let control = self.all.first()?;
        let key = key(&self.sticky, call);
        let drawn = self.all.iter().max_by(|a, b| a.draws(key).total_cmp(&b.draws(key)))?;
        Some(if drawn.of.as_ref().is_none_or(|of| asks_for(call, of)) { drawn } else { control })
    }

    /// The rest.
    pub(crate) fn control(&self) -> Option<&Name> {
        self.all.first().map(|fork| &fork.name)
    }
}

/// Whether a call asks for this.
pub(crate) fn asks_for(call: &Call, of: &Name) -> bool {
    let (Target::Name(name) | Target::TaskType(name) | Target::Capability(name)) = &call.target;
    name == of
}
