//! Every name that leaves the process, once: metrics, their labels, and span attributes.
//!
//! A change here is a change of what dashboards and alarms rely on, and gets a CHANGELOG entry.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels; their values come from closed sets.
    pub labels: &'static [&'static str],
    /// What it says, with its unit.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident = $name:literal, $kind:ident, [$($label:literal),*], $help:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help)]
            pub const $id: Metric = Metric {
                name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help,
            };
        )+
        /// Every metric.
        pub const ALL: &[Metric] = &[$($id),+];
    };
}

metrics! {
    TASKS = "maof_tasks_total", Counter, ["task_type", "status"], "Tasks by type and the state they came to.";
    TASK_DURATION = "maof_task_duration_seconds", Histogram, ["task_type"], "Seconds from acceptance to a final state.";
    TOKENS = "maof_tokens_total", Counter, ["agent", "direction"], "Tokens used, input and output.";
    COST = "maof_cost_total_usd", Gauge, ["agent"], "US dollars spent since the start, from the integer total.";
    ERRORS = "maof_errors_total", Counter, ["agent", "error_type"], "Failed requests to upstreams by kind of error.";
    AGENT_HEALTH = "maof_agent_health", Gauge, ["endpoint"], "1 if the endpoint can be asked, 0 while it is rested.";
    CIRCUIT = "maof_circuit_breaker_state", Gauge, ["endpoint"], "0 closed, 1 open, 2 half open.";
    ACTIVE = "maof_active_requests", Gauge, [], "Calls in flight.";
    CALLS = "maof_calls_total", Counter, ["operation", "outcome"], "Calls by operation and outcome (ok or a kind of error).";
    FAILURES = "maof_failures_total", Counter, ["category", "severity"], "Calls that failed, by category of error and how much an operator should care.";
    ESCALATIONS = "maof_escalations_total", Counter, ["severity"], "Failures of steps that are to be looked at.";
    CALL_DURATION = "maof_call_duration_seconds", Histogram, ["operation"], "Seconds that calls took, fallbacks and retries included.";
    ATTEMPTS = "maof_attempts_total", Counter, ["endpoint", "outcome"], "Requests to upstreams by outcome.";
    SENT = "maof_upstream_requests_total", Counter, ["endpoint"], "Requests that were sent to upstreams, counted where they leave.";
    CAPTURE = "maof_capture_rate", Gauge, [], "Attempts that were written down over requests that were sent; below 1 by those that have begun to answer and not ended.";
    ATTEMPT_DURATION = "maof_attempt_duration_seconds", Histogram, ["endpoint"], "Seconds that requests to upstreams took.";
    RETRIES = "maof_retries_total", Counter, ["endpoint"], "Requests that were sent again to the same endpoint.";
    RETRIES_REFUSED = "maof_retries_refused_total", Counter, ["endpoint"], "Retries that the budget of retries refused.";
    LIMITED = "maof_limited_total", Counter, ["endpoint", "limit"], "Calls that a limit of ours kept from an endpoint.";
    AGENT_AVAILABLE = "maof_agent_available", Gauge, ["agent"], "1 if any endpoint of the agent can be asked, 0 while all are rested.";
    SHED = "maof_shed_total", Counter, [], "Calls refused at the door, because too many were under way.";
    CONCURRENCY_LIMIT = "maof_concurrency_limit", Gauge, [], "Calls that may be under way, once that was decided anew.";
    JOINED = "maof_joined_total", Counter, [], "Calls that were answered with another one that was the same.";
    FEEDBACK = "maof_feedback_total", Counter, [], "Times that a caller said what an answer was worth.";
    CACHE = "maof_cache_total", Counter, ["result"], "Calls by what the cache did: hit, miss, bypass, or similar.";
    CACHE_BYTES = "maof_cache_bytes", Gauge, [], "Bytes that kept answers take, about.";
    HEDGES = "maof_hedges_total", Counter, ["endpoint"], "Times that another endpoint was asked beside this one, which was slow.";
    SPLIT = "maof_split_total", Counter, ["arm"], "Calls by the arm of the split that they fell to; `control` is the rest.";
    CASCADES = "maof_cascades_total", Counter, ["result"], "First answers of cascades: they were kept, or the call was escalated to whom it asked for.";
    SHADOWS = "maof_shadows_total", Counter, ["result"], "Calls that were to be shadowed: another agent was asked too (asked), or there was no room (dropped).";
    FALLBACKS = "maof_fallbacks_total", Counter, ["from", "to"], "Times that the next candidate was asked.";
    HOLDS_REFUSED = "maof_holds_refused_total", Counter, [], "Holds that a budget refused.";
    NEAR_LIMIT = "maof_budget_near_limit_total", Counter, [], "Calls on an account beyond its soft limit: who is cheaper is asked first.";
    BUDGET_ALERTS = "maof_budget_alerts_total", Counter, [], "Times that an account passed one of `alerts.at_percent` of its limit, once in its window.";
    PRICES_UNKNOWN = "maof_prices_unknown_total", Counter, ["endpoint"], "Requests to models whose prices nobody knows, by `prices.unknown`.";
}

/// Buckets of every duration, in seconds: from a local agent's to a long answer's.
pub const BUCKETS: &[f64] = &[
    0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
    300.0, 600.0,
];

/// The value of a label whose own value is not in its closed set.
pub const OTHER: &str = "other";

/// The names of spans.
pub mod span {
    /// A call on its whole way.
    pub const CALL: &str = "call";
    /// One request to one upstream.
    pub const ATTEMPT: &str = "attempt";
}

/// Span attributes: OpenTelemetry's semantic conventions for generative AI, and some of ours beginning with `maof`.
pub mod attribute {
    /// The operation: chat, embeddings.
    pub const OPERATION: &str = "gen_ai.operation.name";
    /// The provider that is asked.
    pub const PROVIDER: &str = "gen_ai.provider.name";
    /// What was asked for: of a call its target, of an attempt the provider's model.
    pub const REQUEST_MODEL: &str = "gen_ai.request.model";
    /// The model that answered.
    pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
    /// Why the answer ended, as a list.
    pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
    /// Input tokens, cached ones included.
    pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
    /// Output tokens, reasoning included.
    pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
    /// The kind of error.
    pub const ERROR_TYPE: &str = "error.type";
    /// The call's id.
    pub const CALL_ID: &str = "maof.call.id";
    /// The agent that answers.
    pub const AGENT: &str = "gen_ai.agent.name";
    /// The endpoint that is asked.
    pub const ENDPOINT: &str = "maof.endpoint";
    /// Which attempt it is, from 1.
    pub const ATTEMPT: &str = "maof.attempt";
    /// The router's decision, for feedback.
    pub const ROUTE_DECISION: &str = "maof.route.decision";
    /// The arm of the split that the call fell to.
    pub const ROUTE_ARM: &str = "maof.route.arm";
    /// The strategy by which the router decided.
    pub const ROUTE_STRATEGY: &str = "maof.route.strategy";
    /// Who may answer, in order, with scores; and who may not, with the reason.
    pub const ROUTE_ORDER: &str = "maof.route.order";
    /// How probable it was that the first would be the first, where that is known.
    pub const ROUTE_PROPENSITY: &str = "maof.route.propensity";
    /// What it cost, in nano-dollars.
    pub const COST: &str = "maof.cost.nanos";
}
