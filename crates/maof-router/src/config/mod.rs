//! What can be set of routing: the strategy and what it needs, and which agents answer which type of task.

mod cascade;
mod rules;
mod split;
mod strategy;

use std::collections::BTreeMap;

use maof_core::{Error, Name, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use cascade::Cascade;
pub use rules::{Learned, LinearThompson, Sticky, TagRule, Teacher, Thompson, Tier};
pub(crate) use split::CONTROL;
pub use split::{Arm, Shadow};
pub use strategy::{Filter, Named, Rank, Spread, Stages, Strategy};

/// Who answers what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How those who may answer are put into an order: the name of a strategy, or its `filter`, `rank` and `spread`.
    /// Default `priority`.
    pub strategy: Strategy,
    /// The agents for each type of task, most preferred first. Default: none.
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    pub agent_map: BTreeMap<Name, Vec<Name>>,
    /// The agents for every other type of task, most preferred first. Default: none, so that an unknown type
    /// is refused.
    #[schemars(with = "Vec<String>")]
    pub default_agents: Vec<Name>,
    /// The shares of endpoints, or of agents for each of their endpoints, for the spreads `weighted` and `least_busy`; an
    /// endpoint with 0 is asked only after all others. Default: 1 each.
    #[schemars(with = "BTreeMap<String, u32>")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<Name, u32>,
    /// What stays with one endpoint under the spread `sticky`. Default `session`.
    pub sticky: Sticky,
    /// Rules for the filter `tags`; the first that fits holds. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<TagRule>,
    /// Tiers for the rank `complexity`, least first. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// How long an endpoint that comes, or comes back, takes to get its full share, in milliseconds; it begins with a
    /// tenth. Default 30,000; 0 (at once) to 3,600,000.
    pub warm_up_ms: u64,
    /// How fast `latency` and `performance` forget, in milliseconds: what is so long ago counts about a third. Default
    /// 10,000; 100 to 3,600,000.
    pub decay_ms: u64,
    /// How often each endpoint is asked whether it is well, in milliseconds: at its health path or for its list of models,
    /// nothing that is billed. One that is not is asked after all others. Default: none, its calls alone tell; 1,000 to
    /// 86,400,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_ms: Option<u64>,
    /// Shares of the calls that go another way (A/B tests). Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub split: Vec<Arm>,
    /// Cheap agents that are asked first. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cascade: Vec<Cascade>,
    /// Another agent that is asked too, without anybody getting its answers. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
    /// The quality, 0 to 1, that whoever is moved up because an account is near its limit must be known to have, to the
    /// strategy `thompson`, for the type of task; who is not known to have it keeps its place after the others. Default: none, who
    /// can do the same may answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near_limit_quality: Option<f64>,
    /// What the rank `learned` needs.
    pub learned: Learned,
    /// How the spread `thompson` learns.
    pub thompson: Thompson,
    /// How the spread `linear_thompson` learns.
    pub linear_thompson: LinearThompson,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            strategy: Strategy::default(),
            agent_map: BTreeMap::new(),
            default_agents: Vec::new(),
            weights: BTreeMap::new(),
            sticky: Sticky::default(),
            tags: Vec::new(),
            tiers: Vec::new(),
            warm_up_ms: 30_000,
            decay_ms: 10_000,
            probe_ms: None,
            split: Vec::new(),
            cascade: Vec::new(),
            shadow: None,
            near_limit_quality: None,
            learned: Learned::default(),
            thompson: Thompson::default(),
            linear_thompson: LinearThompson::default(),
        }
    }
}

impl Config {
    /// The types of tasks that have agents of their own.
    pub fn task_types(&self) -> impl Iterator<Item = &Name> {
        self.agent_map.keys()
    }

    /// Every agent that is named, with the field that names it, such as `agent_map.summary[0]`.
    pub fn agents_named(&self) -> impl Iterator<Item = (String, &Name)> {
        fn each(at: String, agents: &[Name]) -> impl Iterator<Item = (String, &Name)> {
            agents.iter().enumerate().map(move |(i, agent)| (format!("{at}[{i}]"), agent))
        }
        let mapped = self.agent_map.iter().flat_map(|(of, agents)| each(format!("agent_map.{of}"), agents));
        let default = each("default_agents".to_owned(), &self.default_agents);
        let tags = self.tags.iter().enumerate();
        let tags = tags.flat_map(|(i, rule)| each(format!("tags[{i}].agents"), &rule.agents));
        let tiers = self.tiers.iter().enumerate();
        let tiers = tiers.flat_map(|(i, tier)| each(format!("tiers[{i}].agents"), &tier.agents));
        let arms = self.split.iter().enumerate();
        let arms = arms.filter_map(|(i, arm)| Some((format!("split[{i}].agent"), arm.agent.as_ref()?)));
        let shadow = self.shadow.iter().map(|shadow| ("shadow.agent".to_owned(), &shadow.agent));
        let cascades = self.cascade.iter().enumerate().flat_map(|(i, cascade)| {
            let first = (format!("cascade[{i}].first"), &cascade.first);
            let second = cascade.second.iter().map(move |second| (format!("cascade[{i}].second"), second));
            std::iter::once(first).chain(second)
        });
        let shadow = shadow.chain(cascades);
        mapped.chain(default).chain(tags).chain(tiers).chain(arms).chain(shadow)
    }

    /// The strategy, and those of the arms of a split, each with its field.
    fn strategies(&self) -> impl Iterator<Item = (String, &Strategy)> {
        let arms = self.split.iter().enumerate();
        let arms = arms.filter_map(|(i, arm)| Some((format!("split[{i}].strategy"), arm.strategy.as_ref()?)));
        std::iter::once(("strategy".to_owned(), &self.strategy)).chain(arms)
    }

    /// Whether any calls are ranked by this.
    pub fn ranks_by(&self, rank: Rank) -> bool {
        self.strategies().any(|(_, strategy)| strategy.stages().rank.contains(&rank))
    }

    /// Whether any calls are spread by this.
    pub fn spreads_by(&self, spread: Spread) -> bool {
        self.strategies().any(|(_, strategy)| strategy.stages().spread == spread)
    }

    /// The arms of the split, the rest among them; none where calls are not split.
    pub fn arms(&self) -> Vec<Name> {
        let control = Name::new(CONTROL).ok().filter(|_| !self.split.is_empty());
        control.into_iter().chain(self.split.iter().map(|arm| arm.name.clone())).collect()
    }

    /// Checks the settings, but not whether agents and endpoints exist; [`crate::Router::new`] does.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        for (task_type, agents) in &self.agent_map {
            named(agents, &format!("agent_map.{task_type}"))?;
        }
        no_duplicates(&self.default_agents, "default_agents")?;
        let wrong = |why: &str, field: &'static str| Err(Error::invalid_request(why.to_owned()).param(field));
        split::validate(&self.split)?;
        for (i, cascade) in self.cascade.iter().enumerate() {
            cascade.validate(&format!("cascade[{i}]"))?;
        }
        self.shadow.as_ref().map_or(Ok(()), Shadow::validate)?;
        self.strategies().try_for_each(|(field, strategy)| self.validate_stages(&field, strategy))?;
        for (i, rule) in self.tags.iter().enumerate() {
            named(&rule.agents, &format!("tags[{i}].agents"))?;
        }
        self.validate_tiers()?;
        if self.warm_up_ms > 3_600_000 {
            return wrong("must be at most 3,600,000 milliseconds", "warm_up_ms");
        }
        if self.probe_ms.is_some_and(|every| !(1_000..=86_400_000).contains(&every)) {
            return wrong(
                "must be from 1,000 to 86,400,000 milliseconds; leave it away for no probes",
                "probe_ms",
            );
        }
        if !(100..=3_600_000).contains(&self.decay_ms) {
            return wrong("must be 100 to 3,600,000 milliseconds", "decay_ms");
        }
        if self.near_limit_quality.is_some_and(|least| !(0.0..=1.0).contains(&least)) {
            return wrong("must be 0 to 1; leave it away for none", "near_limit_quality");
        }
        let inside = |section: &'static str| {
            move |e: Error| {
                let field = format!("{section}.{}", e.field().unwrap_or_default());
                e.param(field)
            }
        };
        self.learned.validate().map_err(inside("learned"))?;
        self.thompson.validate().map_err(inside("thompson"))?;
        self.linear_thompson.validate().map_err(inside("linear_thompson"))
    }

    /// Checks the shares against agents and their endpoints: whoever is named exists, and somebody has a share.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate_weights<'a>(
        &self,
        agents: impl Iterator<Item = (&'a Name, &'a [Name])> + Clone,
    ) -> Result<()> {
        let mut all = agents.clone().flat_map(|(agent, endpoints)| endpoints.iter().map(move |e| (agent, e)));
        let known = |name: &Name| all.clone().any(|(agent, endpoint)| agent == name || endpoint == name);
        if let Some(name) = self.weights.keys().find(|name| !known(name)) {
            let why = format!("no agent is called `{name}`, and no agent's endpoint is");
            return Err(Error::invalid_request(why).param(format!("weights.{name}")));
        }
        if !self.weights.is_empty() && all.all(|(agent, endpoint)| self.weight(agent, endpoint) == 0) {
            let why = "all shares together are zero; give somebody a share above it";
            return Err(Error::invalid_request(why).param("weights"));
        }
        Ok(())
    }

    /// The share of an agent's endpoint.
    pub(crate) fn weight(&self, agent: &Name, endpoint: &Name) -> u32 {
        self.weights.get(endpoint).or_else(|| self.weights.get(agent)).copied().unwrap_or(1)
    }

    /// What stages need is there, and none is said twice.
    fn validate_stages(&self, at: &str, strategy: &Strategy) -> Result<()> {
        let stages = strategy.stages();
        let needs = |what: &str, field: &'static str| {
            let why = format!("the strategy needs {what}; say it, or choose another strategy");
            Err(Error::invalid_request(why).param(field))
        };
        if stages.rank.contains(&Rank::Complexity) && self.tiers.is_empty() {
            return needs("tiers of agents", "tiers");
        }
        if stages.filter.contains(&Filter::Tags) && self.tags.is_empty() {
            return needs("rules on tags", "tags");
        }
        if stages.rank.contains(&Rank::Learned) && self.learned.model.is_none() {
            return needs("the file that `maof route train` wrote", "learned.model");
        }
        if stages.filter.contains(&Filter::Capability)
            && !self.strategy.stages().filter.contains(&Filter::Capability)
        {
            let why =
                "who can do what is asked when agents are found: give `routing.strategy` this filter, too";
            return Err(Error::invalid_request(why).param(at.to_owned()));
        }
        let twice = |place: Option<usize>, field: &str| match place {
            None => Ok(()),
            Some(i) => Err(Error::invalid_request("is listed twice").param(format!("{at}.{field}[{i}]"))),
        };
        twice(repeated(&stages.filter), "filter")?;
        twice(repeated(&stages.rank), "rank")
    }

    fn validate_tiers(&self) -> Result<()> {
        let mut seen: Vec<&Name> = Vec::new();
        for (i, tier) in self.tiers.iter().enumerate() {
            let at = format!("tiers[{i}]");
            named(&tier.agents, &format!("{at}.agents"))?;
            if let Some(j) = tier.agents.iter().position(|agent| seen.contains(&agent)) {
                let why = format!("`{}` stands in another tier", tier.agents[j]);
                return Err(Error::invalid_request(why).param(format!("{at}.agents[{j}]")));
            }
            seen.extend(&tier.agents);
            let below = i.checked_sub(1).and_then(|i| self.tiers.get(i)).map_or(0.0, |tier| tier.up_to);
            if !(tier.up_to > below && tier.up_to <= 1.0) {
                let why = "must be above that of the tier below and at most 1";
                return Err(Error::invalid_request(why).param(format!("{at}.up_to")));
            }
        }
        Ok(())
    }
}

/// The place of the first that stands there before.
fn repeated<T: PartialEq>(items: &[T]) -> Option<usize> {
    items.iter().enumerate().find(|(i, item)| items[..*i].contains(item)).map(|(i, _)| i)
}

/// Refuses a list that names nobody, or somebody twice.
fn named(agents: &[Name], field: &str) -> Result<()> {
    if agents.is_empty() {
        let why = "names no agent; name at least one, or leave the entry away";
        return Err(Error::invalid_request(why).param(field.to_owned()));
    }
    no_duplicates(agents, field)
}

/// Refuses a list that names something twice.
pub(crate) fn no_duplicates(names: &[Name], field: &str) -> Result<()> {
    match repeated(names) {
        None => Ok(()),
        Some(i) => {
            let why = format!("`{}` is listed twice", names[i]);
            Err(Error::invalid_request(why).param(format!("{field}[{i}]")))
        }
    }
}

#[cfg(test)]
mod tests;
