//! What our own API reads and writes.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName};
use maof::{Report, RunAnswer};
use maof_core::{DecisionId, Error, Failure, Money, Name, Result, Run};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// The body of `POST /tasks`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTask {
    pub(crate) task_type: Name,
    pub(crate) content: Value,
    #[serde(default)]
    pub(crate) priority: i16,
    /// From now, in milliseconds.
    #[serde(default)]
    pub(crate) deadline_ms: Option<u64>,
    /// As `x-maof-session` at the gateway.
    #[serde(default)]
    pub(crate) session: Option<String>,
    /// As `x-maof-tags` at the gateway.
    #[serde(default)]
    pub(crate) tags: BTreeMap<Name, Name>,
}

/// The body of `POST /feedback`. Its fields are read one by one, so that what is wrong is told by its name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewFeedback<'a> {
    #[serde(borrow)]
    pub(crate) decision: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) score: Option<&'a RawValue>,
}

/// The query of `POST /tasks`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Waiting {
    /// Seconds to wait for the result.
    #[serde(default)]
    pub(crate) wait: Option<u64>,
}

/// The query of `GET /tasks`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listing {
    #[serde(default)]
    pub(crate) status: Option<maof_core::RunState>,
    #[serde(default)]
    pub(crate) limit: Option<u32>,
    #[serde(default)]
    pub(crate) before: Option<maof_core::RunId>,
}

/// The query of `GET /tasks/{id}/events`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    #[serde(default)]
    pub(crate) after: Option<u64>,
}

/// The query of `DELETE /cache`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cleared {
    /// Whose answers: an agent's or an endpoint's.
    #[serde(default)]
    pub(crate) agent: Option<Name>,
}

/// A task, in short.
#[derive(Debug, Serialize)]
pub(crate) struct TaskLine {
    id: String,
    status: &'static str,
    task_type: Name,
    priority: i16,
    created_at: String,
    updated_at: String,
}

impl TaskLine {
    pub(crate) fn of(run: &Run) -> Self {
        TaskLine {
            id: run.id.to_string(),
            status: run.state.as_str(),
            task_type: run.task.task_type.clone(),
            priority: run.task.priority,
            created_at: run.created.to_string(),
            updated_at: run.updated.to_string(),
        }
    }
}

/// A task, in full.
#[derive(Debug, Serialize)]
pub(crate) struct TaskDetail {
    #[serde(flatten)]
    line: TaskLine,
    agent_responses: Vec<AgentResponse>,
    /// Whether there are more answers than are shown.
    truncated: bool,
    final_output: Option<Value>,
    cost_usd: String,
    report: Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

/// One agent's answer.
#[derive(Debug, Serialize)]
struct AgentResponse {
    /// What `POST /feedback` takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<DecisionId>,
    step: String,
    item: u32,
    agent: Name,
    endpoint: Name,
    response: Value,
    cost_usd: String,
    duration_ms: f64,
    attempts: u32,
    fallbacks: u32,
}

/// Answers that one response shows; the event stream has all.
const MOST_ANSWERS: usize = 1_000;

impl TaskDetail {
    pub(crate) fn of(run: Run, report: Report, answers: Vec<RunAnswer>) -> Self {
        let truncated = answers.len() > MOST_ANSWERS;
        let shown = answers.into_iter().take(MOST_ANSWERS).map(|a| AgentResponse {
            decision: a.answer.decision,
            step: a.step.to_string(),
            item: a.item,
            agent: a.answer.agent,
            endpoint: a.answer.endpoint,
            response: a.answer.value,
            cost_usd: dollars(a.answer.cost),
            duration_ms: a.answer.micros as f64 / 1_000.0,
            attempts: a.answer.attempts,
            fallbacks: a.answer.fallbacks,
        });
        TaskDetail {
            line: TaskLine::of(&run),
            agent_responses: shown.collect(),
            truncated,
            cost_usd: dollars(report.cost),
            report,
            final_output: run.result,
            error: run.failure,
        }
    }
}

/// Exact dollars without the sign, as text: JSON numbers are floats to many.
pub(crate) fn dollars(money: Money) -> String {
    money.amount(&mut [0; Money::WIDEST]).to_owned()
}

/// A header as text.
///
/// # Errors
/// `invalid_request` naming the header when it is not plain text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value
        .to_str()
        .map(Some)
        .map_err(|_| Error::invalid_request("the header is not plain text").param(name.to_string()))
}
