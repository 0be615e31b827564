//! Metrics: signals counted under the names of [`crate::names`], rendered for Prometheus.
//!
//! Label values come from closed sets that are given at the start: what is not in them is counted under
//! [`OTHER`](names::OTHER), so that made-up names can never add a series. Telling is lock-free: each series is
//! resolved once and kept at its place in a table.
//!
//! ```
//! # use maof_core::{ErrorKind, Observe, Signal};
//! # use maof_telemetry::Metrics;
//! let endpoint = "openai/gpt-4o".parse()?;
//! let metrics = Metrics::new(&[], std::slice::from_ref(&endpoint), &[])?;
//! metrics.on(Signal::Retried { endpoint: &endpoint, error: ErrorKind::Timeout });
//! assert!(metrics.render().contains(r#"maof_retries_total{endpoint="openai/gpt-4o"} 1"#));
//! # Ok::<(), maof_core::Error>(())
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use maof_core::{
    CacheStatus, Category, CircuitState, Error, ErrorKind, Limit, Money, Name, Observe, Operation, Result,
    RunState, Severity, Signal,
};
use metrics::{Counter, Gauge, Histogram, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;

use crate::names::{self, Kind};

mod family;

use family::{Closed, Family, Values};

/// Counts signals; see the [module](self).
pub struct Metrics {
    handle: PrometheusHandle,
    recorder: Arc<PrometheusRecorder>,
    arms: Arc<Closed>,
    agents: Arc<Closed>,
    endpoints: Arc<Closed>,
    task_types: Arc<Closed>,
    /// What each agent has cost, exactly; the gauge is set from it while it is locked, so that it never goes back.
    spent: Vec<Arc<Mutex<Money>>>,
    /// The same by name, of agents that went as well: one that comes back goes on.
    spent_by: HashMap<Name, Arc<Mutex<Money>>>,
    tasks: Family<Counter>,
    task_duration: Family<Histogram>,
    tokens: Family<Counter>,
    cost: Family<Gauge>,
    errors: Family<Counter>,
    agent_health: Family<Gauge>,
    circuit: Family<Gauge>,
    active: Family<Gauge>,
    calls: Family<Counter>,
    failures: Family<Counter>,
    escalations: Family<Counter>,
    call_duration: Family<Histogram>,
    attempts: Family<Counter>,
    sent: Family<Counter>,
    capture: Family<Gauge>,
    /// How many attempts were written down, of how many requests.
    captured: [AtomicU64; 2],
    attempt_duration: Family<Histogram>,
    retries: Family<Counter>,
    retries_refused: Family<Counter>,
    limited: Family<Counter>,
    agent_available: Family<Gauge>,
    shed: Family<Counter>,
    concurrency_limit: Family<Gauge>,
    joined: Family<Counter>,
    feedback: Family<Counter>,
    cache: Family<Counter>,
    cache_bytes: Family<Gauge>,
    hedges: Family<Counter>,
    split: Family<Counter>,
    cascades: Family<Counter>,
    shadows: Family<Counter>,
    fallbacks: Family<Counter>,
    holds_refused: Family<Counter>,
    near_limit: Family<Counter>,
    budget_alerts: Family<Counter>,
    prices_unknown: Family<Counter>,
}

impl Metrics {
    /// Counts by these agents, endpoints and task types.
    ///
    /// # Errors
    /// `internal` when the recorder refuses its buckets.
    pub fn new(agents: &[Name], endpoints: &[Name], task_types: &[Name]) -> Result<Metrics> {
        Metrics::splitting(agents, endpoints, task_types, &[])
    }

    /// Likewise, where calls are split among these arms.
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub fn splitting(
        agents: &[Name],
        endpoints: &[Name],
        task_types: &[Name],
        arms: &[Name],
    ) -> Result<Metrics> {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), names::BUCKETS)
            .map_err(|e| Error::internal("the metrics' buckets were refused").because(e))?;
        // Ours alone, not the process's: several can live side by side.
        let recorder = Arc::new(builder.build_recorder());
        describe(&recorder);
        let metrics = Metrics::over(recorder, HashMap::new(), [agents, endpoints, task_types, arms]);
        metrics.active.with(0, 0, |g| g.set(0.0));
        metrics.begin(|_| false, |_| false);
        Ok(metrics)
    }

    /// The same metrics, which know other agents, endpoints, task types and arms: what was counted goes on, and so does
    /// whoever counts by the ones before. Series of those that went stay as they are.
    #[must_use]
    pub fn next(&self, agents: &[Name], endpoints: &[Name], task_types: &[Name], arms: &[Name]) -> Metrics {
        let recorder = Arc::clone(&self.recorder);
        let next = Metrics::over(recorder, self.spent_by.clone(), [agents, endpoints, task_types, arms]);
        next.begin(|endpoint| self.endpoints.has(endpoint), |agent| self.agents.has(agent));
        next
    }

    fn over(
        recorder: Arc<PrometheusRecorder>,
        mut spent_by: HashMap<Name, Arc<Mutex<Money>>>,
        [agents, endpoints, task_types, arms]: [&[Name]; 4],
    ) -> Metrics {
        let [agents, endpoints, task_types] =
            [agents, endpoints, task_types].map(|known| Arc::new(Closed::new(known)));
        let agent = || Values::Names(Arc::clone(&agents));
        let endpoint = || Values::Names(Arc::clone(&endpoints));
        let task_type = || Values::Names(Arc::clone(&task_types));
        let kinds = || ErrorKind::ALL.iter().map(|kind| kind.as_str());
        let kind = || Values::Words(kinds().collect());
        let outcome = || Values::Words(kinds().chain([OK]).collect());
        let state = Values::Words(RunState::ALL.iter().map(|state| state.as_str()).collect());
        let operation = || Values::Words(Operation::ALL.iter().map(|operation| operation.as_str()).collect());
        let direction = Values::Words(vec!["input", "output"]);
        let limit = Values::Words(Limit::ALL.iter().map(|limit| limit.as_str()).collect());
        let category = Values::Words(Category::ALL.iter().map(|category| category.as_str()).collect());
        let severity = || Values::Words(Severity::ALL.iter().map(|severity| severity.as_str()).collect());
        let cache = Values::Words(CacheStatus::NAMES.to_vec());
        let arms = Arc::new(Closed::new(arms));
        let none = || Values::None;
        let r = &recorder;
        let known = agents.names().iter().map(|agent| spent_by.entry(agent.clone()).or_default().clone());
        Metrics {
            handle: recorder.handle(),
            spent: known.chain([Arc::default()]).collect(),
            spent_by,
            tasks: Family::new(&names::TASKS, [task_type(), state], r),
            task_duration: Family::new(&names::TASK_DURATION, [task_type(), none()], r),
            tokens: Family::new(&names::TOKENS, [agent(), direction], r),
            cost: Family::new(&names::COST, [agent(), none()], r),
            errors: Family::new(&names::ERRORS, [agent(), kind()], r),
            agent_health: Family::new(&names::AGENT_HEALTH, [endpoint(), none()], r),
            circuit: Family::new(&names::CIRCUIT, [endpoint(), none()], r),
            active: Family::new(&names::ACTIVE, [none(), none()], r),
            calls: Family::new(&names::CALLS, [operation(), outcome()], r),
            failures: Family::new(&names::FAILURES, [category, severity()], r),
            escalations: Family::new(&names::ESCALATIONS, [severity(), none()], r),
            call_duration: Family::new(&names::CALL_DURATION, [operation(), none()], r),
            attempts: Family::new(&names::ATTEMPTS, [endpoint(), outcome()], r),
            sent: Family::new(&names::SENT, [endpoint(), none()], r),
            capture: Family::new(&names::CAPTURE, [none(), none()], r),
            captured: Default::default(),
            attempt_duration: Family::new(&names::ATTEMPT_DURATION, [endpoint(), none()], r),
            retries: Family::new(&names::RETRIES, [endpoint(), none()], r),
            retries_refused: Family::new(&names::RETRIES_REFUSED, [endpoint(), none()], r),
            limited: Family::new(&names::LIMITED, [endpoint(), limit], r),
            agent_available: Family::new(&names::AGENT_AVAILABLE, [agent(), none()], r),
            shed: Family::new(&names::SHED, [none(), none()], r),
            concurrency_limit: Family::new(&names::CONCURRENCY_LIMIT, [none(), none()], r),
            joined: Family::new(&names::JOINED, [none(), none()], r),
            feedback: Family::new(&names::FEEDBACK, [none(), none()], r),
            cache: Family::new(&names::CACHE, [cache, none()], r),
            cache_bytes: Family::new(&names::CACHE_BYTES, [none(), none()], r),
            hedges: Family::new(&names::HEDGES, [endpoint(), none()], r),
            split: Family::new(&names::SPLIT, [Values::Names(Arc::clone(&arms)), none()], r),
            cascades: Family::new(&names::CASCADES, [Values::Words(vec!["kept", "escalated"]), none()], r),
            shadows: Family::new(&names::SHADOWS, [Values::Words(vec!["asked", "dropped"]), none()], r),
            fallbacks: Family::new(&names::FALLBACKS, [agent(), agent()], r),
            holds_refused: Family::new(&names::HOLDS_REFUSED, [none(), none()], r),
            near_limit: Family::new(&names::NEAR_LIMIT, [none(), none()], r),
            budget_alerts: Family::new(&names::BUDGET_ALERTS, [none(), none()], r),
            arms,
            prices_unknown: Family::new(&names::PRICES_UNKNOWN, [endpoint(), none()], r),
            agents: Arc::clone(&agents),
            endpoints: Arc::clone(&endpoints),
            task_types: Arc::clone(&task_types),
            recorder,
        }
    }

    /// Series of endpoints and agents that must be there before anything happens, but for those that were there before.
    fn begin(&self, had_endpoint: impl Fn(&Name) -> bool, had_agent: impl Fn(&Name) -> bool) {
        let endpoints = self.endpoints.names().iter().enumerate();
        for (endpoint, _) in endpoints.filter(|(_, name)| !had_endpoint(name)) {
            self.agent_health.with(endpoint, 0, |g| g.set(1.0));
            self.circuit.with(endpoint, 0, |g| g.set(0.0));
        }
        for (agent, _) in self.agents.names().iter().enumerate().filter(|(_, name)| !had_agent(name)) {
            self.agent_available.with(agent, 0, |g| g.set(1.0));
        }
    }

    /// Prometheus' text format.
    pub fn render(&self) -> String {
        let [written, sent] = self.captured.each_ref().map(|count| count.load(Ordering::Relaxed) as f64);
        // Nothing that was not sent is missing.
        self.capture.with(0, 0, |g| g.set(if sent > 0.0 { written / sent } else { 1.0 }));
        self.handle.render()
    }

    /// Drains histograms; to be called every few seconds, or they grow without bound.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn attempt_ended(&self, ended: &Signal<'_>) {
        let Signal::AttemptEnded { agent, endpoint, error, took, usage, cost } = *ended else { return };
        let (agent, endpoint) = (self.agents.place(agent), self.endpoints.place(endpoint));
        self.captured[0].fetch_add(1, Ordering::Relaxed);
        self.attempts.with(endpoint, outcome_place(error), |c| c.increment(1));
        self.attempt_duration.with(endpoint, 0, |h| h.record(took.as_secs_f64()));
        self.tokens.with(agent, 0, |c| c.increment(usage.input_tokens()));
        self.tokens.with(agent, 1, |c| c.increment(usage.output_tokens()));
        self.spend(agent, cost);
        if error.is_some() {
            self.errors.with(agent, outcome_place(error), |c| c.increment(1));
        }
    }

    fn spend(&self, agent: usize, cost: Money) {
        let Some(spent) = self.spent.get(agent) else { return };
        let mut spent = spent.lock();
        *spent = spent.plus(cost);
        self.cost.with(agent, 0, |g| g.set(spent.as_dollars_lossy()));
    }

    fn circuit(&self, endpoint: &Name, state: CircuitState) {
        let endpoint = self.endpoints.place(endpoint);
        let (number, up) = match state {
            CircuitState::Closed => (0.0, 1.0),
            CircuitState::Open => (1.0, 0.0),
            CircuitState::HalfOpen => (2.0, 1.0),
        };
        self.circuit.with(endpoint, 0, |g| g.set(number));
        self.agent_health.with(endpoint, 0, |g| g.set(up));
    }
}

/// The outcome of what did not fail.
const OK: &str = "ok";

/// The place of an operation among [`Operation::ALL`].
const fn operation_place(operation: Operation) -> usize {
    operation as usize
}

/// The place of a kind of error; after the last one, where nothing failed.
fn outcome_place(error: Option<ErrorKind>) -> usize {
    error.and_then(|kind| ErrorKind::ALL.iter().position(|k| *k == kind)).unwrap_or(ErrorKind::ALL.len())
}

fn state_place(state: RunState) -> usize {
    RunState::ALL.iter().position(|s| *s == state).unwrap_or(RunState::ALL.len())
}

fn describe(recorder: &PrometheusRecorder) {
    for metric in names::ALL {
        let (key, help) = (metric.name.into(), SharedString::const_str(metric.help));
        match metric.kind {
            Kind::Counter => recorder.describe_counter(key, None, help),
            Kind::Gauge => recorder.describe_gauge(key, None, help),
            Kind::Histogram => recorder.describe_histogram(key, None, help),
        }
    }
}

impl Observe for Metrics {
    fn on(&self, signal: Signal<'_>) {
        match signal {
            Signal::CallBegan => self.active.with(0, 0, |g| g.increment(1.0)),
            Signal::CallEnded { operation, error, took } => {
                self.active.with(0, 0, |g| g.decrement(1.0));
                let operation = operation_place(operation);
                self.calls.with(operation, outcome_place(error), |c| c.increment(1));
                self.call_duration.with(operation, 0, |h| h.record(took.as_secs_f64()));
            }
            ended @ Signal::AttemptEnded { .. } => self.attempt_ended(&ended),
            Signal::Sent { endpoint } => {
                self.captured[1].fetch_add(1, Ordering::Relaxed);
                self.sent.with(self.endpoints.place(endpoint), 0, |c| c.increment(1));
            }
            Signal::CallFailed { error, origin } => {
                let (category, severity) = (Category::of(error, origin), Severity::of(error, origin));
                self.failures.with(category as usize, severity as usize, |c| c.increment(1));
            }
            Signal::Escalated { error, origin, .. } => {
                self.escalations.with(Severity::of(error, origin) as usize, 0, |c| c.increment(1));
            }
            Signal::Retried { endpoint, .. } => {
                self.retries.with(self.endpoints.place(endpoint), 0, |c| c.increment(1));
            }
            Signal::RetryRefused { endpoint } => {
                self.retries_refused.with(self.endpoints.place(endpoint), 0, |c| c.increment(1));
            }
            Signal::Limited { endpoint, by } => {
                self.limited.with(self.endpoints.place(endpoint), by as usize, |c| c.increment(1));
            }
            Signal::AgentRested { agent, rested } => {
                let available = if rested { 0.0 } else { 1.0 };
                self.agent_available.with(self.agents.place(agent), 0, |g| g.set(available));
            }
            Signal::Shed => self.shed.with(0, 0, |c| c.increment(1)),
            Signal::ConcurrencyLimit { limit } => {
                self.concurrency_limit.with(0, 0, |g| g.set(f64::from(limit)));
            }
            Signal::FedBack => self.feedback.with(0, 0, |c| c.increment(1)),
            Signal::Joined => self.joined.with(0, 0, |c| c.increment(1)),
            Signal::Cache(status) => self.cache.with(status.place(), 0, |c| c.increment(1)),
            Signal::CacheSize { bytes } => self.cache_bytes.with(0, 0, |g| g.set(bytes as f64)),
            Signal::Routed { decision } => {
                if let Some(arm) = &decision.why.arm {
                    self.split.with(self.arms.place(arm), 0, |c| c.increment(1));
                }
            }
            Signal::Cascaded { kept } => self.cascades.with(usize::from(!kept), 0, |c| c.increment(1)),
            Signal::Shadowed { asked } => self.shadows.with(usize::from(!asked), 0, |c| c.increment(1)),
            Signal::Hedged { from, .. } => {
                self.hedges.with(self.endpoints.place(from), 0, |c| c.increment(1));
            }
            Signal::FellBack { from, to, .. } => {
                self.fallbacks.with(self.agents.place(from), self.agents.place(to), |c| c.increment(1));
            }
            Signal::Circuit { endpoint, state } => self.circuit(endpoint, state),
            Signal::HoldRefused { .. } => self.holds_refused.with(0, 0, |c| c.increment(1)),
            Signal::NearLimit { .. } => self.near_limit.with(0, 0, |c| c.increment(1)),
            Signal::BudgetAlert { .. } => self.budget_alerts.with(0, 0, |c| c.increment(1)),
            Signal::PriceUnknown { endpoint } => {
                self.prices_unknown.with(self.endpoints.place(endpoint), 0, |c| c.increment(1));
            }
            Signal::Run { task_type, state, age, .. } => {
                let task_type = self.task_types.place(task_type);
                if state.is_final() || state == RunState::Queued {
                    self.tasks.with(task_type, state_place(state), |c| c.increment(1));
                }
                if state.is_final() {
                    self.task_duration.with(task_type, 0, |h| h.record(age.as_secs_f64()));
                }
            }
            _ => {}
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("agents", &self.agents.names().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "metrics/tests.rs"]
mod tests;
