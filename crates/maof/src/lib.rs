//! MAOF, to embed: many AI agents as one dependable system, in your own process.
//!
//! ```
//! use maof::{Body, ChatRequest, Config, Maof, Principal, Target};
//!
//! # fn main() -> maof::Result<()> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| maof::Error::internal("x").because(e))?;
//! # runtime.block_on(async {
//! let maof = Maof::builder(Config::default()).in_memory().build().await?;
//! let question = Body::from(ChatRequest::user("Shares rose after a wonderful quarter."));
//! let call = maof.new_call(Target::Name("lexicon".parse()?), Principal::local(), question);
//! let (answer, end) = maof.call(call).await?.collect().await?;
//! assert!(answer.text()?.contains("positive"));
//! assert!(end.is_complete());
//! maof.shutdown().await;
//! # Ok(()) })
//! # }
//! ```
//!
//! Two doors lead into one stack (`stack.rs`): [`Maof::call`] answers one call, without a run or a journal;
//! [`Maof::submit`] accepts a task durably and runs it through a workflow.

mod alerting;
mod beside;
mod builder;
pub mod config;
pub mod costs;
mod counting;
mod endpoints;
mod handle;
pub mod input;
mod lasting;
mod learning;
mod live;
mod priced;
mod probe;
mod quote;
mod reload;
mod same;
mod stack;
mod system;
mod tasks;
mod waited;
pub mod yaml;

pub use builder::Builder;
pub use config::{Config, OnDisconnect};
pub use costs::Costs;
pub use handle::{AgentInfo, Maof, RunAnswer, TaskRequest};
pub use maof_core::*;
pub use maof_engine::{
    AgentReport, Disagreement, FailedAttempts, Record, Replaced, Report, RunEvent, StepReport, VoteReport,
    Workflow, WorkflowSpec,
};
pub use maof_security::KeyEntry;
pub use probe::Probed;
pub use reload::{Changes, Reloaded};
pub use system::{SystemClock, SystemIds, SystemRandom};
pub use tasks::Tasks;

/// Installs what is one per process: the TLS provider (ring). Idempotent; [`Builder::build`] calls it.
pub fn init() {
    // An error says that one is installed already, by us or by the host: both are fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Starts logging to stderr as configured. For programs; a library leaves logging to its host.
///
/// # Errors
/// `invalid_request` when the filter is malformed.
pub fn start_logging(config: &Config) -> Result<()> {
    maof_telemetry::start_logging(&config.log)
}

/// Every metric in a line: name, kind, labels, meaning.
pub fn metric_names() -> impl Iterator<Item = String> {
    maof_telemetry::names::ALL.iter().map(|metric| {
        let kind = format!("{:?}", metric.kind).to_lowercase();
        format!("{} {kind} [{}] {}", metric.name, metric.labels.join(", "), metric.help)
    })
}

/// The dialects that callers may speak.
pub mod dialects {
    use maof_core::Dialect;

    /// OpenAI's chat completions, embeddings, pictures and sound.
    pub fn openai() -> &'static dyn Dialect {
        &maof_providers::OPENAI
    }

    /// OpenAI's responses.
    pub fn responses() -> &'static dyn Dialect {
        &maof_providers::RESPONSES
    }

    /// Anthropic's messages.
    pub fn anthropic() -> &'static dyn Dialect {
        &maof_providers::ANTHROPIC
    }

    /// Google's Gemini.
    pub fn gemini() -> &'static dyn Dialect {
        &maof_providers::GEMINI
    }
}
