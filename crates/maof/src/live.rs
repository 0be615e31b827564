//! What may be replaced while MAOF runs: endpoints, agents and the rules of who answers, as one whole.
//!
//! A [`Live`] never changes. Whoever calls takes the one that serves now and ends by it, so that nobody meets half of a
//! change; the next one shares with it whatever stays: endpoints and their connections, the state of their protections, what
//! is known of them and what was learned.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use maof_budget::Limits;
use maof_core::{
    Audit, Cache, Call, Card, CircuitState, Clock, Endpoint, Error, Hedge, Ids, Ledger, Name, Observe,
    Random, Reply, Result, Route, Signal, Snapshots,
};
use maof_engine::{CallService, WorkflowSpec};
use maof_resilience::hedge::Hedges;
use maof_telemetry::{Fan, Health, Metrics};
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt as _};

use crate::alerting;
use crate::config::{Config, EndpointConfig};
use crate::costs::Costs;
use crate::counting::Counting;
use crate::endpoints;
use crate::handle::AgentInfo;
use crate::lasting::{Lasting, Protection, survival};
use crate::priced::Priced;
use crate::stack;

/// The one of several that holds now. Read for less than a microsecond, and never across an await.
#[derive(Debug)]
pub(crate) struct Now<T>(RwLock<Arc<T>>);

impl<T> Now<T> {
    pub(crate) fn new(first: T) -> Arc<Now<T>> {
        Arc::new(Now(RwLock::new(Arc::new(first))))
    }

    pub(crate) fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read())
    }

    fn set(&self, next: Arc<T>) {
        *self.0.write() = next;
    }
}

/// Tells whoever watches now. For what outlives those who watched when it was made.
impl Observe for Now<Fan> {
    fn on(&self, signal: Signal<'_>) {
        self.get().on(signal);
    }
}

/// What is the same as long as MAOF runs.
pub(crate) struct Ground {
    /// Endpoints that were added by whoever embeds it.
    pub(crate) added: Vec<Arc<dyn Endpoint>>,
    pub(crate) lasting: Arc<Lasting>,
    pub(crate) cache: Option<Arc<dyn Cache>>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) audit: Arc<dyn Audit>,
    /// Where changed limits are kept; none where nothing is.
    pub(crate) keep: Option<Arc<dyn Snapshots>>,
    /// One limit is changed at a time.
    pub(crate) changing: Arc<tokio::sync::Mutex<()>>,
    pub(crate) health: Arc<Health>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) tracker: TaskTracker,
    pub(crate) closing: CancellationToken,
    /// Whoever watches now.
    pub(crate) observe: Arc<Now<Fan>>,
}

/// One configuration of endpoints and agents, at work.
pub(crate) struct Live {
    pub(crate) config: Arc<Config>,
    pub(crate) agents: Vec<AgentInfo>,
    /// Agents and endpoints by the further names that callers may give.
    pub(crate) aliases: BTreeMap<Name, Name>,
    pub(crate) endpoints: Vec<Arc<dyn Endpoint>>,
    pub(crate) route: Arc<maof_router::Router>,
    pub(crate) calls: CallService,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) costs: Arc<Costs>,
    limits: Arc<Limits>,
    fan: Arc<Fan>,
    made: HashMap<Name, Made>,
    hedges: Option<Arc<Hedges>>,
    /// Counts the changes after which somebody else may answer, or otherwise.
    epoch: u64,
    /// The endpoints that are what they were in the one before, as far as their upstream can tell.
    pub(crate) stay: HashSet<Name>,
}

/// An endpoint, and what belongs to it.
struct Made {
    endpoint: Arc<dyn Endpoint>,
    protection: Protection,
    /// None of one that was added.
    priced: Option<Priced>,
}

impl Live {
    /// The first one, or the one that follows `before`. It does nothing until it is [put in place](Live::begin).
    ///
    /// # Errors
    /// `invalid_request` naming the key of the configuration that is wrong.
    pub(crate) fn new(
        ground: &Ground,
        config: Config,
        workflows: &[WorkflowSpec],
        before: Option<&Live>,
    ) -> Result<Live> {
        let priced = endpoints::priced(&config)?;
        let (made, stay) = make_all(ground, &config, &priced, before)?;
        let names = ground.added.iter().map(|endpoint| &endpoint.card().name);
        let names = names.chain(config.endpoints.iter().map(|endpoint| &endpoint.name));
        let all: Vec<Arc<dyn Endpoint>> =
            names.filter_map(|name| made.get(name)).map(|made| Arc::clone(&made.endpoint)).collect();
        let agents = agents(ground, &config);
        let route = Arc::new(router(ground, &config, registry(&agents, &config, &all)?, before, &stay)?);
        let metrics = Arc::new(metrics(&config, &agents, &all, workflows, before)?);
        let fan = observers(&metrics, &ground.health, &route);
        let named = all.iter().map(|endpoint| endpoint.card().name.clone());
        let hedges = match before.map(|before| &before.hedges) {
            None => ground.lasting.hedges(named),
            Some(hedges) => hedges.as_ref().map(|h| Arc::new(h.next(named, |name| stay.contains(name)))),
        };
        let epoch =
            before.map_or(0, |before| before.epoch + u64::from(answers_change(before, &config, &made)));
        let limits = Arc::new(limits(&config, before)?);
        let costs = costs(ground, &config, &limits, &route)?;
        let parts = stack::Parts {
            after_first_byte: config.resilience.after_first_byte,
            lasting: Arc::clone(&ground.lasting),
            protections: made.iter().map(|(name, made)| (name.clone(), made.protection.clone())).collect(),
            hedges: hedges.as_ref().map(|hedges| Arc::clone(hedges) as Arc<dyn Hedge>),
            cache: config.cache.clone().zip(ground.cache.clone()),
            epoch,
            priced,
            outputs: Arc::new(outputs(&config)?),
            limits: Arc::clone(&limits),
            alerts: alerts(ground, &config, &fan)?,
            ledger: Arc::clone(&ground.ledger),
            audit: Arc::clone(&ground.audit),
            route: Arc::clone(&route) as Arc<dyn Route>,
            clock: Arc::clone(&ground.clock),
            random: Arc::clone(&ground.random),
            ids: Arc::clone(&ground.ids),
            observe: Arc::clone(&fan) as Arc<dyn Observe>,
            routing: config.routing.clone(),
            cascades: cascades(&config, &route.registry())?,
            tracker: ground.tracker.clone(),
        };
        Ok(Live {
            calls: stack::call(&parts, &all)?,
            aliases: aliases(&config, &all),
            endpoints: all,
            agents,
            costs: Arc::new(costs),
            limits,
            route,
            metrics,
            fan,
            made,
            hedges,
            epoch,
            stay,
            config: Arc::new(config),
        })
    }

    /// Lets it be watched, by whoever watches it and no longer the one before; from the next call on it serves where it is
    /// `put`.
    pub(crate) fn begin(&self, ground: &Ground, before: Option<&Live>) {
        let stay = |name: &Name| self.stay.contains(name);
        let went = before.iter().flat_map(|before| before.made.iter()).filter(|(name, _)| !stay(name));
        let went: Vec<_> = went.collect();
        for (_, made) in &went {
            made.protection.fall_silent();
        }
        let names: Vec<Name> = self.endpoints.iter().map(|endpoint| endpoint.card().name.clone()).collect();
        ground.health.watch(&names, stay);
        ground.observe.set(Arc::clone(&self.fan));
        // Another one in its place has a breaker of its own, which is closed.
        for (name, _) in went.iter().filter(|(name, _)| self.made.contains_key(*name)) {
            self.metrics.on(Signal::Circuit { endpoint: name, state: CircuitState::Closed });
        }
        let agents = self.agents.iter().map(|agent| (agent.name.clone(), agent.endpoints.clone()));
        ground.lasting.ward.watch(agents, stay, |change| ground.lasting.tell_rested(&change));
    }

    /// Serves from the next call on.
    pub(crate) fn put(self: Arc<Self>, place: &Now<Live>) {
        place.set(self);
    }

    /// The agents' names.
    pub(crate) fn agent_names(&self) -> impl Iterator<Item = &Name> {
        self.agents.iter().map(|agent| &agent.name)
    }

    /// Whether this endpoint is the very one that it was in the one before.
    pub(crate) fn is_same(&self, before: &Live, endpoint: &Name) -> bool {
        let [now, then] = [self, before].map(|live| live.made.get(endpoint).map(|made| &made.endpoint));
        now.zip(then).is_some_and(|(now, then)| Arc::ptr_eq(now, then))
    }
}

/// The whole path, whichever it is when a call comes. For what outlives those that there were when it was made.
#[derive(Clone)]
pub(crate) struct Calls(pub(crate) Arc<Now<Live>>);

impl Service<Call> for Calls {
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Reply>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        Box::pin(self.0.get().calls.clone().oneshot(call))
    }
}

/// The endpoints that were added, and the configured ones; those of `before` as far as they are the same. And which of them
/// stay: their upstream and what protects them are the same.
fn make_all(
    ground: &Ground,
    config: &Config,
    priced: &HashMap<Name, Priced>,
    before: Option<&Live>,
) -> Result<(HashMap<Name, Made>, HashSet<Name>)> {
    let (mut made, mut stay) = (HashMap::new(), HashSet::new());
    let known = |name: &Name| before.and_then(|before| Some((before, before.made.get(name)?)));
    for endpoint in &ground.added {
        let card = endpoint.card();
        let survival = survival(&config.resilience, &card.provider, None, false)?;
        let name = card.name.clone();
        let known = known(&name).map(|(_, known)| &known.protection);
        let known = known.filter(|protection| protection.config == survival);
        let protection = known.cloned().unwrap_or_else(|| Protection::new(survival, &name, &ground.lasting));
        if known.is_some() {
            stay.insert(name.clone());
        }
        made.insert(name, Made { endpoint: Arc::clone(endpoint), protection, priced: None });
    }
    for endpoint in &config.endpoints {
        let name = &endpoint.name;
        let priced = priced.get(name).ok_or_else(|| Error::internal("an endpoint has no price"))?;
        let own = endpoint.resilience.as_ref();
        let streams = endpoints::streams(config, endpoint);
        let survival = survival(&config.resilience, &endpoint.answered_by()?, own, streams)?;
        let known = known(name).filter(|(before, known)| {
            is_same_upstream(&before.config, config, endpoint) && known.protection.config == survival
        });
        let same = known.filter(|(before, known)| {
            before.config.endpoints.contains(endpoint) && known.priced.as_ref().is_some_and(|p| p == priced)
        });
        let instance = match same {
            Some((_, known)) => Arc::clone(&known.endpoint),
            None => {
                let card = endpoints::card(endpoint, priced, ground.clock.now())?;
                let background = (&ground.tracker, &ground.closing);
                Counting::around(endpoints::make(config, endpoint, card, &ground.clock, background)?)
            }
        };
        let protection = known.map(|(_, known)| known.protection.clone());
        if protection.is_some() {
            stay.insert(name.clone());
        }
        let protection = protection.unwrap_or_else(|| Protection::new(survival, name, &ground.lasting));
        made.insert(name.clone(), Made { endpoint: instance, protection, priced: Some(priced.clone()) });
    }
    Ok((made, stay))
}

/// Whether somebody may be answered otherwise than before, or by others. Who only comes changes nothing for those who are there.
fn answers_change(before: &Live, config: &Config, made: &HashMap<Name, Made>) -> bool {
    let stays = |(name, then): (&Name, &Made)| {
        made.get(name).is_some_and(|now| Arc::ptr_eq(&now.endpoint, &then.endpoint))
    };
    let was = &before.config;
    let same_rules = (&was.aliases, &was.routing) == (&config.aliases, &config.routing);
    !(same_rules
        && before.made.iter().all(stays)
        && was.agents.iter().all(|agent| config.agents.contains(agent)))
}

/// Whether an endpoint asks the same upstream as it did, whatever it is said to charge and to take.
fn is_same_upstream(before: &Config, now: &Config, endpoint: &EndpointConfig) -> bool {
    let bare = |endpoint: &EndpointConfig| EndpointConfig {
        price: None,
        context: None,
        max_output: 0,
        operations: Vec::new(),
        resilience: None,
        ..endpoint.clone()
    };
    let asks =
        |config: &Config| endpoint.provider.as_ref().and_then(|name| config.providers.get(name)).cloned();
    let then = before.endpoints.iter().find(|then| then.name == endpoint.name);
    then.is_some_and(|then| bare(then) == bare(endpoint)) && asks(before) == asks(now)
}

/// What may be spent, by everybody and by tiers; what was changed meanwhile stays changed.
fn limits(config: &Config, before: Option<&Live>) -> Result<Limits> {
    let limits = Limits::new(&config.budgets)?.with_tiers(&config.tiers)?.holding(config.ledger.holds);
    Ok(match before {
        Some(before) => limits.after(&before.limits),
        None => limits,
    })
}

/// Who is told that an account runs out.
fn alerts(ground: &Ground, config: &Config, fan: &Arc<Fan>) -> Result<Arc<maof_budget::Alerts>> {
    let told = alerting::Told {
        ledger: Arc::clone(&ground.ledger),
        audit: Arc::clone(&ground.audit),
        observe: Arc::clone(fan) as Arc<dyn Observe>,
        tracker: ground.tracker.clone(),
    };
    alerting::alerts(&config.alerts, told)
}

/// The reports on what was spent.
fn costs(
    ground: &Ground,
    config: &Config,
    limits: &Arc<Limits>,
    route: &Arc<maof_router::Router>,
) -> Result<Costs> {
    let (ledger, clock) = (Arc::clone(&ground.ledger), Arc::clone(&ground.clock));
    let (router, keep) = (Some(Arc::clone(route)), ground.keep.clone());
    let costs = Costs::new(config, &ground.added, ledger, clock, Arc::clone(limits), router, keep)?;
    Ok(costs.changing(Arc::clone(&ground.changing)))
}

/// Who decides who answers.
fn router(
    ground: &Ground,
    config: &Config,
    registry: maof_router::Registry,
    before: Option<&Live>,
    stay: &HashSet<Name>,
) -> Result<maof_router::Router> {
    let model = config.read_model()?;
    let router = match before {
        Some(before) => before.route.next(registry, &config.routing, model, |name| stay.contains(name)),
        None => {
            let ports = maof_router::Ports {
                ids: Arc::clone(&ground.ids),
                clock: Arc::clone(&ground.clock),
                random: Arc::clone(&ground.random),
                node: Name::new(&ground.ids.next().to_string())?,
            };
            maof_router::Router::new(registry, &config.routing, model, ports)
        }
    };
    let begin = |router: maof_router::Router| match config.read_outcomes()? {
        Some(outcomes) => router.warm(&outcomes).map(|()| router).map_err(|e| inside(e, "routing")),
        None => Ok(router),
    };
    router.map_err(|e| inside(e, "routing")).and_then(begin)
}

/// The cascades, each with who judges first answers.
fn cascades(
    config: &Config,
    registry: &maof_router::Registry,
) -> Result<Vec<(maof_router::Cascade, maof_router::cascade::Judge)>> {
    use maof_router::cascade::Judge;
    let cascades = config.routing.cascade.iter().zip(config.read_cascade_models()?).enumerate();
    let judged = cascades.map(|(at, (cascade, model))| {
        let judge = match model {
            None => Ok(Judge::by_hand(cascade)),
            Some(model) => Judge::trained(cascade, model, registry),
        };
        let judge = judge.map_err(|e| inside(e, &format!("routing.cascade[{at}]")))?;
        Ok((cascade.clone(), judge))
    });
    judged.collect()
}

fn inside(error: Error, section: &str) -> Error {
    match error.field() {
        Some(field) => {
            let field = format!("{section}.{field}");
            error.param(field)
        }
        None => error,
    }
}

/// The configured agents, and one for every endpoint that was added.
fn agents(ground: &Ground, config: &Config) -> Vec<AgentInfo> {
    let configured = config.agents.iter().map(|agent| AgentInfo {
        name: agent.name.clone(),
        description: agent.description.clone(),
        capabilities: agent.capabilities.clone(),
        endpoints: agent.endpoints.clone(),
    });
    let added = ground.added.iter().map(|endpoint| {
        let name = endpoint.card().name.clone();
        AgentInfo {
            endpoints: vec![name.clone()],
            description: String::new(),
            capabilities: Vec::new(),
            name,
        }
    });
    configured.chain(added).collect()
}

/// Counts by the names that there are.
fn metrics(
    config: &Config,
    agents: &[AgentInfo],
    endpoints: &[Arc<dyn Endpoint>],
    workflows: &[WorkflowSpec],
    before: Option<&Live>,
) -> Result<Metrics> {
    let agents: Vec<Name> = agents.iter().map(|agent| agent.name.clone()).collect();
    let endpoints: Vec<Name> = endpoints.iter().map(|endpoint| endpoint.card().name.clone()).collect();
    let types = workflows.iter().map(|w| w.name.clone()).chain(config.routing.task_types().cloned());
    let (types, arms): (Vec<Name>, _) = (types.collect(), config.routing.arms());
    match before {
        Some(before) => Ok(before.metrics.next(&agents, &endpoints, &types, &arms)),
        None => Metrics::splitting(&agents, &endpoints, &types, &arms),
    }
}

/// Who is told what happens. The router, too, hears of circuit breakers that open and close.
fn observers(metrics: &Arc<Metrics>, health: &Arc<Health>, route: &Arc<maof_router::Router>) -> Arc<Fan> {
    let in_spans = Arc::new(maof_telemetry::route::InSpans);
    Arc::new(Fan::new(vec![
        Arc::clone(metrics) as _,
        Arc::clone(health) as _,
        Arc::clone(route) as _,
        in_spans,
    ]))
}

/// The configured aliases; what stands for `provider/model` stands for the endpoint.
fn aliases(config: &Config, endpoints: &[Arc<dyn Endpoint>]) -> BTreeMap<Name, Name> {
    let of = |model: &Name| {
        let mut cards = endpoints.iter().map(|endpoint| endpoint.card());
        let found = cards.find(|card| card.at_provider().as_ref() == Some(model));
        found.map_or_else(|| model.clone(), |card| card.name.clone())
    };
    config.aliases.iter().map(|(alias, model)| (alias.clone(), of(model))).collect()
}

/// What answers are held against, and what agents declare of theirs.
fn outputs(config: &Config) -> Result<maof_structured::Outputs> {
    let declared = config.agents.iter().filter_map(|agent| Some((agent.name.clone(), agent.output.clone()?)));
    maof_structured::Outputs::new(&config.structured, declared)
}

fn registry(
    agents: &[AgentInfo],
    config: &Config,
    endpoints: &[Arc<dyn Endpoint>],
) -> Result<maof_router::Registry> {
    let instructions = |name: &Name| {
        let agent = config.agents.iter().find(|a| a.name == *name)?;
        agent.instructions.as_deref().map(Arc::from)
    };
    let agents = agents.iter().map(|agent| maof_router::Agent {
        name: agent.name.clone(),
        endpoints: agent.endpoints.clone(),
        capabilities: agent.capabilities.clone(),
        instructions: instructions(&agent.name),
        description: agent.description.clone(),
    });
    let cards = endpoints.iter().map(|e| e.card());
    // `provider/model` is a name of the endpoint too.
    let aliases = endpoints.iter().filter_map(|e| {
        let card = e.card();
        Some((card.at_provider()?, card.name.clone()))
    });
    maof_router::Registry::new(
        agents.collect(),
        cards.map(|c| (c.name.clone(), offer(c))).collect(),
        aliases.collect(),
    )
}

/// What the router knows of an endpoint: it estimates tokens, so it is told of less room than there is.
fn offer(card: &Card) -> maof_router::Offer {
    let context = card.context.map(maof_budget::prudent);
    maof_router::Offer { context, ..maof_router::Offer::from(card) }
}
