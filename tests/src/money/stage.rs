//! The programs: one upstream that counts what it bills, and one or two servers that work with one ledger.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use maof::{KeyEntry, Name, Role};
use maof_core::Money;
use maof_testkit::Stats;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::asked::{self, PRICE};
use crate::programs::{Program, last_words, log, program, said, word_after};
use crate::wall::caller;

/// Where the servers find the database and the Redis: they are not written into a file.
const DATABASE: &str = "MAOF_MONEY_DATABASE";
const REDIS: &str = "MAOF_MONEY_REDIS";
/// Seconds after which a silent node is taken for dead.
const NODE_TIMEOUT: u32 = 3;

/// What is started.
#[derive(Clone, Debug)]
pub struct Setting {
    /// How many servers.
    pub servers: usize,
    /// `ledger.holds`.
    pub holds: &'static str,
    /// The database in which they count together; none: the one server's file.
    pub postgres: Option<String>,
    /// The Redis by which they share what they have ready.
    pub redis: Option<String>,
    /// What the key may spend.
    pub limit: Money,
}

/// The running programs.
#[derive(Debug)]
pub struct Stage {
    servers: Vec<Server>,
    _upstream: Program,
    upstream_at: SocketAddr,
    key: String,
    setting: Setting,
    dir: TempDir,
}

/// One server, which is started and killed under one name.
#[derive(Debug)]
struct Server {
    node: String,
    /// None while it is down.
    running: Mutex<Option<(Program, SocketAddr)>>,
}

impl Stage {
    /// Starts the upstream and the servers.
    ///
    /// # Errors
    /// When a program is missing or does not become ready; then with its last words.
    pub async fn start(setting: Setting) -> Result<Stage> {
        let dir = tempfile::tempdir()?;
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("script.json"), serde_json::to_vec(&asked::script())?)?;
        let upstream = program("maof-upstream")
            .arg("--script")
            .arg(format!("@{}", at("script.json").display()))
            .stdout(log(&at("upstream.out"))?)
            .spawn();
        let upstream = Program::of(upstream.context("maof-upstream cannot be started; build it first")?);
        let port = said(&at("upstream.out"), |text| Some(text.split_once('\n')?.0.to_owned())).await?;
        let upstream_at = SocketAddr::from(([127, 0, 0, 1], port.parse()?));

        let name = |text: &str| Name::new(text);
        let (key, entry) = KeyEntry::generate(name("hot")?, name("acme")?, name("u")?, vec![Role::User])?;
        std::fs::write(at("keys.json"), json!({"version": 1, "keys": [entry]}).to_string())?;
        let server = |at: usize| Server { node: format!("node-{at}"), running: Mutex::default() };
        let servers: Vec<Server> = (0..setting.servers).map(server).collect();
        let key = key.expose().to_owned();
        let stage = Stage { servers, _upstream: upstream, upstream_at, key, setting, dir };
        for at in 0..stage.servers.len() {
            stage.begin(at).await?;
        }
        Ok(stage)
    }

    /// Starts a server.
    ///
    /// # Errors
    /// As [`Stage::start`].
    pub async fn begin(&self, at: usize) -> Result<()> {
        let Server { node, running } = &self.servers[at];
        let path = |name: &str| self.dir.path().join(format!("{node}.{name}"));
        // JSON is YAML.
        std::fs::write(path("yaml"), serde_json::to_vec_pretty(&self.config(node))?)?;
        let server = program("maof-server")
            .current_dir(self.dir.path())
            .args(["--config", &path("yaml").display().to_string(), "--listen", "127.0.0.1:0"])
            .env(DATABASE, self.setting.postgres.as_deref().unwrap_or_default())
            .env(REDIS, self.setting.redis.as_deref().unwrap_or_default())
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(log(&path("log"))?)
            .spawn();
        let server = Program::of(server.context("maof-server cannot be started; build it first")?);
        let listening = |text: &str| Some(word_after(text, "listening on http://")?.to_owned());
        let address = said(&path("log"), listening).await?.parse()?;
        *running.lock().unwrap_or_else(PoisonError::into_inner) = Some((server, address));
        Ok(())
    }

    /// Kills a server, as `kill -9` does.
    pub fn kill(&self, at: usize) {
        drop(self.servers[at].running.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Where a server listens, if it runs.
    pub fn server(&self, at: usize) -> Option<SocketAddr> {
        let running = self.servers[at % self.servers.len()].running.lock();
        running.unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, address)| *address)
    }

    /// The one key of all callers.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The upstream's own counters.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn stats(&self) -> Result<Stats> {
        let raw = caller::get(self.upstream_at, "/__stats", Duration::from_secs(5)).await;
        serde_json::from_slice(&raw.body).context("the upstream's counters")
    }

    /// The upstream's counters, once it has no open request; after ten seconds whatever they are.
    ///
    /// # Errors
    /// As [`Stage::stats`].
    pub async fn drained(&self) -> Result<Stats> {
        let mut stats = self.stats().await?;
        for _ in 0..100 {
            if stats.open == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            stats = self.stats().await?;
        }
        Ok(stats)
    }

    /// Stops the servers as an operator would. Gives the file of the first one's store, which lives as long as this.
    ///
    /// # Errors
    /// When one does not end.
    pub async fn end(&self) -> Result<PathBuf> {
        for server in &self.servers {
            let words = last_words(&self.dir.path().join(format!("{}.log", server.node)));
            let running = server.running.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some((mut program, _)) = running {
                program.end(&words).await?;
            }
        }
        Ok(self.dir.path().join("node-0.db"))
    }

    /// A breaker that never opens and no shedding: all callers are to reach the ledger, all the time.
    fn config(&self, node: &str) -> Value {
        let dollars = |nanos: i64| nanos as f64 / 1_000.0;
        let endpoint = |name: &str| {
            json!({
                "name": name, "model": name, "provider": "upstream",
                "price": {"input": dollars(PRICE.0), "output": dollars(PRICE.1)},
            })
        };
        let agent = |(name, endpoints): (&str, &[&str])| json!({"name": name, "endpoints": endpoints});
        let budget = |account: &str, field: &str, limit: Value| json!({"account": account, field: limit});
        let limit = self.setting.limit.nanos();
        let mut config = json!({
            "server": {"keys": "keys.json"},
            "store": {"path": format!("{node}.db")},
            "ledger": {"holds": self.setting.holds, "node": node},
            "providers": {"upstream": {
                "profile": "openai", "base_url": format!("http://{}/v1", self.upstream_at), "api_key": "sk-of-money",
            }},
            "endpoints": asked::endpoints().map(endpoint).collect::<Vec<_>>(),
            "agents": asked::AGENTS.map(agent),
            "budgets": [
                budget("key", "limit_usd", json!(format!("{}.{:09}", limit / 1_000_000_000, limit % 1_000_000_000))),
                budget("tenant", "limit_requests", json!(1_000_000)),
            ],
            "resilience": {
                "circuit_breaker": {"failure_threshold": 1_000_000}, "load_shed": null,
                "retry": {"max_attempts": 2, "initial_interval_ms": 10},
            },
        });
        if self.setting.postgres.is_some() {
            config["ledger"]["postgres"] =
                json!({"url": format!("${{{DATABASE}}}"), "node_timeout_seconds": NODE_TIMEOUT});
        }
        if self.setting.redis.is_some() {
            config["ledger"]["redis"] = json!({"url": format!("${{{REDIS}}}")});
        }
        config
    }
}
