//! What a dialect cannot express: refused by name, or left out and reported.

use maof_core::{ChatRequest, Error, OutputFormat, Part, Result, Unsupported};
use serde_json::{Map, Value};

/// Watches over one translation from another dialect's words.
#[derive(Debug)]
pub(crate) struct Gate {
    to: &'static str,
    policy: Unsupported,
    dropped: Vec<String>,
}

impl Gate {
    /// For a request that is translated into the dialect `to`.
    pub(crate) fn new(to: &'static str, policy: Unsupported) -> Self {
        Gate { to, policy, dropped: Vec::new() }
    }

    /// For an answer, of which callers are told what their dialect has words for.
    pub(crate) fn of_answer(to: &'static str) -> Self {
        Self::new(to, Unsupported::DropAndReport)
    }

    /// A field that changes the answer and has no words in the dialect.
    ///
    /// # Errors
    /// `invalid_request` naming it, unless the policy is to leave it out.
    pub(crate) fn cannot(&mut self, field: impl Into<String>) -> Result<()> {
        let field = field.into();
        match self.policy {
            Unsupported::DropAndReport => self.without(field),
            Unsupported::Refuse => {
                let why = format!(
                    "`{field}` cannot be expressed in the dialect `{}` of the upstream that was chosen; leave it \
                     out, ask for another model, or set `unsupported: drop_and_report` at the provider",
                    self.to
                );
                return Err(Error::invalid_request(why).param(field));
            }
        }
        Ok(())
    }

    /// A field that changes no answer, such as a hint to a cache.
    pub(crate) fn without(&mut self, field: impl Into<String>) {
        self.dropped.push(field.into());
    }

    /// Fields that only another dialect knows. `hints` are those of any dialect that change no answer.
    ///
    /// # Errors
    /// As [`Gate::cannot`].
    pub(crate) fn foreign(&mut self, at: &str, rest: &Map<String, Value>) -> Result<()> {
        for (name, value) in rest {
            let field = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            if let (Value::Object(inner), "generationConfig") = (value, name.as_str()) {
                self.foreign(&field, inner)?;
                continue;
            }
            match value.is_null() || *value == Value::Bool(false) || HINTS.contains(&name.as_str()) {
                true => self.without(field),
                false => self.cannot(field)?,
            }
        }
        Ok(())
    }

    /// A whole conversation's foreign fields; parts are judged where they are written.
    ///
    /// # Errors
    /// As [`Gate::cannot`].
    pub(crate) fn conversation(&mut self, chat: &ChatRequest) -> Result<()> {
        self.conversation_but(chat, &[])
    }

    /// A conversation's foreign fields, but for those of `known` names, which the upstream is told.
    ///
    /// # Errors
    /// As [`Gate::cannot`].
    pub(crate) fn conversation_but(&mut self, chat: &ChatRequest, known: &[&str]) -> Result<()> {
        self.dropped.extend(chat.unspoken.iter().cloned());
        self.foreign("", &unknown(&chat.rest, known))?;
        for (at, message) in chat.messages.iter().enumerate() {
            self.foreign(&format!("messages[{at}]"), &message.rest)?;
        }
        Ok(())
    }

    /// The settings of a conversation that an upstream without words for most of them is not told: all but `told`.
    ///
    /// # Errors
    /// As [`Gate::cannot`].
    pub(crate) fn settings(&mut self, chat: &ChatRequest, told: &[&str]) -> Result<()> {
        let set = [
            ("tools", !chat.tools.is_empty()),
            ("response_format", !matches!(chat.output, None | Some(OutputFormat::Text))),
            ("max_tokens", chat.max_tokens.is_some()),
            ("temperature", chat.temperature.is_some()),
            ("top_p", chat.top_p.is_some()),
            ("top_k", chat.top_k.is_some()),
            ("stop", !chat.stop.is_empty()),
            ("n", chat.choices.is_some_and(|n| n > 1)),
            ("seed", chat.seed.is_some()),
            ("presence_penalty", chat.presence_penalty.is_some()),
            ("frequency_penalty", chat.frequency_penalty.is_some()),
        ];
        for (name, _) in set.into_iter().filter(|(name, set)| *set && !told.contains(name)) {
            self.cannot(name)?;
        }
        // Without tools these say nothing, and the others change no answer of such an upstream.
        let hints = [
            ("tool_choice", chat.tool_choice.is_some()),
            ("parallel_tool_calls", chat.parallel_tool_calls.is_some()),
            ("reasoning_effort", chat.thinking.is_some()),
            ("user", chat.user.is_some()),
        ];
        self.dropped.extend(hints.into_iter().filter(|(_, set)| *set).map(|(name, _)| name.to_owned()));
        Ok(())
    }

    /// What was left out.
    pub(crate) fn dropped(self) -> Vec<String> {
        self.dropped
    }
}

/// Whether `rest` and parts of the kind `other` are in another dialect's words than `to`'s.
pub(crate) fn is_foreign(spoken: Option<&'static str>, to: &str) -> bool {
    spoken.is_some_and(|spoken| spoken != to)
}

/// The fields that are not of `known` names.
pub(crate) fn unknown(rest: &Map<String, Value>, known: &[&str]) -> Map<String, Value> {
    let others = rest.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    others.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A part's word, for messages about it.
pub(crate) fn kind_of(part: &Part) -> &str {
    match part {
        Part::Text { .. } => "text",
        Part::Image { .. } => "image",
        Part::Audio { .. } => "audio",
        Part::File { .. } => "file",
        Part::Reasoning { .. } => "reasoning",
        Part::Redacted { .. } => "redacted reasoning",
        Part::Refusal { .. } => "refusal",
        Part::ToolCall(_) => "tool call",
        Part::Other { value } => value["type"].as_str().unwrap_or("other"),
    }
}

/// Fields of any dialect that are about billing, storage, caches, safety or tracing, and change no answer.
const HINTS: [&str; 19] = [
    "cache_control",
    "container",
    "include",
    "inference_geo",
    "labels",
    "metadata",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream_options",
    "text",
    "thinking",
    "truncation",
    "user",
    "verbosity",
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_changes_the_answer_is_refused_by_name_and_hints_are_reported() {
        let rest = json!({"logit_bias": {"1": 2}, "store": true, "seed": null});
        let rest = rest.as_object().unwrap();
        let mut gate = Gate::new("anthropic", Unsupported::Refuse);
        assert_eq!(gate.foreign("", rest).unwrap_err().field(), Some("logit_bias"));
        let mut gate = Gate::new("anthropic", Unsupported::DropAndReport);
        gate.foreign("messages[0]", rest).unwrap();
        let mut dropped = gate.dropped();
        dropped.sort();
        assert_eq!(dropped, ["messages[0].logit_bias", "messages[0].seed", "messages[0].store"]);
    }
}
