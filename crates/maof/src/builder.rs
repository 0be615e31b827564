//! Builds a MAOF from its configuration: the one place where everything meets.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use maof_core::{
    Audit, Cache, Card, Clock, Endpoint, Ids, Journal, Ledger, Name, Observe, Principal, Random, Result,
    Role, Snapshots, Timestamp,
};
use maof_engine::{Engine, Parts as EngineParts, WorkflowSpec};
use maof_providers::{CursorEndpoint, HttpEndpoint, ServiceEndpoint};
use maof_security::{KeyEntry, Keyring};
use maof_store::postgres::PostgresLedger;
use maof_store::{MemoryCache, MemoryStore, SqliteStore};
use maof_telemetry::{Fan, Health, Metrics};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, EndpointConfig};
use crate::costs::Costs;
use crate::counting::Counting;
use crate::handle::{AgentInfo, Inner, Maof};
use crate::learning::Learning;
use crate::priced::{Priced, Pricing};
use crate::system::{SystemClock, SystemIds, SystemRandom};
use crate::{probe, stack};

/// Builds a [`Maof`]; made by [`Maof::builder`].
#[derive(Debug)]
pub struct Builder {
    config: Config,
    in_memory: bool,
    with_keys: bool,
    endpoints: Vec<Arc<dyn Endpoint>>,
    stores: Option<Stores>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    random: Arc<dyn Random>,
}

/// Where everything is remembered.
#[derive(Clone, Debug)]
struct Stores {
    journal: Arc<dyn Journal>,
    ledger: Arc<dyn Ledger>,
    audit: Arc<dyn Audit>,
    /// None beside stores of somebody's own.
    snapshots: Option<Arc<dyn Snapshots>>,
}

impl Stores {
    fn of<S: Journal + Ledger + Audit + Snapshots + 'static>(store: Arc<S>) -> Stores {
        Stores { journal: store.clone(), ledger: store.clone(), audit: store.clone(), snapshots: Some(store) }
    }
}

impl Maof {
    /// Begins to build one from a configuration.
    pub fn builder(config: Config) -> Builder {
        Builder {
            config: config.complete(),
            in_memory: false,
            with_keys: false,
            endpoints: Vec::new(),
            stores: None,
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            random: Arc::new(SystemRandom::default()),
        }
    }

    /// Builds one from a configuration and begins to work on tasks.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub async fn start(config: Config) -> Result<Maof> {
        let maof = Maof::builder(config).build().await?;
        maof.work();
        Ok(maof)
    }
}

impl Builder {
    /// Remembers in memory only: nothing survives the process.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.in_memory = true;
        self
    }

    /// Reads API keys from the configured file; the first time makes one, and prints it once to stderr.
    #[must_use]
    pub fn with_keys(mut self) -> Self {
        self.with_keys = true;
        self
    }

    /// Adds an endpoint that runs in this process, and an agent of its name.
    #[must_use]
    pub fn endpoint(mut self, endpoint: Arc<dyn Endpoint>) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// Remembers in these stores instead of the configured file. What the router learns is forgotten with the process then.
    #[must_use]
    pub fn stores(
        mut self,
        journal: Arc<dyn Journal>,
        ledger: Arc<dyn Ledger>,
        audit: Arc<dyn Audit>,
    ) -> Self {
        self.stores = Some(Stores { journal, ledger, audit, snapshots: None });
        self
    }

    /// Uses these ports for time, ids and randomness instead of the system's.
    #[must_use]
    pub fn ports(mut self, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>, random: Arc<dyn Random>) -> Self {
        (self.clock, self.ids, self.random) = (clock, ids, random);
        self
    }

    /// Builds it. It takes calls at once; it works on tasks after [`Maof::work`].
    ///
    /// # Errors
    /// `invalid_request` naming the key of the configuration that is wrong; `conflict` when the database is
    /// in use; `unavailable` when it cannot be opened.
    pub async fn build(self) -> Result<Maof> {
        crate::init();
        self.config.check()?;
        let config = self.config.clone();
        let (tracker, closing) = (TaskTracker::new(), CancellationToken::new());
        let endpoints = self.all_endpoints((&tracker, &closing))?;
        let agents = self.agents();
        let route = Arc::new(self.router(registry(&agents, &config, &endpoints)?, &config)?);

        let stores = self.open_stores(&tracker).await?;
        let learning = learning(&stores, &route, (&tracker, &closing)).await?;
        let endpoint_names: Vec<Name> = endpoints.iter().map(|e| e.card().name.clone()).collect();
        let agent_names: Vec<Name> = agents.iter().map(|a| a.name.clone()).collect();
        let workflows = config.read_workflows()?;
        let metrics = metrics(&config, &agent_names, &endpoint_names, &workflows)?;
        let health = Arc::new(Health::new(&endpoint_names, Arc::clone(&self.clock)));
        let observe = observers(&metrics, &health, &route);
        let cache = config.cache.as_ref().map(|cache| kept_in(cache, &observe));
        let parts = stack::Parts {
            resilience: config.resilience.clone(),
            cache: config.cache.clone().zip(cache.clone()),
            said: said(&config)?,
            agents: agents.iter().map(|agent| (agent.name.clone(), agent.endpoints.clone())).collect(),
            outputs: Arc::new(outputs(&config)?),
            limits: Arc::new(limits(&config)?),
            ledger: Arc::clone(&stores.ledger),
            audit: Arc::clone(&stores.audit),
            route: Arc::clone(&route) as Arc<dyn maof_core::Route>,
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            ids: Arc::clone(&self.ids),
            observe: Arc::clone(&observe),
            routing: config.routing.clone(),
            alerts: config.alerts.clone(),
            tracker: tracker.clone(),
        };
        let costs = self.costs(&stores, &parts.limits, &route).await?;
        let calls = stack::call(&parts, &endpoints)?;
        tracker.spawn(upkeep(Arc::clone(&metrics), closing.clone()));
        tracker.spawn(probe::keep_telling(&config.routing, &route, &endpoints, &closing));
        let structured = config.structured.clone();
        let engine = Engine::new(EngineParts {
            config: config.engine.clone(),
            compile: Arc::new(move |spec| crate::config::compile(spec, agent_names.iter(), &structured)),
            journal: Arc::clone(&stores.journal),
            calls: calls.clone(),
            clock: Arc::clone(&self.clock),
            ids: Arc::clone(&self.ids),
            observe,
            tracker: tracker.clone(),
        })?;
        let maof = Maof {
            inner: Arc::new(Inner {
                keyring: self.keyring()?,
                started: self.clock.now(),
                calls,
                route,
                learning,
                engine,
                journal: stores.journal,
                ledger: stores.ledger,
                audit: stores.audit,
                costs,
                cache,
                metrics,
                health,
                clock: self.clock,
                ids: self.ids,
                agents,
                aliases: aliases(&config, &endpoints),
                endpoints,
                workflows: Default::default(),
                tracker,
                _guard: closing.clone().drop_guard(),
                closing,
                config,
            }),
        };
        serving(maof, workflows)
    }

    /// The reports on what was spent.
    async fn costs(
        &self,
        stores: &Stores,
        limits: &Arc<maof_budget::Limits>,
        route: &Arc<maof_router::Router>,
    ) -> Result<Costs> {
        let (ledger, clock, limits) =
            (Arc::clone(&stores.ledger), Arc::clone(&self.clock), Arc::clone(limits));
        let (router, keep) = (Some(Arc::clone(route)), stores.snapshots.clone());
        Costs::new(&self.config, &self.endpoints, ledger, clock, limits, router, keep).await
    }

    /// Who decides who answers.
    fn router(&self, registry: maof_router::Registry, config: &Config) -> Result<maof_router::Router> {
        let ports = maof_router::Ports {
            ids: Arc::clone(&self.ids),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            node: Name::new(&self.ids.next().to_string())?,
        };
        let model = config.read_model()?;
        maof_router::Router::new(registry, &config.routing, model, ports).map_err(|e| match e.field() {
            Some(field) => {
                let field = format!("routing.{field}");
                e.param(field)
            }
            None => e,
        })
    }

    /// The endpoints that were added, and the configured ones.
    fn all_endpoints(
        &self,
        background: (&TaskTracker, &CancellationToken),
    ) -> Result<Vec<Arc<dyn Endpoint>>> {
        let config = &self.config;
        let pricing = Pricing::new(config);
        let configured = config.endpoints.iter().map(|e| {
            let card = card(e, &pricing.of(e)?, self.clock.now())?;
            make_endpoint(config, e, card, &self.clock, background)
        });
        let added = self.endpoints.iter().cloned().map(Ok);
        added.chain(configured).map(|endpoint| endpoint.map(Counting::around)).collect()
    }

    /// The configured agents, and one for every endpoint that was added.
    fn agents(&self) -> Vec<AgentInfo> {
        let configured = self.config.agents.iter().map(|agent| AgentInfo {
            name: agent.name.clone(),
            description: agent.description.clone(),
            capabilities: agent.capabilities.clone(),
            endpoints: agent.endpoints.clone(),
        });
        let added = self.endpoints.iter().map(|endpoint| {
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

    async fn open_stores(&self, tracker: &TaskTracker) -> Result<Stores> {
        if let Some(stores) = &self.stores {
            return Ok(stores.clone());
        }
        if self.in_memory {
            let store = Arc::new(MemoryStore::default());
            return Ok(Stores::of(store));
        }
        // First: two processes that would take each other's names do not both get the file.
        let mut stores = Stores::of(Arc::new(SqliteStore::open(&self.config.store).await?));
        let Config { ledger, server, .. } = &self.config;
        if let Some(postgres) = &ledger.postgres {
            let node = ledger.node(&server.listen)?;
            stores.ledger = Arc::new(PostgresLedger::open(postgres, &node, tracker).await?);
        }
        Ok(stores)
    }

    /// The API keys: none unless they are wanted.
    fn keyring(&self) -> Result<Keyring> {
        if !self.with_keys {
            return Keyring::from_entries(Vec::new());
        }
        let path = &self.config.server.keys;
        if path.exists() {
            return Keyring::load(path)?.with_tiers(tiers(&self.config));
        }
        let local = Principal::local();
        let (secret, entry) = KeyEntry::generate(
            Name::new("first")?,
            local.tenant.clone(),
            local.user.clone(),
            vec![Role::Admin],
        )?;
        let keyring = Keyring::from_entries(vec![entry])?.with_tiers(tiers(&self.config))?;
        keyring.save(path)?;
        tell_first_key(secret.expose(), path);
        Ok(keyring)
    }
}

/// With the configured workflows.
fn serving(maof: Maof, workflows: Vec<WorkflowSpec>) -> Result<Maof> {
    for spec in workflows {
        maof.add_workflow(maof.compile(spec)?);
    }
    Ok(maof)
}

/// The one time that a key is shown. Not through the log, which others may read later.
#[allow(clippy::print_stderr, reason = "the key must reach the one who starts the server, and nobody else")]
fn tell_first_key(key: &str, path: &std::path::Path) {
    eprintln!("API key (shown once; only its hash is kept, in {}): {key}", path.display());
}

/// Counts by the names that there are.
fn metrics(
    config: &Config,
    agents: &[Name],
    endpoints: &[Name],
    workflows: &[WorkflowSpec],
) -> Result<Arc<Metrics>> {
    let types = workflows.iter().map(|w| w.name.clone()).chain(config.routing.task_types().cloned());
    let types: Vec<Name> = types.collect();
    Ok(Arc::new(Metrics::splitting(agents, endpoints, &types, &config.routing.arms())?))
}

/// Lets the router go on from what it learned before, and keeps what it learns.
async fn learning(
    stores: &Stores,
    route: &Arc<maof_router::Router>,
    (tracker, closing): (&TaskTracker, &CancellationToken),
) -> Result<Option<Arc<Learning>>> {
    let Some(store) = &stores.snapshots else { return Ok(None) };
    let learning = Arc::new(Learning::resume(Arc::clone(route), Arc::clone(store)).await?);
    tracker.spawn(Arc::clone(&learning).keep_on(closing.clone()));
    Ok(Some(learning))
}

/// Where answers are kept.
fn kept_in(cache: &maof_cache::Config, observe: &Arc<dyn Observe>) -> Arc<dyn Cache> {
    Arc::new(MemoryCache::new(cache.max_bytes, Arc::clone(observe)))
}

/// Who is told what happens. The router, too, hears of circuit breakers that open and close.
fn observers(
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
    route: &Arc<maof_router::Router>,
) -> Arc<dyn Observe> {
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

fn make_endpoint(
    config: &Config,
    endpoint: &EndpointConfig,
    card: Card,
    clock: &Arc<dyn Clock>,
    (tracker, closing): (&TaskTracker, &CancellationToken),
) -> Result<Arc<dyn Endpoint>> {
    if let Some(local) = &endpoint.local {
        return local_endpoint(local, card);
    }
    if let Some(service) = &endpoint.service {
        return Ok(Arc::new(ServiceEndpoint::new(card, service, Arc::clone(clock))?));
    }
    if let Some(cursor) = &endpoint.cursor {
        let (endpoint, tidy) = CursorEndpoint::new(card, cursor, Arc::clone(clock))?;
        tracker.spawn(tidy.run(closing.clone().cancelled_owned()));
        return Ok(Arc::new(endpoint));
    }
    match endpoint.provider.as_ref().and_then(|provider| config.providers.get(provider)) {
        Some(provider) => Ok(Arc::new(HttpEndpoint::new(card, provider, Arc::clone(clock))?)),
        None => Err(maof_core::Error::internal("an endpoint without a provider passed the check")),
    }
}

/// What is said of each endpoint. Of one whose price nobody knows it is told here, once.
fn said(config: &Config) -> Result<HashMap<Name, stack::Said>> {
    let pricing = Pricing::new(config);
    let each = config.endpoints.iter().map(|endpoint| {
        let priced = pricing.of(endpoint)?;
        if priced.unknown {
            let policy = config.prices.unknown.as_str();
            tracing::warn!(endpoint = %endpoint.name, policy, "nobody knows what its model costs; say it in its `price`");
        }
        let provider = endpoint.provider.as_ref().and_then(|provider| config.providers.get(provider));
        let profile = provider.and_then(|provider| provider.profile().ok());
        // What fronts Cursor begins with the agent's start.
        let streams = endpoint.cursor.is_some() || profile.is_some_and(|profile| profile.streams);
        let said = stack::Said { resilience: endpoint.resilience.clone(), streams, priced: Some(priced) };
        Ok((endpoint.name.clone(), said))
    });
    each.collect()
}

fn card(endpoint: &EndpointConfig, priced: &Priced, now: Timestamp) -> Result<Card> {
    // What has no model of a provider's goes by its own name.
    let own = match (&endpoint.local, &endpoint.cursor) {
        (Some(local), _) => local.as_str(),
        (None, Some(_)) => "auto",
        (None, None) => endpoint.name.as_str(),
    };
    let provider = endpoint.answered_by()?;
    Ok(Card {
        name: endpoint.name.clone(),
        provider,
        model: endpoint.model.clone().unwrap_or_else(|| own.to_owned()).into(),
        operations: endpoint.operations.clone(),
        tariff: *priced.prices.tariff(now, None, 0),
        context: priced.context,
        max_output: endpoint.max_output,
    })
}

#[cfg(feature = "local")]
fn local_endpoint(local: &Name, card: Card) -> Result<Arc<dyn Endpoint>> {
    let agent = maof_local::find(local.as_str())
        .ok_or_else(|| maof_core::Error::internal("a local agent that is not there passed the check"))?;
    Ok(Arc::new(maof_local::LocalEndpoint::new(agent, card)))
}

#[cfg(not(feature = "local"))]
fn local_endpoint(_: &Name, _: Card) -> Result<Arc<dyn Endpoint>> {
    Err(maof_core::Error::internal("a local agent passed the check of a build without any"))
}

/// Keeps histograms from growing without bound between two readings.
async fn upkeep(metrics: Arc<Metrics>, closing: CancellationToken) {
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(std::time::Duration::from_secs(5)) => metrics.upkeep(),
        }
    }
}

/// What may be spent, by everybody and by tiers.
fn limits(config: &Config) -> Result<maof_budget::Limits> {
    let limits = maof_budget::Limits::new(&config.budgets)?.with_tiers(&config.tiers)?;
    Ok(limits.holding(config.ledger.holds))
}

/// The agents that callers of tiers are held to, by every name of a tier.
fn tiers(config: &Config) -> maof_security::Tiers {
    let held = config.tiers.iter().filter_map(|(name, tier)| Some((name, tier, tier.agents.as_ref()?)));
    held.flat_map(|(name, tier, agents)| {
        std::iter::once(name).chain(&tier.aliases).map(|name| (name.clone(), agents.clone()))
    })
    .collect()
}
