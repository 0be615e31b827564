//! The configuration: one YAML file, nested as the crates are.
//!
//! Unknown keys are refused, `${NAME}` stands for an environment variable (or one of a `.env` file beside
//! the configuration), and every key has a default. `maof config schema` prints the JSON schema.

mod check;
mod learned;
mod ledger;
mod load;
mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;

use maof_core::{Name, Operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use check::compile;
pub use ledger::Ledger;

/// Everything that can be configured.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How it is served over HTTP.
    pub server: Server,
    /// Where tasks, journals and ledgers are kept.
    pub store: maof_store::Config,
    /// Where what is spent is counted, and how.
    pub ledger: Ledger,
    /// How runs are worked on.
    pub engine: maof_engine::Config,
    /// How calls survive failure.
    pub resilience: maof_resilience::Config,
    /// Which answers are given again, and for how long; `{}` for the defaults. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<maof_cache::Config>,
    /// How answers are held against the JSON schema that was asked for.
    pub structured: maof_structured::Config,
    /// What is logged, and how.
    pub log: maof_telemetry::LogConfig,
    /// Companies and APIs that answer, by name.
    #[schemars(with = "BTreeMap<String, maof_providers::ProviderConfig>")]
    pub providers: BTreeMap<Name, maof_providers::ProviderConfig>,
    /// Things that answer one call each. Default: every local agent.
    pub endpoints: Vec<EndpointConfig>,
    /// Agents, most preferred first. Default: one for every endpoint.
    pub agents: Vec<AgentConfig>,
    /// Further names that callers may give as a model, each with the agent, the endpoint or the `provider/model` that it
    /// stands for; an alias of an alias is refused. Default: none.
    #[schemars(with = "BTreeMap<String, String>")]
    pub aliases: BTreeMap<Name, Name>,
    /// Who answers what.
    pub routing: maof_router::Config,
    /// What models charge whose endpoints do not say it.
    pub prices: maof_budget::price::Config,
    /// What may be spent.
    pub budgets: Vec<maof_budget::BudgetConfig>,
    /// Service levels by name: what their callers may spend, and whom they may ask. A key's tier is its `tier`. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, maof_budget::TierConfig>")]
    pub tiers: BTreeMap<Name, maof_budget::TierConfig>,
    /// When it is told that an account runs out.
    pub alerts: maof_budget::AlertConfig,
    /// Workflow files, relative to this file; tasks of a workflow's name run through it.
    pub workflows: Vec<PathBuf>,
}

/// How MAOF is served over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// The address to listen on. Default `127.0.0.1:8000`: this machine only.
    pub listen: String,
    /// Bytes that a request's body may have. Default 33,554,432 (32 MiB).
    pub body_limit: u64,
    /// Milliseconds of silence in a stream after which (at the latest after twice as many) a sign of life is sent, so that proxies keep the connection;
    /// 0 for never. Default 15,000.
    pub keep_alive_ms: u64,
    /// What becomes of a call whose caller has left. Default `abort`.
    pub on_disconnect: OnDisconnect,
    /// Milliseconds that a call may go on without its caller, where it is drained. Default 30,000.
    pub drain_ms: u64,
    /// Whether gateway responses say what their `x-maof-*` headers do by LiteLLM's names (`x-litellm-*`) as well, for
    /// dashboards and scripts that read those. Default false.
    pub litellm_headers: bool,
    /// Whether `/health*` needs a key. Default false.
    pub key_for_health: bool,
    /// Whether `/metrics/prometheus` needs a key. Default false.
    pub key_for_metrics: bool,
    /// The file of API keys' hashes, relative to the working directory. Default `maof-keys.json`; the first
    /// start makes it with one admin key, which is printed once.
    pub keys: PathBuf,
}

/// What becomes of a call whose caller has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDisconnect {
    /// The upstream is aborted at once; what it used so far is estimated where it did not say.
    #[default]
    Abort,
    /// The answer is read to its end, so that its usage is the provider's own; at most for `drain_ms`.
    Drain,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            listen: "127.0.0.1:8000".to_owned(),
            body_limit: 32 << 20,
            keep_alive_ms: 15_000,
            on_disconnect: OnDisconnect::Abort,
            drain_ms: 30_000,
            litellm_headers: false,
            key_for_health: false,
            key_for_metrics: false,
            keys: "maof-keys.json".into(),
        }
    }
}

/// One thing that answers one call. It names one of `local`, `provider` (with `model`), `service` and `cursor`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// Its name; callers may give it as a model.
    #[schemars(with = "String")]
    pub name: Name,
    /// A function in process: lexicon, bayes, linear, summary, keyphrases or forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub local: Option<Name>,
    /// The provider that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub provider: Option<Name>,
    /// A service of one's own that answers over HTTP, which is asked for `chat` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Box<maof_providers::ServiceConfig>>,
    /// Cursor's background agents, which are asked for `chat` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Box<maof_providers::CursorConfig>>,
    /// The model's name at the provider; what a service is told as `{{ model }}`, by default the endpoint's name; the model
    /// of Cursor's agents, by default `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it answers: `chat`, `embed`, `image`, `transcribe`, `speech`. What converses also counts tokens. Default `[chat]`.
    #[serde(default = "chat_only")]
    #[schemars(with = "Vec<String>")]
    pub operations: Vec<Operation>,
    /// What it charges: a tariff, or a list of rates with their conditions (docs/prices.md). Default: of a model at a provider
    /// what `prices` says, else nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<maof_budget::PriceConfig>,
    /// The most input tokens it takes. Default: of a model at a provider what the price file says, else not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// Output tokens that are held for a call that sets no bound. Default 4096.
    #[serde(default = "default_max_output")]
    pub max_output: u64,
    /// How it survives failure, where that is otherwise than `resilience` says. Default: nothing is otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resilience: Option<maof_resilience::Override>,
}

impl EndpointConfig {
    /// The provider that answers; `local`, `service` or `cursor` where none is named.
    pub(crate) fn answered_by(&self) -> maof_core::Result<Name> {
        match (&self.provider, &self.local, &self.cursor) {
            (Some(provider), ..) => Ok(provider.clone()),
            (None, Some(_), _) => Name::new("local"),
            (None, None, Some(_)) => Name::new("cursor"),
            (None, None, None) => Name::new("service"),
        }
    }
}

fn chat_only() -> Vec<Operation> {
    vec![Operation::Chat]
}

fn default_max_output() -> u64 {
    4096
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// Its name; callers may give it as a model.
    #[schemars(with = "String")]
    pub name: Name,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Endpoints that it asks, most preferred first. Default: the one of its own name.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub endpoints: Vec<Name>,
    /// What it can do.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub capabilities: Vec<Name>,
    /// Standing instructions, put before every conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// What its answers look like: a JSON schema, and where in them the fields are. Default: as they come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<maof_structured::OutputConfig>,
    /// What a run does about this agent's failures, by cause, where its step says nothing of them; as `on_error.recovery` of a
    /// step. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub recovery: maof_engine::Recoveries,
}

impl Default for Config {
    /// Local agents only, nothing charged, a database in `maof.db`.
    fn default() -> Self {
        Config {
            server: Server::default(),
            store: maof_store::Config::default(),
            ledger: Ledger::default(),
            engine: maof_engine::Config::default(),
            resilience: maof_resilience::Config::default(),
            cache: None,
            structured: maof_structured::Config::default(),
            log: maof_telemetry::LogConfig::default(),
            providers: BTreeMap::new(),
            endpoints: Vec::new(),
            agents: Vec::new(),
            aliases: BTreeMap::new(),
            routing: maof_router::Config::default(),
            prices: maof_budget::price::Config::default(),
            budgets: Vec::new(),
            tiers: BTreeMap::new(),
            alerts: maof_budget::AlertConfig::default(),
            workflows: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
