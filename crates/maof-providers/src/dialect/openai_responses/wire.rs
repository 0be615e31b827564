//! The dialect's words for usage and endings.

use maof_core::{Finish, Unit, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

/// The dialect's name.
pub(super) const NAME: &str = "openai_responses";

/// What was used, as the dialect counts it: what a cache served is among the input, reasoning among the output.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageCounts {
    input_tokens: u64,
    output_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens_details: OutputDetails,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl UsageCounts {
    /// In disjoint classes that sum to the provider's total.
    pub(super) fn usage(&self) -> Usage {
        let cached = self.input_tokens_details.cached_tokens.min(self.input_tokens);
        let written = self.input_tokens_details.cache_write_tokens.min(self.input_tokens - cached);
        let reasoning = self.output_tokens_details.reasoning_tokens.min(self.output_tokens);
        Usage::default()
            .with(Unit::Input, self.input_tokens - cached - written)
            .with(Unit::CachedInput, cached)
            .with(Unit::CacheWrite, written)
            .with(Unit::Output, self.output_tokens - reasoning)
            .with(Unit::Reasoning, reasoning)
    }
}

/// How often the provider searched the web for an answer, which it charges for: as it says, or by the searches that the
/// answer shows where it says nothing.
pub(super) fn searches(told: &Value, output: &[Value]) -> u64 {
    let shown = || output.iter().filter(|item| item["type"] == "web_search_call").count() as u64;
    told["web_search"]["num_requests"].as_u64().unwrap_or_else(shown)
}

/// Usage, as a caller is told.
pub(super) fn counts(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens(),
        "input_tokens_details": {"cached_tokens": usage.get(Unit::CachedInput)},
        "output_tokens": usage.output_tokens(),
        "output_tokens_details": {"reasoning_tokens": usage.get(Unit::Reasoning)},
        "total_tokens": usage.total_tokens(),
    })
}

/// Why an answer ended, from its status; `calls` says whether tools are wanted.
pub(super) fn finish_of(response: &Value, calls: bool) -> Option<Finish> {
    match response["status"].as_str() {
        Some("incomplete") => Some(match response["incomplete_details"]["reason"].as_str() {
            Some("max_output_tokens") | None => Finish::Length,
            Some("content_filter") => Finish::ContentFilter,
            Some(other) => Finish::Other(other.to_owned()),
        }),
        Some("queued" | "in_progress") => None,
        // Some servers leave the status out.
        _ if calls => Some(Finish::ToolCalls),
        _ => Some(Finish::Stop),
    }
}

/// The status and what is incomplete.
pub(super) fn status_of(finish: Option<&Finish>) -> (&'static str, Value) {
    match finish {
        Some(Finish::Length) => ("incomplete", json!({"reason": "max_output_tokens"})),
        Some(Finish::ContentFilter) => ("incomplete", json!({"reason": "content_filter"})),
        _ => ("completed", Value::Null),
    }
}
