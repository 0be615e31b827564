//! What was used, as the dialect says it: read from every answer, so it is read quickly where it is written as it
//! mostly is.

use maof_core::{Unit, Usage};
use serde::{Deserialize, Serialize};

use crate::dialect::object::members_at;
use crate::dialect::scan;

/// What was used, as the dialect counts it: cached tokens are among the prompt's, and reasoning is among
/// the completion's at most providers.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
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

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
pub(super) struct PromptDetails {
    #[serde(default)]
    pub(super) cached_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) audio_tokens: Option<u64>,
    /// As OpenRouter tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cache_write_tokens: Option<u64>,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
pub(super) struct CompletionDetails {
    #[serde(default)]
    pub(super) reasoning_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) audio_tokens: Option<u64>,
}

impl UsageCounts {
    /// What `raw` says; none where that is no usage.
    pub(super) fn read(raw: &str) -> Option<UsageCounts> {
        match UsageCounts::quick(raw, 0) {
            Some((counts, end)) if end == raw.len() => Some(counts),
            _ => serde_json::from_str(raw).ok(),
        }
    }

    /// What the object that begins at `at` says, if it is written as it mostly is, and where it ends.
    pub(super) fn quick(text: &str, at: usize) -> Option<(UsageCounts, usize)> {
        let mut counts = UsageCounts::default();
        let mut seen = Seen::default();
        let end = members_at(text, at, |name, at| match name {
            r#""prompt_tokens""# => seen.number(0, &mut counts.prompt_tokens, text, at),
            r#""completion_tokens""# => seen.number(1, &mut counts.completion_tokens, text, at),
            r#""total_tokens""# => seen.number(2, &mut counts.total_tokens, text, at),
            r#""prompt_tokens_details""# => {
                let details = counts.prompt_tokens_details.insert(PromptDetails::default());
                let mut inside = Seen::default();
                let end = members_at(text, at, |name, at| match name {
                    r#""cached_tokens""# => inside.number(0, &mut details.cached_tokens, text, at),
                    r#""audio_tokens""# => inside.number(1, &mut details.audio_tokens, text, at),
                    r#""cache_write_tokens""# => inside.number(2, &mut details.cache_write_tokens, text, at),
                    other => skipped(other, text, at),
                })?;
                seen.once(3)?;
                Some(end)
            }
            r#""completion_tokens_details""# => {
                let details = counts.completion_tokens_details.insert(CompletionDetails::default());
                let mut inside = Seen::default();
                let end = members_at(text, at, |name, at| match name {
                    r#""reasoning_tokens""# => inside.number(0, &mut details.reasoning_tokens, text, at),
                    r#""audio_tokens""# => inside.number(1, &mut details.audio_tokens, text, at),
                    other => skipped(other, text, at),
                })?;
                seen.once(4)?;
                Some(end)
            }
            other => skipped(other, text, at),
        })?;
        Some((counts, end))
    }

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

/// The members that have been seen, each of which may come once.
#[derive(Default)]
struct Seen(u8);

impl Seen {
    fn once(&mut self, which: u8) -> Option<()> {
        let bit = 1 << which;
        let again = self.0 & bit != 0;
        self.0 |= bit;
        (!again).then_some(())
    }

    fn number(&mut self, which: u8, field: &mut Option<u64>, text: &str, at: usize) -> Option<usize> {
        self.once(which)?;
        let (number, end) = scan::whole(text.as_bytes(), at)?;
        *field = number;
        Some(end)
    }
}

/// The end of a member that does not count here.
fn skipped(name: &str, text: &str, at: usize) -> Option<usize> {
    match name.contains('\\') {
        true => None,
        false => scan::value(text.as_bytes(), at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_quickly_is_what_serde_json_reads() {
        let check = |text: &str, quickly: bool| {
            let known: Option<UsageCounts> = serde_json::from_str(text).ok();
            let quick = UsageCounts::quick(text, 0).filter(|(_, end)| *end == text.len());
            assert_eq!(quick.is_some(), quickly, "{text}");
            assert_eq!(UsageCounts::read(text), known, "{text}");
        };
        check(r#"{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}"#, true);
        check(r#"{ "prompt_tokens" : null , "x": [1, {"y": "z"}], "total_tokens": 5 }"#, true);
        check(
            r#"{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":null,"new":1},
                "completion_tokens":7,"completion_tokens_details":{"reasoning_tokens":5,"audio_tokens":1}}"#,
            true,
        );
        check(r#"{"prompt_tokens_details":{"cache_write_tokens":4},"completion_tokens_details":{}}"#, true);
        check("{}", true);
        // By the slow way, or not at all.
        check(r#"{"prompt_tokens_details":null,"completion_tokens_details":null}"#, false);
        check(r#"{"prompt_t\u006fkens":3}"#, false);
        check(r#"{"prompt_tokens":3,"prompt_tokens":4}"#, false);
        check(r#"{"prompt_tokens_details":{},"prompt_tokens_details":{}}"#, false);
        check(r#"{"prompt_tokens":3.0}"#, false);
        check(r#"{"prompt_tokens":-3}"#, false);
        check(r#"{"prompt_tokens":"3"}"#, false);
        check(r#"[3,2,5]"#, false);
        check("null", false);
        check(r#"{"prompt_tokens":3"#, false);
    }
}
