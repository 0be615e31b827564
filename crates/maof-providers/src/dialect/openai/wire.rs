//! The dialect's JSON as types. What is not named here is kept in `rest`.

use maof_core::{Finish, Speaker, Unit, Usage};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The dialect's name.
pub(super) const NAME: &str = "openai";

/// A message, of a request or of an answer.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Message {
    pub(super) role: Option<String>,
    #[serde(default)]
    pub(super) content: Option<Content>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_content: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tool_calls: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tool_call_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// A message's content.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Value>),
}

/// A call of a function; other kinds of tools do not fit, and stay as they came.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct ToolCall {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(rename = "type", default = "function")]
    pub(super) kind: String,
    pub(super) function: Function,
    /// What only its provider knows, such as Google's signature.
    #[serde(default)]
    pub(super) extra_content: Value,
}

fn function() -> String {
    "function".to_owned()
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Function {
    pub(super) name: String,
    /// JSON text; some providers send the JSON itself.
    #[serde(default)]
    pub(super) arguments: Value,
}

/// A function on offer. Strict, because what does not fit stays as it came.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tool {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) function: ToolFunction,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolFunction {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(super) parameters: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) strict: Option<bool>,
}

/// The choice of one function.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedTool {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) function: ToolName,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolName {
    pub(super) name: String,
}

/// The shape of an answer.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Format {
    Text,
    JsonObject,
    JsonSchema { json_schema: Schema },
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Schema {
    pub(super) name: String,
    pub(super) schema: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) strict: Option<bool>,
}

/// One text, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

/// What was used, as the dialect counts it: cached tokens are among the prompt's, and reasoning is among
/// the completion's at most providers.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct UsageCounts {
    #[serde(default)]
    pub(super) prompt_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) completion_tokens: Option<u64>,
    #[serde(default)]
    pub(super) total_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prompt_tokens_details: Option<PromptDetails>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) completion_tokens_details: Option<CompletionDetails>,
    /// Whether we counted, because the provider did not say. A word of ours, which readers pass over.
    #[serde(skip_deserializing, skip_serializing_if = "std::ops::Not::not")]
    pub(super) estimated: bool,
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct PromptDetails {
    #[serde(default)]
    pub(super) cached_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) audio_tokens: Option<u64>,
    /// As OpenRouter tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cache_write_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct CompletionDetails {
    #[serde(default)]
    pub(super) reasoning_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) audio_tokens: Option<u64>,
}

impl UsageCounts {
    /// In disjoint classes that sum to the provider's total.
    pub(super) fn usage(&self) -> Usage {
        let prompt = self.prompt_tokens.or(self.total_tokens).unwrap_or(0);
        let completion = self.completion_tokens.unwrap_or(0);
        let details = self.prompt_tokens_details.as_ref();
        // Each class out of what the ones before it left, so that they stay disjoint whatever is told.
        let mut left = prompt;
        let mut take = |told: Option<u64>| {
            let taken = told.unwrap_or(0).min(left);
            left -= taken;
            taken
        };
        let cached = take(details.and_then(|d| d.cached_tokens));
        let written = take(details.and_then(|d| d.cache_write_tokens));
        let heard = take(details.and_then(|d| d.audio_tokens));
        // Some providers count reasoning beside the completion, and only the total tells.
        let beside = match (self.prompt_tokens, self.completion_tokens, self.total_tokens) {
            (Some(p), Some(c), Some(total)) => total.saturating_sub(p.saturating_add(c)),
            _ => 0,
        };
        let output = completion.saturating_add(beside);
        let details = self.completion_tokens_details.as_ref();
        let told = details.and_then(|d| d.reasoning_tokens).unwrap_or(0);
        let reasoning = told.max(beside).min(output);
        let spoken = details.and_then(|d| d.audio_tokens).unwrap_or(0).min(output - reasoning);
        Usage::default()
            .with(Unit::Input, left)
            .with(Unit::CachedInput, cached)
            .with(Unit::CacheWrite, written)
            .with(Unit::AudioInput, heard)
            .with(Unit::Output, output - reasoning - spoken)
            .with(Unit::Reasoning, reasoning)
            .with(Unit::AudioOutput, spoken)
    }

    /// As a caller is told.
    pub(super) fn of(usage: &Usage) -> Self {
        let some = |n: u64| (n > 0).then_some(n);
        let cached = usage.get(Unit::CachedInput);
        let written = usage.get(Unit::CacheWrite).saturating_add(usage.get(Unit::CacheWriteLong));
        let heard = usage.get(Unit::AudioInput).saturating_add(usage.get(Unit::CachedAudio));
        let (reasoning, spoken) = (usage.get(Unit::Reasoning), usage.get(Unit::AudioOutput));
        UsageCounts {
            prompt_tokens: Some(usage.input_tokens()),
            completion_tokens: Some(usage.output_tokens()),
            total_tokens: Some(usage.total_tokens()),
            prompt_tokens_details: (cached + written + heard > 0).then(|| PromptDetails {
                cached_tokens: Some(cached),
                audio_tokens: some(heard),
                cache_write_tokens: some(written),
            }),
            completion_tokens_details: (reasoning + spoken > 0)
                .then(|| CompletionDetails { reasoning_tokens: Some(reasoning), audio_tokens: some(spoken) }),
            estimated: usage.estimated,
        }
    }
}

/// Why an answer ended, in the dialect's word.
pub(super) fn finish_word(finish: &Finish) -> &str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
        Finish::Other(word) => word,
    }
}

/// The meaning of the dialect's word.
pub(super) fn finish_of(word: &str) -> Finish {
    match word {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "tool_calls" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        other => Finish::Other(other.to_owned()),
    }
}

/// A speaker, in the dialect's word.
pub(super) const fn role_word(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::System => "system",
        Speaker::Developer => "developer",
        Speaker::User => "user",
        Speaker::Assistant => "assistant",
        Speaker::Tool => "tool",
    }
}

/// The speaker that the dialect's word names.
pub(super) fn speaker_of(role: &str) -> Option<Speaker> {
    const ALL: [Speaker; 5] =
        [Speaker::System, Speaker::Developer, Speaker::User, Speaker::Assistant, Speaker::Tool];
    ALL.into_iter().find(|speaker| role_word(*speaker) == role)
}
