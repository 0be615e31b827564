//! What a workflow file may say.

use std::collections::BTreeMap;

use maof_core::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::recovery::Recoveries;

/// A workflow as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkflowSpec {
    /// Its name; tasks of this type run through it.
    #[schemars(with = "String")]
    pub name: Name,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Calls that one run makes at the same time, at most. Default 16.
    #[serde(default = "default_parallel")]
    pub max_parallel: u32,
    /// Files that make up a task's content when it brings none, by name; read by whoever submits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, InputSpec>,
    /// What is done about failures of an agent, by its name, where a step's `on_error.recovery` says nothing of them; causes
    /// and recoveries as there. What the configuration says of its agents is added before a task is accepted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, BTreeMap<String, String>>")]
    pub recovery: BTreeMap<Name, Recoveries>,
    /// The steps, in order.
    pub steps: Vec<StepSpec>,
    /// The result: a name and an expression for each part. Default: the output of every step that no
    /// other step needs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub output: BTreeMap<String, String>,
}

fn default_parallel() -> u32 {
    16
}

/// A file, or several, whose content becomes a part of the task's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// The file, relative to the workflow's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Several files; each becomes `{name, content}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// How to read it. Default: by the file's ending, else as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<InputFormat>,
    /// At most this many items of a list. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// How an input file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InputFormat {
    /// Text, as it is.
    Text,
    /// One JSON value.
    Json,
    /// One JSON value a line: a list.
    Jsonl,
    /// Comma-separated with a header: a list of objects; numbers become numbers.
    Csv,
    /// Tab-separated with a header, likewise.
    Tsv,
}

/// One step as it is written. It names exactly one of `agent`, `capability`, `task_type`, `parallel`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// Its name within the workflow.
    pub id: String,
    /// Steps that must have ended. Default: the step before. `[]` starts at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Vec<String>>,
    /// An expression; the step is skipped, with `none` as its output, when it is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// An expression for a list; the step runs for every item of it, which templates see as `item`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
    /// The agent to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub agent: Option<Name>,
    /// Ask whoever can do this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub capability: Option<Name>,
    /// Ask whoever the agent map names for this type of task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub task_type: Option<Name>,
    /// Ask all these agents the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub parallel: Vec<Name>,
    /// The question, as a template. Default: the item of a map, else the task's content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<String>,
    /// The JSON schema that each answer must follow, as that of an agent's `output` must; it is asked for instead of that.
    /// Answers that do not are refused, sent back or passed on as `structured.invalid` says. Default: what the agent
    /// declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// How the answers of `parallel` are folded into one, such as `{strategy: majority}`. Default: a map
    /// from agent to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<Value>,
    /// Whether agents are no longer waited for once the others' answers have decided the `join`: their calls are cancelled, and
    /// what was used until then is paid for. The decision is the one that all would have come to; agreement and dissent are
    /// of those who answered, and with a `key` the rest of the answer may be another's of those who agree. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub early_stop: bool,
    /// An expression for the right answer where it is known, so that the report can count who was right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// What happens when an agent fails for good.
    #[serde(default)]
    pub on_error: OnError,
}

/// What happens when an agent fails, after the call path's own retries and fallbacks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OnError {
    /// How many more times to ask the same agent. Default 0, at most 100.
    pub retry: u32,
    /// How long to wait before the first of them, in milliseconds; doubles each time. Default 0.
    pub delay_ms: u64,
    /// Then ask this agent.
    #[schemars(with = "Option<String>")]
    pub fallback: Option<Name>,
    /// Then end the run, or go on without the answer. Default `fail`.
    pub then: Then,
    /// What is done about certain failures instead, such as `{timeout: retry, PERMISSION: terminate, unavailable@tool: skip}`. A
    /// cause is a kind of error or one of the categories AGENT, TOOL, NETWORK, PERMISSION, VALIDATION, TIMEOUT, RESOURCE and
    /// SYSTEM, and may end in an origin (`@caller`, `@provider`, `@tool`, `@store`, `@maof`). Recoveries: `retry` (at most `retry`
    /// times, then as without a table), `fallback` (at once), `skip`, `escalate` (the operators are told, then `then` holds),
    /// `reset` (all agents of the step are asked anew for the item, at most `retry` times) and `terminate`. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub recovery: Recoveries,
    /// Milliseconds that rate limits may be waited for, in all, before one counts as a failure: each as long as the upstream
    /// says, else a second that doubles. Default 0, at most 86,400,000 (a day).
    #[serde(skip_serializing_if = "is_zero")]
    pub wait_ms: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The last resort of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// The run fails.
    #[default]
    Fail,
    /// The answer is `none`, and a join goes on without it.
    Skip,
}
