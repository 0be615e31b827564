//! Everybody who answers a target, worked out before the first call: a decision only reads.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use maof_core::{Candidate, Name, Operation, Unit};

use crate::config::{Config, Filter, Stages};
use crate::learned::Model;
use crate::pulse::Pulse;
use crate::registry::{Agent, Offer, Registry};

/// Tokens of an answer that is not there yet, for its price.
const ANSWER_TOKENS: f32 = 256.0;
/// The most that a pool holds: places are 16 bits.
const MOST: usize = u16::MAX as usize;

/// Everybody who answers one target, most preferred first.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) candidates: Arc<[Candidate]>,
    /// What is known of each candidate, in their order.
    pub(crate) seats: Vec<Seat>,
    /// How they were found, for people.
    pub(crate) found: Arc<str>,
    /// What kind of task it is, for who learns.
    pub(crate) class: Name,
    /// Whether an endpoint stands in it twice.
    pub(crate) has_twins: bool,
    /// Whose turn it is.
    pub(crate) turn: AtomicU64,
}

/// What is known of a candidate, besides its names.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) pulse: Arc<Pulse>,
    operations: u8,
    /// The place of its agent among those of the pool.
    pub(crate) agent_place: u16,
    /// Its tier, from 0; none outside all tiers.
    pub(crate) tier: Option<u16>,
    pub(crate) weight: u32,
    /// Nano-dollars for a token of input, and for an answer and the request.
    price: (f32, f32),
    pub(crate) context: Option<u64>,
    /// For rendezvous hashing.
    pub(crate) hash: u64,
    /// Its place among the model's arms.
    pub(crate) arm: Option<usize>,
    /// What it goes by among those that a bandit draws from.
    pub(crate) drawn_as: Name,
}

impl Pool {
    /// What is known of the candidate at this place.
    pub(crate) fn seat(&self, place: u16) -> Option<&Seat> {
        self.seats.get(usize::from(place))
    }
}

impl Seat {
    pub(crate) fn offers(&self, operation: Operation) -> bool {
        self.operations & bit(operation) != 0
    }

    /// What a prompt of so many tokens and its answer cost, about, in nano-dollars.
    pub(crate) fn cost(&self, tokens: f32) -> f32 {
        self.price.0 * tokens + self.price.1
    }
}

/// All pools, and what they are made of; replaced as a whole when agents or endpoints come and go.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) registry: Arc<Registry>,
    pub(crate) pulses: HashMap<Name, Arc<Pulse>>,
    pub(crate) agents: HashMap<Name, Arc<Pool>>,
    /// By agent, whoever can do all that it can, itself first; none of who is alone in that.
    pub(crate) peers: HashMap<Name, Arc<Pool>>,
    /// By their own names and by aliases.
    pub(crate) endpoints: HashMap<Name, Arc<Pool>>,
    pub(crate) tasks: HashMap<Name, Arc<Pool>>,
    pub(crate) capabilities: HashMap<Name, Arc<Pool>>,
    /// For every other type of task.
    pub(crate) default: Option<Arc<Pool>>,
}

impl Snapshot {
    /// Each agent's endpoint, as a bandit draws it, with what it is recorded as: the name of the endpoint, an alias of it, or that of
    /// the agent, whichever is `known` first.
    pub(crate) fn arms(&self, known: impl Fn(&Name) -> bool) -> BTreeMap<Name, Name> {
        let pools = self.agents.values().chain(self.endpoints.values());
        let all = pools.flat_map(|pool| pool.candidates.iter().zip(&pool.seats));
        let arms = all.filter_map(|(candidate, seat)| {
            let aliases = self.registry.aliases().iter();
            let aliases =
                aliases.filter(|(_, endpoint)| **endpoint == candidate.endpoint).map(|(alias, _)| alias);
            let mut names = std::iter::once(&candidate.endpoint).chain(aliases).chain([&candidate.agent]);
            Some((seat.drawn_as.clone(), names.find(|name| known(name))?.clone()))
        });
        arms.collect()
    }
}

/// Makes pools.
pub(crate) struct Pooling<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) config: &'a Config,
    pub(crate) stages: &'a Stages,
    pub(crate) model: Option<&'a Model>,
    pub(crate) pulses: &'a HashMap<Name, Arc<Pulse>>,
}

impl Pooling<'_> {
    /// Every pool there is.
    pub(crate) fn snapshot(&self, registry: Arc<Registry>) -> Snapshot {
        let pool = |found: String, class: &Name, agents: &[&Agent]| Arc::new(self.pool(found, class, agents));
        let agents = self.registry.agents().iter();
        let agents =
            agents.map(|a| (a.name.clone(), pool(format!("`{}` is an agent", a.name), &a.name, &[a])));
        let own = self.registry.all_offers().keys().map(|name| (name, name));
        let endpoints = own.chain(self.registry.aliases()).map(|(name, endpoint)| {
            // An endpoint that is asked by name answers as an agent of its own, so that grants cover it too.
            let itself = Agent { endpoints: vec![endpoint.clone()], ..Agent::new(endpoint.clone()) };
            (name.clone(), pool(format!("`{name}` names the endpoint `{endpoint}`"), endpoint, &[&itself]))
        });
        let capabilities = self.registry.capabilities().map(|capability| {
            let able: Vec<&Agent> = self.registry.capable(capability).collect();
            (capability.clone(), pool(format!("these agents can do `{capability}`"), capability, &able))
        });
        let peers = self.registry.agents().iter().filter_map(|agent| {
            let able = |other: &&Agent| {
                other.name != agent.name
                    && agent.capabilities.iter().all(|one| other.capabilities.contains(one))
            };
            let others =
                self.registry.agents().iter().filter(able).filter(|_| !agent.capabilities.is_empty());
            let all: Vec<&Agent> = std::iter::once(agent).chain(others).collect();
            let found =
                format!("these agents can do what `{}` can, and an account is near its limit", agent.name);
            (all.len() > 1).then(|| (agent.name.clone(), pool(found, &agent.name, &all)))
        });
        Snapshot {
            peers: peers.collect(),
            agents: agents.collect(),
            endpoints: endpoints.collect(),
            capabilities: capabilities.collect(),
            tasks: self.tasks(),
            default: self.named(&self.config.default_agents).map(|agents| {
                let found = "nobody is named for this type of task, so the default agents answer";
                pool(
                    found.to_owned(),
                    &Name::new("default").unwrap_or_else(|_| agents[0].name.clone()),
                    &agents,
                )
            }),
            pulses: self.pulses.clone(),
            registry,
        }
    }

    /// The pools of types of tasks that have one of their own.
    fn tasks(&self) -> HashMap<Name, Arc<Pool>> {
        let by_capability = self.stages.filter.contains(&Filter::Capability);
        let able = self.registry.capabilities().filter(|_| by_capability);
        let types: HashSet<&Name> = self.config.agent_map.keys().chain(able).collect();
        let of = |task_type: &Name| {
            let able: Vec<&Agent> = self.registry.capable(task_type).filter(|_| by_capability).collect();
            if !able.is_empty() {
                return Some(self.pool(format!("these agents can do `{task_type}`"), task_type, &able));
            }
            let agents = self.named(self.config.agent_map.get(task_type)?)?;
            Some(self.pool(format!("the agent map names them for `{task_type}`"), task_type, &agents))
        };
        types.into_iter().filter_map(|name| Some((name.clone(), Arc::new(of(name)?)))).collect()
    }

    /// The agents of these names that there are; none where there are none.
    fn named(&self, names: &[Name]) -> Option<Vec<&Agent>> {
        let agents: Vec<&Agent> = names.iter().filter_map(|name| self.registry.agent(name)).collect();
        (!agents.is_empty()).then_some(agents)
    }

    fn pool(&self, found: String, class: &Name, agents: &[&Agent]) -> Pool {
        let (mut candidates, mut seats) = (Vec::new(), Vec::new());
        for (place, agent) in agents.iter().enumerate() {
            for endpoint in &agent.endpoints {
                let Some(seat) = self.seat(agent, endpoint, place) else { continue };
                let instructions = agent.instructions.clone();
                candidates.push(Candidate {
                    agent: agent.name.clone(),
                    endpoint: endpoint.clone(),
                    instructions,
                });
                seats.push(seat);
            }
        }
        candidates.truncate(MOST);
        seats.truncate(MOST);
        let endpoints: HashSet<&Name> = candidates.iter().map(|candidate| &candidate.endpoint).collect();
        Pool {
            has_twins: endpoints.len() < candidates.len(),
            candidates: candidates.into(),
            seats,
            found: found.into(),
            class: class.clone(),
            turn: AtomicU64::new(0),
        }
    }

    fn seat(&self, agent: &Agent, endpoint: &Name, place: usize) -> Option<Seat> {
        let offer = self.registry.all_offers().get(endpoint)?;
        let tier = self.config.tiers.iter().position(|tier| tier.agents.contains(&agent.name));
        Some(Seat {
            pulse: Arc::clone(self.pulses.get(endpoint)?),
            operations: offer.operations.iter().fold(0, |bits, operation| bits | bit(*operation)),
            agent_place: place as u16,
            tier: tier.map(|tier| tier as u16),
            weight: self.config.weight(&agent.name, endpoint),
            price: price(offer),
            context: offer.context,
            hash: crate::learned::hash(endpoint.as_str().as_bytes()),
            arm: self.model.and_then(|model| self.arm(model, agent, endpoint)),
            drawn_as: drawn_as(&agent.name, endpoint),
        })
    }

    /// The model's arm that an endpoint, or its agent, is.
    fn arm(&self, model: &Model, agent: &Agent, endpoint: &Name) -> Option<usize> {
        let find = |fits: &dyn Fn(&Name) -> bool| model.arms().iter().position(|arm| fits(&arm.name));
        let alias = |name: &Name| self.registry.aliases().get(name) == Some(endpoint);
        find(&|name| name == endpoint).or_else(|| find(&alias)).or_else(|| find(&|name| *name == agent.name))
    }
}

/// What an agent's endpoint goes by among those that a bandit draws from.
pub(crate) fn drawn_as(agent: &Name, endpoint: &Name) -> Name {
    let pair = Name::new(&format!("{agent}@{endpoint}")).ok();
    pair.filter(|_| agent != endpoint).unwrap_or_else(|| endpoint.clone())
}

fn price(offer: &Offer) -> (f32, f32) {
    let each = |unit| offer.tariff.price(unit) as f32 / 1e6;
    (each(Unit::Input), each(Unit::Output) * ANSWER_TOKENS + each(Unit::Request))
}

const fn bit(operation: Operation) -> u8 {
    1 << operation as u8
}
