//! The dialect's words for usage, endings and speakers.

use maof_core::{Finish, Unit, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

/// The dialect's name.
pub(super) const NAME: &str = "anthropic";

/// What was used, as the dialect counts it: what a cache served or was written to it stands beside the input.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageCounts {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ServerTools>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    #[serde(alias = "reasoning_tokens")]
    thinking_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ServerTools {
    web_search_requests: Option<u64>,
}

impl UsageCounts {
    /// Takes over what a later frame says; its counts are of the whole answer, not additions.
    pub(super) fn update(&mut self, later: UsageCounts) {
        fn over<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        over(&mut self.input_tokens, later.input_tokens);
        over(&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens);
        over(&mut self.cache_read_input_tokens, later.cache_read_input_tokens);
        over(&mut self.output_tokens, later.output_tokens);
        over(&mut self.cache_creation, later.cache_creation);
        over(&mut self.output_tokens_details, later.output_tokens_details);
        over(&mut self.server_tool_use, later.server_tool_use);
    }

    /// In disjoint classes that sum to the provider's total.
    pub(super) fn usage(&self) -> Usage {
        let written = self.cache_creation_input_tokens.unwrap_or(0);
        let long = self.cache_creation.as_ref().and_then(|c| c.ephemeral_1h_input_tokens).unwrap_or(0);
        let long = long.min(written);
        let output = self.output_tokens.unwrap_or(0);
        let thought = self.output_tokens_details.as_ref().and_then(|d| d.thinking_tokens).unwrap_or(0);
        let thought = thought.min(output);
        let tools = self.server_tool_use.as_ref().and_then(|t| t.web_search_requests).unwrap_or(0);
        Usage::default()
            .with(Unit::Input, self.input_tokens.unwrap_or(0))
            .with(Unit::CachedInput, self.cache_read_input_tokens.unwrap_or(0))
            .with(Unit::CacheWrite, written - long)
            .with(Unit::CacheWriteLong, long)
            .with(Unit::Output, output - thought)
            .with(Unit::Reasoning, thought)
            .with(Unit::ServerTool, tools)
    }
}

/// Usage, as a caller is told.
pub(super) fn counts(usage: &Usage) -> Value {
    let written = usage.get(Unit::CacheWrite).saturating_add(usage.get(Unit::CacheWriteLong));
    let cached = usage.get(Unit::CachedInput).saturating_add(usage.get(Unit::CachedAudio));
    let mut counts = json!({
        "input_tokens": usage.input_tokens().saturating_sub(written).saturating_sub(cached),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.output_tokens(),
    });
    if usage.estimated {
        // A word of ours, which readers pass over.
        counts["estimated"] = true.into();
    }
    counts
}

/// Why an answer ended, in the dialect's word.
pub(super) fn stop_word(finish: &Finish) -> &str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::ContentFilter => "refusal",
        Finish::Other(word) => word,
    }
}

/// The meaning of the dialect's word.
pub(super) fn stop_of(word: &str) -> Finish {
    match word {
        "end_turn" | "stop_sequence" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::ContentFilter,
        other => Finish::Other(other.to_owned()),
    }
}
