//! The router: turns a call's target into candidates, best first.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use maof_core::{
    Call, Candidate, Classify as _, Clock, Decision, DecisionId, Error, Ids, Name, Observe, Observed,
    Outcome, Random, Result, Route, Signal, Target, Why,
};

use crate::choose::{Draft, Drawing, Equal, Forks, Plan, Sieve, Way, field, rank, sift, spread};
use crate::config::{Config, Rank, Spread};
use crate::learned::{Model, Seen};
use crate::learner::{Bandit, Heads, Linear, Memo, Memory, Who};
use crate::pool::{Pool, Pooling, Seat, Snapshot};
use crate::prompt;
use crate::pulse::Pulse;
use crate::registry::Registry;

/// What a router asks of the world.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Gives the decisions' ids.
    pub ids: Arc<dyn Ids>,
    /// Tells the time, for how quick everybody is.
    pub clock: Arc<dyn Clock>,
    /// Draws.
    pub random: Arc<dyn Random>,
    /// What this node is called among those that share what they learned; no two may have one name.
    pub node: Name,
}

/// Chooses as configured; see the [crate](crate). It never changes whom it knows: when agents and endpoints come and go, another
/// one follows it ([`Router::next`]), and whoever was routed by this one ends by it.
pub struct Router {
    config: Config,
    plan: Plan,
    /// For calls on an account near its limit.
    thrifty: Plan,
    forks: Forks,
    snapshot: Snapshot,
    bandit: Option<Arc<Bandit>>,
    linear: Option<Arc<Linear>>,
    heads: Option<Arc<Heads>>,
    memory: Option<Arc<Memory>>,
    ports: Ports,
    began: Instant,
}

impl Router {
    /// A router over these agents and endpoints. `model` is what `config.learned.model` names, read by whoever reads files;
    /// it is needed for the rank `learned` only.
    ///
    /// # Errors
    /// `invalid_request` naming the field of `config` that is wrong, names somebody who does not exist, or misses the
    /// model.
    pub fn new(registry: Registry, config: &Config, model: Option<Model>, ports: Ports) -> Result<Self> {
        let known = registry.all_offers().keys().map(|name| (name.clone(), Arc::default())).collect();
        let began = ports.clock.instant();
        Router::over(registry, config, model, known, Learners::default(), (ports, began))
    }

    /// The router that follows this one, over other agents and endpoints and perhaps by other rules. What is known of endpoints
    /// that `stay` is kept and shared with this one, as is all that was learned; those that come warm up. This one goes on
    /// for the calls that it routed. What learns already learns on as it was configured (`thompson`, `linear_thompson`, `learned`).
    ///
    /// # Errors
    /// As [`Router::new`].
    pub fn next(
        &self,
        registry: Registry,
        config: &Config,
        model: Option<Model>,
        stay: impl Fn(&Name) -> bool,
    ) -> Result<Router> {
        let now = self.now();
        let pulse = |name: &Name| {
            let known = self.snapshot.pulses.get(name).filter(|_| stay(name)).map(Arc::clone);
            (name.clone(), known.unwrap_or_else(|| Arc::new(Pulse::fresh(now))))
        };
        let pulses = registry.all_offers().keys().map(pulse).collect();
        let learners = Learners {
            bandit: self.bandit.clone(),
            linear: self.linear.clone(),
            heads: self.heads.clone(),
            memory: self.memory.clone(),
        };
        Router::over(registry, config, model, pulses, learners, (self.ports.clone(), self.began))
    }

    /// `learners` are those that there were before; whoever is missing begins.
    fn over(
        registry: Registry,
        config: &Config,
        model: Option<Model>,
        pulses: HashMap<Name, Arc<Pulse>>,
        learners: Learners,
        (ports, began): (Ports, Instant),
    ) -> Result<Self> {
        config.validate()?;
        check_names(&registry, config)?;
        let plan = Plan::of(&config.strategy);
        let learned = config.ranks_by(Rank::Learned);
        let heads = match learners.heads.filter(|_| learned) {
            Some(heads) => Some(heads),
            None => model.filter(|_| learned).map(|model| Arc::new(Heads::new(&config.learned, model))),
        };
        let model = heads.as_ref().map(|heads| heads.model());
        if learned {
            check_model(&registry, model.as_ref())?;
        }
        let node = || ports.node.clone();
        let bandit = match (learners.bandit, config.spreads_by(Spread::Thompson)) {
            (before, true) if before.is_some() => before,
            (_, true) => Some(Arc::new(Bandit::new(&config.thompson, node())?)),
            (_, false) => None,
        };
        let linear = match (learners.linear, config.spreads_by(Spread::LinearThompson)) {
            (before, true) if before.is_some() => before,
            (_, true) => Some(Arc::new(Linear::new(&config.linear_thompson, node())?)),
            (_, false) => None,
        };
        let learns = bandit.is_some() || linear.is_some() || heads.is_some();
        let memory = learns.then(|| learners.memory.unwrap_or_else(|| Arc::new(Memory::new())));
        let (stages, model) = (&plan.stages, model.as_ref());
        let pooling = Pooling { registry: &registry, config, stages, model, pulses: &pulses };
        Ok(Router {
            snapshot: pooling.snapshot(Arc::new(registry.clone())),
            memory,
            heads,
            bandit,
            linear,
            config: config.clone(),
            plan,
            thrifty: Plan::thrifty(&config.strategy),
            forks: Forks::new(config),
            began,
            ports,
        })
    }

    /// What is known of agents and endpoints.
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.snapshot.registry)
    }

    /// Gives an endpoint nothing new from now on, whatever else there is; or again, and lets it warm up.
    ///
    /// # Errors
    /// `not_found` naming `endpoint`.
    pub fn drain(&self, endpoint: &Name, drained: bool) -> Result<()> {
        self.pulse(endpoint)?.drain(drained, self.now());
        Ok(())
    }

    /// Takes in what a probe found. An endpoint that is not well is asked after all others.
    ///
    /// # Errors
    /// `not_found` naming `endpoint`.
    pub fn probed(&self, endpoint: &Name, well: bool) -> Result<()> {
        self.pulse(endpoint)?.probe(well, self.now());
        Ok(())
    }

    /// How many calls an endpoint has under way.
    ///
    /// # Errors
    /// `not_found` naming `endpoint`.
    pub fn in_flight(&self, endpoint: &Name) -> Result<u32> {
        Ok(self.pulse(endpoint)?.in_flight())
    }

    fn pulse(&self, endpoint: &Name) -> Result<Arc<Pulse>> {
        let unknown = || Error::not_found(format!("no endpoint is called `{endpoint}`")).param("endpoint");
        self.snapshot.pulses.get(endpoint).map(Arc::clone).ok_or_else(unknown)
    }

    /// Milliseconds since the router was made.
    fn now(&self) -> u64 {
        self.ports.clock.instant().saturating_duration_since(self.began).as_millis() as u64
    }

    /// Everybody who answers `target`, whoever asks.
    fn find(&self, target: &Target) -> Result<Arc<Pool>> {
        let snapshot = &self.snapshot;
        let found = match target {
            Target::Name(name) => snapshot.agents.get(name).or_else(|| snapshot.endpoints.get(name)),
            Target::Capability(capability) => snapshot.capabilities.get(capability),
            Target::TaskType(task_type) => snapshot.tasks.get(task_type).or(snapshot.default.as_ref()),
        };
        found.map(Arc::clone).ok_or_else(|| unknown(target))
    }

    /// Which way a call goes: who may answer it, by which strategy, and the arm of a split.
    fn way(&self, call: &Call) -> Result<(Arc<Pool>, &Plan, Option<&Name>)> {
        if call.near.is_some() {
            // No experiment is worth what is left.
            return Ok((self.peers(&call.target)?, &self.thrifty, None));
        }
        let Some(fork) = self.forks.arm(call) else {
            return Ok((self.find(&call.target)?, &self.plan, None));
        };
        match &fork.way {
            Way::By(plan) => {
                Ok((self.find(&call.target)?, plan.as_ref().unwrap_or(&self.plan), Some(&fork.name)))
            }
            Way::Agent(agent) => match self.instead(agent, call) {
                Some(pool) => Ok((pool, &self.plan, Some(&fork.name))),
                None => Ok((self.find(&call.target)?, &self.plan, self.forks.control())),
            },
        }
    }

    /// Everybody who answers `target`, and of an agent those who can do the same.
    fn peers(&self, target: &Target) -> Result<Arc<Pool>> {
        match target {
            Target::Name(agent) => match self.snapshot.peers.get(agent) {
                Some(peers) => Ok(Arc::clone(peers)),
                None => self.find(target),
            },
            Target::Capability(_) | Target::TaskType(_) => self.find(target),
        }
    }

    /// What somebody costs, for who is near a limit; no number for whom nobody knows to be good enough.
    fn thrift(&self, pool: &Pool, seat: &Seat, tokens: f32) -> f32 {
        let known = |bandit: &Arc<Bandit>| bandit.sure_of(&pool.class, &seat.drawn_as);
        match self.config.near_limit_quality {
            Some(least) if self.bandit.as_ref().map_or(0.0, known) < least => f32::NAN,
            _ => seat.cost(tokens),
        }
    }

    /// An agent that answers instead, unless the caller may not use it or it answers nothing of the kind.
    fn instead(&self, agent: &Name, call: &Call) -> Option<Arc<Pool>> {
        let pool = self.snapshot.agents.get(agent).map(Arc::clone)?;
        let able = pool.seats.iter().any(|seat| seat.offers(call.operation()));
        (able && call.principal.grant.allows(agent.as_str())).then_some(pool)
    }

    /// Where somebody stands who was chosen elsewhere.
    fn seated(&self, who: &Candidate) -> Option<(Arc<Pool>, u16)> {
        let snapshot = &self.snapshot;
        let pool = snapshot.agents.get(&who.agent).or_else(|| snapshot.endpoints.get(&who.agent))?;
        let place = pool.candidates.iter().position(|candidate| candidate.endpoint == who.endpoint)?;
        Some((Arc::clone(pool), place as u16))
    }

    fn sieve<'a>(&'a self, plan: &'a Plan, now: Option<u64>) -> Sieve<'a> {
        Sieve { config: &self.config, filters: &plan.stages.filter, stages: plan.told.len(), now }
    }

    /// Ranks, and tells what a model has seen of the prompt on the way.
    fn rank(&self, plan: &Plan, draft: &mut Draft<'_>, call: &Call, now: u64) -> Option<Seen> {
        let decay = self.config.decay_ms;
        let mut seen = None;
        for (stage, by) in plan.stages.rank.iter().enumerate() {
            match by {
                Rank::Priority => rank(draft, stage, Equal::Least, |seat| f32::from(seat.agent_place)),
                Rank::Cheapest if stage == 0 && call.near.is_some() => {
                    let (tokens, pool) = (prompt::tokens(&call.body), draft.pool);
                    rank(draft, stage, Equal::Least, |seat| self.thrift(pool, seat, tokens));
                }
                Rank::Cheapest => {
                    let tokens = prompt::tokens(&call.body);
                    rank(draft, stage, Equal::Least, |seat| seat.cost(tokens));
                }
                Rank::Latency => rank(draft, stage, Equal::Nearly, |seat| seat.pulse.pace(now, decay)),
                Rank::Performance => {
                    rank(draft, stage, Equal::Nearly, |seat| seat.pulse.performance(now, decay));
                }
                Rank::Complexity => {
                    let (tiers, difficulty) = (&self.config.tiers, prompt::difficulty(&call.body));
                    let fits = tiers.iter().position(|tier| difficulty <= tier.up_to);
                    let (fits, tiers) = (fits.unwrap_or_else(|| tiers.len().saturating_sub(1)), tiers.len());
                    rank(draft, stage, Equal::Least, |seat| tiers_off(seat.tier, fits, tiers));
                }
                Rank::Learned => {
                    let Some(heads) = &self.heads else { continue };
                    let (utilities, prompt) = heads.utilities(&prompt::question(&call.body));
                    let utility = |arm: usize| utilities.get(arm).copied();
                    rank(draft, stage, Equal::Most, |seat| seat.arm.and_then(utility).unwrap_or(f32::NAN));
                    seen = Some(prompt);
                }
            }
        }
        seen
    }
}

/// What learns, as the router before this one had it.
#[derive(Default)]
struct Learners {
    bandit: Option<Arc<Bandit>>,
    linear: Option<Arc<Linear>>,
    heads: Option<Arc<Heads>>,
    memory: Option<Arc<Memory>>,
}

/// How far a tier is from the one that fits, the least that a prompt is not too difficult for: 0 for that one, 1, 2 … for those
/// above it, then those below it. No number outside all tiers.
fn tiers_off(tier: Option<u16>, fits: usize, tiers: usize) -> f32 {
    match tier.map(usize::from) {
        None => f32::NAN,
        Some(tier) if tier >= fits => (tier - fits) as f32,
        Some(tier) => (tiers - tier) as f32,
    }
}

impl Route for Router {
    fn candidates(&self, call: &Call) -> Result<Vec<Candidate>> {
        let (pool, plan, _) = self.way(call)?;
        let draft = sift(&pool, call, &self.sieve(plan, None))?;
        let each = draft.places().filter_map(|at| pool.candidates.get(usize::from(at)));
        Ok(each.cloned().collect())
    }

    fn decide(&self, call: &Call) -> Result<Decision> {
        let (pool, plan, arm) = self.way(call)?;
        let now = self.now();
        let mut draft = sift(&pool, call, &self.sieve(plan, Some(now)))?;
        let seen = self.rank(plan, &mut draft, call, now);
        let (config, random) = (&self.config, &*self.ports.random);
        let linear = self.linear.as_deref().filter(|_| plan.stages.spread == Spread::LinearThompson);
        let context = linear.map(|linear| linear.look(&prompt::question(&call.body)));
        let linear = linear.zip(context.as_deref());
        let drawing = Drawing { config, call, random, now, bandit: self.bandit.as_deref(), linear };
        let propensity = spread(&mut draft, plan.stages.rank.len(), plan.stages.spread, &drawing);
        let (order, scores, left_out) = draft.finish();
        let id = DecisionId::from_uuid(self.ports.ids.next());
        if let Some(memory) = &self.memory {
            let place = order.first().copied().unwrap_or_default();
            let (tenant, pool) = (call.principal.tenant.clone(), Arc::clone(&pool));
            let (at, who) = (self.ports.clock.now(), Who::Here(pool, place));
            memory.remember(id, Memo { tenant, at, who, seen, context, settled: false });
        }
        let why = Why {
            strategy: plan.name,
            arm: arm.cloned(),
            found: Some(Arc::clone(&pool.found)),
            stages: Arc::clone(&plan.told),
            scores,
            left_out,
        };
        Ok(Decision { id, pool: Arc::clone(&pool.candidates), order, propensity, why })
    }

    fn asked(&self, endpoint: &Name) {
        if let Ok(pulse) = self.pulse(endpoint) {
            pulse.begin();
        }
    }

    fn observe(&self, observed: Observed<'_>) {
        let Observed { decision, candidate, waited, end } = observed;
        // A fault of the caller's, or a refusal of our own, tells nothing of the endpoint; neither does who left.
        let good = match &end.outcome {
            Outcome::Complete => Some(true),
            Outcome::Failed(failure) => Error::from(failure.clone()).is_fault().then_some(false),
            Outcome::Dropped => None,
        };
        if let Ok(pulse) = self.pulse(&candidate.endpoint) {
            let (now, decay) = (self.now(), self.config.decay_ms);
            pulse.end();
            match good {
                Some(true) => pulse.answered(waited, now, decay),
                Some(false) => pulse.failed(waited, now, decay),
                None => {}
            }
        }
        self.hear_of_end(decision, candidate, good);
    }

    fn feedback(&self, tenant: &Name, decision: DecisionId, score: f64) -> Result<()> {
        self.take_feedback(tenant, decision, score)
    }
}

impl Observe for Router {
    /// Hears of circuit breakers that open and close.
    fn on(&self, signal: Signal<'_>) {
        if let Signal::Circuit { endpoint, state } = signal
            && let Ok(pulse) = self.pulse(endpoint)
        {
            pulse.circuit(state, self.now());
        }
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Whoever the configuration names exists.
fn check_names(registry: &Registry, config: &Config) -> Result<()> {
    for (field, agent) in config.agents_named() {
        if registry.agent(agent).is_none() {
            return Err(Error::invalid_request(format!("no agent is called `{agent}`")).param(field));
        }
    }
    config.validate_weights(registry.agents().iter().map(|agent| (&agent.name, &*agent.endpoints)))
}

/// The model is there, and is of somebody who exists.
fn check_model(registry: &Registry, model: Option<&Model>) -> Result<()> {
    let Some(model) = model else {
        let why = "the model was not read; give its file, which `maof route train` wrote";
        return Err(Error::invalid_request(why).param("learned.model"));
    };
    let known = |name: &Name| registry.agent(name).is_some() || registry.endpoint(name).is_some();
    if model.arms().iter().any(|arm| known(&arm.name)) {
        return Ok(());
    }
    let arms: Vec<&str> = model.arms().iter().map(|arm| arm.name.as_str()).collect();
    let why = format!("none of the model's arms ({}) is an agent, an endpoint or an alias", arms.join(", "));
    Err(Error::invalid_request(why).param("learned.model"))
}

/// The error of a target that nobody answers.
fn unknown(target: &Target) -> Error {
    let error = match target {
        Target::Name(name) => Error::not_found(format!(
            "no agent, endpoint or model is called `{name}`; GET /agents or `maof agents` lists them"
        ))
        .code("model_not_found"),
        Target::TaskType(task_type) => Error::not_found(format!(
            "no agent is configured for the task type `{task_type}`; \
             add it to `routing.agent_map`, or set `routing.default_agents`"
        )),
        Target::Capability(capability) => Error::not_found(format!(
            "no agent can do `{capability}`; GET /agents or `maof agents` lists what they can"
        )),
    };
    error.param(field(target))
}

mod kept;
mod taught;
#[cfg(test)]
mod tests;
