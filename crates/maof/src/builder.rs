//! Builds a MAOF from its configuration: the one place where everything meets.

use std::sync::Arc;

use maof_core::{
    Audit, Cache, Clock, Endpoint, Ids, Journal, Ledger, Name, Observe, Principal, Random, Result, Role,
    Snapshots,
};
use maof_engine::{CallService, Engine, Parts as EngineParts};
use maof_security::{KeyEntry, Keyring};
use maof_store::postgres::PostgresLedger;
use maof_store::redis::RedisLedger;
use maof_store::{MemoryCache, MemoryStore, SqliteStore};
use maof_telemetry::{Fan, Health};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::counting::Counting;
use crate::handle::{Inner, Maof};
use crate::lasting::Lasting;
use crate::learning::Learning;
use crate::live::{Calls, Ground, Live, Now};
use crate::probe;
use crate::reload::Source;
use crate::system::{SystemClock, SystemIds, SystemRandom};

/// Builds a [`Maof`]; made by [`Maof::builder`].
#[derive(Debug)]
pub struct Builder {
    config: Config,
    in_memory: bool,
    with_keys: bool,
    endpoints: Vec<Arc<dyn Endpoint>>,
    source: Option<Source>,
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
    /// Where changed limits are kept: with the ledger that they are of.
    limits: Option<Arc<dyn Snapshots>>,
}

impl Stores {
    fn of<S: Journal + Ledger + Audit + Snapshots + 'static>(store: Arc<S>) -> Stores {
        let snapshots = Some(store.clone() as Arc<dyn Snapshots>);
        let limits = snapshots.clone();
        Stores { journal: store.clone(), ledger: store.clone(), audit: store, snapshots, limits }
    }

    /// With another ledger, which keeps the limits of its accounts.
    fn counting_in<L: Ledger + Snapshots + 'static>(self, ledger: Arc<L>) -> Stores {
        Stores { ledger: ledger.clone(), limits: Some(ledger), ..self }
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
            source: None,
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

    /// Reads the configuration from here again when it is to be [reloaded](Maof::reload).
    #[must_use]
    pub fn reloads(mut self, read: impl Fn() -> Result<Config> + Send + Sync + 'static) -> Self {
        self.source = Some(Source(Box::new(read)));
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
        self.stores = Some(Stores { journal, ledger, audit, snapshots: None, limits: None });
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
        let stores = self.open_stores().await?;
        let workflows = config.read_workflows()?;
        let ground = self.ground(&stores, (&tracker, &closing));
        let first = Live::new(&ground, config.clone(), &workflows, None)?;
        let learns_from = Arc::clone(&first.route);
        first.costs.resume().await?;
        first.begin(&ground, None);
        let live = Now::new(first);
        let learning = learning(&stores, &learns_from, &live, (&tracker, &closing)).await?;
        tracker.spawn(upkeep(Arc::clone(&live), closing.clone()));
        tracker.spawn(probe::keep_telling(Arc::clone(&live), closing.clone()));
        let known = Arc::clone(&live);
        let engine = Engine::new(EngineParts {
            config: config.engine.clone(),
            compile: Arc::new(move |spec| {
                let live = known.get();
                crate::config::compile(spec, live.agent_names(), &live.config.structured)
            }),
            journal: Arc::clone(&stores.journal),
            calls: CallService::new(Calls(Arc::clone(&live))),
            clock: Arc::clone(&self.clock),
            ids: Arc::clone(&self.ids),
            observe: Arc::clone(&ground.observe) as Arc<dyn Observe>,
            tracker: tracker.clone(),
        })?;
        let maof = Maof {
            inner: Arc::new(Inner {
                keyring: self.keyring()?,
                started: self.clock.now(),
                live,
                ground,
                source: self.source,
                configured: Default::default(),
                learning,
                engine,
                journal: stores.journal,
                clock: self.clock,
                ids: self.ids,
                workflows: Default::default(),
                tracker,
                _guard: closing.clone().drop_guard(),
                closing,
            }),
        };
        let workflows: Result<Vec<_>> = workflows.into_iter().map(|spec| maof.compile(spec)).collect();
        maof.serve_workflows(&mut maof.inner.configured.lock(), workflows?);
        Ok(maof)
    }

    /// What is the same as long as it runs.
    fn ground(&self, stores: &Stores, (tracker, closing): (&TaskTracker, &CancellationToken)) -> Ground {
        let observe = Now::new(Fan::new(Vec::new()));
        let everybody = Arc::clone(&observe) as Arc<dyn Observe>;
        Ground {
            added: self.endpoints.iter().cloned().map(Counting::around).collect(),
            lasting: Arc::new(Lasting::new(
                &self.config.resilience,
                self.config.cache.as_ref(),
                &self.clock,
                &everybody,
            )),
            cache: self.config.cache.as_ref().map(|cache| kept_in(cache, &everybody)),
            keep: stores.limits.clone(),
            changing: Arc::default(),
            ledger: Arc::clone(&stores.ledger),
            audit: Arc::clone(&stores.audit),
            health: Arc::new(Health::new(&[], Arc::clone(&self.clock))),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            ids: Arc::clone(&self.ids),
            tracker: tracker.clone(),
            closing: closing.clone(),
            observe,
        }
    }

    async fn open_stores(&self) -> Result<Stores> {
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
            // On a tracker of its own: its task ends with the last handle, and a shutdown, which has one, would wait for ever.
            let tracker = TaskTracker::new();
            stores = match &ledger.redis {
                Some(redis) => {
                    stores.counting_in(Arc::new(RedisLedger::open(redis, postgres, &node, &tracker).await?))
                }
                None => stores.counting_in(Arc::new(PostgresLedger::open(postgres, &node, &tracker).await?)),
            };
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

/// The one time that a key is shown. Not through the log, which others may read later.
#[allow(clippy::print_stderr, reason = "the key must reach the one who starts the server, and nobody else")]
fn tell_first_key(key: &str, path: &std::path::Path) {
    eprintln!("API key (shown once; only its hash is kept, in {}): {key}", path.display());
}

/// Lets the router go on from what it learned before, and keeps what it learns.
async fn learning(
    stores: &Stores,
    first: &maof_router::Router,
    live: &Arc<Now<Live>>,
    (tracker, closing): (&TaskTracker, &CancellationToken),
) -> Result<Option<Arc<Learning>>> {
    let Some(store) = &stores.snapshots else { return Ok(None) };
    let learning = Arc::new(Learning::resume(first, Arc::clone(live), Arc::clone(store)).await?);
    tracker.spawn(Arc::clone(&learning).keep_on(closing.clone()));
    Ok(Some(learning))
}

/// Where answers are kept.
fn kept_in(cache: &maof_cache::Config, observe: &Arc<dyn Observe>) -> Arc<dyn Cache> {
    Arc::new(MemoryCache::new(cache.max_bytes, Arc::clone(observe)))
}

/// Keeps histograms from growing without bound between two readings, and follows what other processes of a shared ledger
/// change.
async fn upkeep(live: Arc<Now<Live>>, closing: CancellationToken) {
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(std::time::Duration::from_secs(5)) => {}
        }
        let live = live.get();
        live.metrics.upkeep();
        if live.config.ledger.postgres.is_some() {
            live.costs.follow().await;
        }
    }
}

/// The agents that callers of tiers are held to, by every name of a tier.
fn tiers(config: &Config) -> maof_security::Tiers {
    let held = config.tiers.iter().filter_map(|(name, tier)| Some((name, tier, tier.agents.as_ref()?)));
    held.flat_map(|(name, tier, agents)| {
        std::iter::once(name).chain(&tier.aliases).map(|name| (name.clone(), agents.clone()))
    })
    .collect()
}
