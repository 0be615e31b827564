//! The dialect's words for usage and endings, and its two ways to write a field's name.

use maof_core::{Finish, Unit, Usage};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The dialect's name.
pub(super) const NAME: &str = "gemini";

/// What was used, as the dialect counts it: what a cache served is among the prompt, thoughts and the prompts of
/// tools stand beside.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct UsageCounts {
    prompt_token_count: u64,
    cached_content_token_count: u64,
    candidates_token_count: u64,
    thoughts_token_count: u64,
    tool_use_prompt_token_count: u64,
    total_token_count: Option<u64>,
    prompt_tokens_details: Vec<Modality>,
    candidates_tokens_details: Vec<Modality>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Modality {
    modality: String,
    token_count: u64,
}

fn of(details: &[Modality], modality: &str) -> u64 {
    details.iter().filter(|d| d.modality == modality).map(|d| d.token_count).sum()
}

impl UsageCounts {
    /// In disjoint classes that sum to the provider's total.
    pub(super) fn usage(&self) -> Usage {
        let mut left = self.prompt_token_count;
        let mut take = |told: u64| {
            let taken = told.min(left);
            left -= taken;
            taken
        };
        let cached = take(self.cached_content_token_count);
        let heard = take(of(&self.prompt_tokens_details, "AUDIO"));
        let mut output = self.candidates_token_count;
        let spoken = of(&self.candidates_tokens_details, "AUDIO").min(output);
        output -= spoken;
        let drawn = of(&self.candidates_tokens_details, "IMAGE").min(output);
        output -= drawn;
        let input = left.saturating_add(self.tool_use_prompt_token_count);
        let told = self
            .prompt_token_count
            .saturating_add(self.tool_use_prompt_token_count)
            .saturating_add(self.candidates_token_count)
            .saturating_add(self.thoughts_token_count);
        // What only the total tells is output: it is the dearer class.
        let untold = self.total_token_count.unwrap_or(0).saturating_sub(told);
        Usage::default()
            .with(Unit::Input, input)
            .with(Unit::CachedInput, cached)
            .with(Unit::AudioInput, heard)
            .with(Unit::Output, output.saturating_add(untold))
            .with(Unit::Reasoning, self.thoughts_token_count)
            .with(Unit::AudioOutput, spoken)
            .with(Unit::ImageOutput, drawn)
    }
}

/// Usage, as a caller is told.
pub(super) fn counts(usage: &Usage) -> Value {
    let thoughts = usage.get(Unit::Reasoning);
    let cached = usage.get(Unit::CachedInput).saturating_add(usage.get(Unit::CachedAudio));
    let mut counts = json!({
        "promptTokenCount": usage.input_tokens(),
        "candidatesTokenCount": usage.output_tokens().saturating_sub(thoughts),
        "totalTokenCount": usage.total_tokens(),
    });
    if thoughts > 0 {
        counts["thoughtsTokenCount"] = thoughts.into();
    }
    if cached > 0 {
        counts["cachedContentTokenCount"] = cached.into();
    }
    counts
}

/// Why an answer ended, in the dialect's word.
pub(super) fn finish_word(finish: &Finish) -> &str {
    match finish {
        // A wish to use tools is no ending of its own here.
        Finish::Stop | Finish::ToolCalls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter => "SAFETY",
        Finish::Other(word) => word,
    }
}

/// The meaning of the dialect's word; `calls` says whether tools are wanted.
pub(super) fn finish_of(word: &str, calls: bool) -> Finish {
    match word {
        "STOP" if calls => Finish::ToolCalls,
        "STOP" => Finish::Stop,
        "MAX_TOKENS" => Finish::Length,
        "SAFETY" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "RECITATION" | "IMAGE_SAFETY" => {
            Finish::ContentFilter
        }
        other => Finish::Other(other.to_owned()),
    }
}

/// A field by its name in camel case, though it be written in snake case; null is as good as missing.
pub(super) fn get<'a>(object: &'a Value, camel: &str) -> &'a Value {
    match &object[camel] {
        Value::Null => &object[snake(camel)],
        value => value,
    }
}

/// Takes a field out of an object, by either name; none when it is missing or null.
pub(super) fn take(object: &mut Map<String, Value>, camel: &str) -> Option<Value> {
    let value = object.remove(camel).or_else(|| object.remove(&snake(camel)));
    value.filter(|value| !value.is_null())
}

fn snake(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 4);
    for c in camel.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
