//! Which agents and endpoints there are.
//!
//! ```
//! use maof_core::{Name, Operation};
//! use maof_router::{Agent, Registry};
//! use std::collections::HashMap;
//! let agent = Agent { endpoints: vec![Name::new("gtp")?], ..Agent::new(Name::new("analyst")?) };
//! let offers = HashMap::from([(Name::new("gpt")?, vec![Operation::Chat])]);
//! let error = Registry::new(vec![agent], offers, HashMap::new()).unwrap_err();
//! assert_eq!(error.field(), Some("agents.analyst.endpoints[0]"));
//! # Ok::<(), maof_core::Error>(())
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use maof_core::{Card, Error, Name, Operation, Result, Tariff};

use crate::config::no_duplicates;

/// An agent: who answers under its name, how it is instructed and what it can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its name.
    pub name: Name,
    /// The endpoints that answer for it, most preferred first; at least one.
    pub endpoints: Vec<Name>,
    /// What it can do.
    pub capabilities: Vec<Name>,
    /// Standing instructions, to be put before every conversation.
    pub instructions: Option<Arc<str>>,
    /// What it is for, for people.
    pub description: String,
}

impl Agent {
    /// An agent of which only the name is known; it needs at least one endpoint.
    pub fn new(name: Name) -> Self {
        Agent {
            name,
            endpoints: Vec::new(),
            capabilities: Vec::new(),
            instructions: None,
            description: String::new(),
        }
    }
}

/// What is known of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// What it answers.
    pub operations: Vec<Operation>,
    /// What it charges. Default: nothing.
    pub tariff: Tariff,
    /// The most input tokens it takes; none where that is not known.
    pub context: Option<u64>,
}

impl From<Vec<Operation>> for Offer {
    fn from(operations: Vec<Operation>) -> Self {
        Offer { operations, ..Offer::default() }
    }
}

impl From<&Card> for Offer {
    fn from(card: &Card) -> Self {
        Offer { operations: card.operations.clone(), tariff: card.tariff, context: card.context }
    }
}

/// All agents and endpoints. Whatever it names exists.
#[derive(Clone, Debug)]
pub struct Registry {
    agents: Vec<Agent>,
    by_name: HashMap<Name, usize>,
    by_capability: HashMap<Name, Vec<usize>>,
    offers: HashMap<Name, Offer>,
    aliases: HashMap<Name, Name>,
}

impl Registry {
    /// A registry of these agents, in order of preference. `offers` says what each endpoint is;
    /// `aliases` gives endpoints further names, such as `provider/model`. Where a name is used twice, an
    /// agent's goes before an endpoint's, and an endpoint's before an alias.
    ///
    /// # Errors
    /// `invalid_request` naming the agent and its field: an unknown endpoint, none at all, or a name that
    /// appears twice.
    pub fn new(
        agents: Vec<Agent>,
        offers: HashMap<Name, impl Into<Offer>>,
        aliases: HashMap<Name, Name>,
    ) -> Result<Self> {
        let offers: HashMap<Name, Offer> =
            offers.into_iter().map(|(name, offer)| (name, offer.into())).collect();
        let mut by_name = HashMap::with_capacity(agents.len());
        let mut by_capability: HashMap<Name, Vec<usize>> = HashMap::new();
        for (at, agent) in agents.iter().enumerate() {
            check(agent, &offers)?;
            if by_name.insert(agent.name.clone(), at).is_some() {
                let why = format!("two agents are called `{}`; names must differ", agent.name);
                return Err(Error::invalid_request(why).param(format!("agents.{}.name", agent.name)));
            }
            for capability in &agent.capabilities {
                by_capability.entry(capability.clone()).or_default().push(at);
            }
        }
        let unknown = aliases.iter().filter(|(_, endpoint)| !offers.contains_key(*endpoint));
        // The least one, so that the same mistake is told the same way each time.
        if let Some((alias, endpoint)) = unknown.min() {
            let why = format!("stands for the endpoint `{endpoint}`, which does not exist");
            return Err(Error::invalid_request(why).param(format!("aliases.{alias}")));
        }
        Ok(Registry { agents, by_name, by_capability, offers, aliases })
    }

    /// All agents, in order of preference.
    pub fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// The agent of this name.
    pub fn agent(&self, name: &Name) -> Option<&Agent> {
        self.by_name.get(name).and_then(|at| self.agents.get(*at))
    }

    /// The agents that can do this, in order of preference.
    pub fn capable(&self, capability: &Name) -> impl Iterator<Item = &Agent> {
        let places = self.by_capability.get(capability).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|at| self.agents.get(*at))
    }

    /// The endpoint of this name or alias.
    pub fn endpoint(&self, name: &Name) -> Option<&Name> {
        let own = self.offers.get_key_value(name).map(|(name, _)| name);
        own.or_else(|| self.aliases.get(name))
    }

    /// Whether the endpoint of this name answers this.
    pub fn offers(&self, endpoint: &Name, operation: Operation) -> bool {
        self.offers.get(endpoint).is_some_and(|offer| offer.operations.contains(&operation))
    }

    /// Every endpoint, and what is known of it.
    pub(crate) fn all_offers(&self) -> &HashMap<Name, Offer> {
        &self.offers
    }

    /// Every further name of an endpoint, and the endpoint's own.
    pub(crate) fn aliases(&self) -> &HashMap<Name, Name> {
        &self.aliases
    }

    /// Everything that somebody can do.
    pub(crate) fn capabilities(&self) -> impl Iterator<Item = &Name> {
        self.by_capability.keys()
    }
}

/// Checks one agent by itself.
fn check(agent: &Agent, offers: &HashMap<Name, Offer>) -> Result<()> {
    let field = |field: &str| format!("agents.{}.{field}", agent.name);
    if agent.endpoints.is_empty() {
        let why = "an agent needs at least one endpoint to answer for it";
        return Err(Error::invalid_request(why).param(field("endpoints")));
    }
    let mut unknown =
        agent.endpoints.iter().enumerate().filter(|(_, endpoint)| !offers.contains_key(*endpoint));
    if let Some((i, endpoint)) = unknown.next() {
        let why = format!("no endpoint is called `{endpoint}`");
        return Err(Error::invalid_request(why).param(field(&format!("endpoints[{i}]"))));
    }
    no_duplicates(&agent.endpoints, &field("endpoints"))?;
    no_duplicates(&agent.capabilities, &field("capabilities"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<Name> {
        text.split_whitespace().map(|name| name.parse().unwrap()).collect()
    }

    fn agent(name: &str, endpoints: &str, capabilities: &str) -> Agent {
        Agent {
            endpoints: names(endpoints),
            capabilities: names(capabilities),
            ..Agent::new(name.parse().unwrap())
        }
    }

    fn registry(agents: &[Agent], aliases: &[(&str, &str)]) -> Result<Registry> {
        let offers = names("e f").into_iter().map(|name| (name, vec![Operation::Chat]));
        let aliases = aliases.iter().map(|(alias, name)| (alias.parse().unwrap(), name.parse().unwrap()));
        Registry::new(agents.to_vec(), offers.collect(), aliases.collect())
    }

    fn check(agents: &[Agent], aliases: &[(&str, &str)], expect: Result<(), &str>) {
        let found = registry(agents, aliases);
        let found = found.as_ref().map(drop).map_err(|e| e.field().unwrap());
        assert_eq!(found, expect);
    }

    #[test]
    fn what_does_not_fit_together_is_refused_by_name() {
        check(&[], &[], Ok(()));
        check(&[agent("a", "e f", "x y"), agent("b", "e", "x")], &[("p/e", "e")], Ok(()));
        check(&[agent("a", "e g", "")], &[], Err("agents.a.endpoints[1]"));
        check(&[agent("a", "", "")], &[], Err("agents.a.endpoints"));
        check(&[agent("a", "e e", "")], &[], Err("agents.a.endpoints[1]"));
        check(&[agent("a", "e", "x x")], &[], Err("agents.a.capabilities[1]"));
        check(&[agent("a", "e", ""), agent("a", "f", "")], &[], Err("agents.a.name"));
        check(&[], &[("p/g", "g")], Err("aliases.p/g"));
    }

    #[test]
    fn an_endpoints_own_name_goes_before_an_alias() {
        let registry = registry(&[], &[("f", "e"), ("p/e", "e")]).unwrap();
        let endpoint = |name: &str| registry.endpoint(&name.parse().unwrap()).map(Name::as_str);
        assert_eq!([endpoint("e"), endpoint("f"), endpoint("p/e")], [Some("e"), Some("f"), Some("e")]);
        assert_eq!(endpoint("g"), None);
    }

    #[test]
    fn who_can_do_something_is_told_in_the_configured_order() {
        let agents = [agent("z", "e", "x"), agent("a", "f", "x y"), agent("m", "e", "y")];
        let registry = registry(&agents, &[]).unwrap();
        let capable = |name: &str| {
            registry.capable(&name.parse().unwrap()).map(|a| a.name.as_str()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!([capable("x"), capable("y"), capable("q")], ["z a", "a m", ""]);
    }
}
