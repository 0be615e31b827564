//! A fold over the frames of a stream: each is checked, and what it adds is told; its bytes pass on.

use bytes::Bytes;
use maof_core::{Decoder, Delta, Error, Event, Finish, Frame, Part, Result};
use serde::Deserialize;
use serde_json::Value;

use super::decode::Candidate;
use super::part;
use super::wire::{self, NAME, UsageCounts};
use crate::dialect::said;

/// Choices that a stream may have.
const MOST: u32 = 1024;

/// What has been seen of a stream.
#[derive(Debug, Default)]
pub(super) struct Fold {
    started: bool,
    /// Whether the prompt was refused.
    blocked: bool,
    id: String,
    choices: Vec<Seen>,
}

/// What has been seen of a choice.
#[derive(Clone, Debug, Default)]
struct Seen {
    begun: bool,
    finished: bool,
    /// Its tool calls.
    calls: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    #[serde(default)]
    candidates: Vec<Candidate>,
    #[serde(default)]
    usage_metadata: Option<UsageCounts>,
    #[serde(default)]
    model_version: Option<String>,
    #[serde(default)]
    response_id: Option<String>,
    #[serde(default)]
    prompt_feedback: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

fn malformed(cause: impl std::fmt::Display) -> Error {
    Error::protocol("a frame of the upstream's stream is malformed").because(cause.to_string())
}

impl Decoder for Fold {
    fn frame(&mut self, _: Option<&str>, data: &[u8], raw: Bytes) -> Result<Option<Event>> {
        let text = std::str::from_utf8(data).map_err(malformed)?.trim();
        if text.is_empty() || text == "[DONE]" {
            return Ok(None);
        }
        let chunk: Chunk = serde_json::from_str(text).map_err(malformed)?;
        if let Some(error) = chunk.error {
            return Err(said::inside(&error.to_string()));
        }
        let mut deltas = Vec::new();
        if !std::mem::replace(&mut self.started, true) {
            self.id = chunk.response_id.unwrap_or_default();
            deltas.push(Delta::Start { id: self.id.clone(), model: chunk.model_version.unwrap_or_default() });
        }
        if chunk.prompt_feedback.is_some_and(|feedback| feedback["blockReason"].is_string()) {
            self.blocked = true;
            deltas.push(Delta::Finish { choice: 0, reason: Finish::ContentFilter });
        }
        let mut repeats = false;
        for candidate in chunk.candidates {
            repeats |= self.candidate(candidate, &mut deltas)?;
        }
        if let Some(counts) = chunk.usage_metadata {
            deltas.push(Delta::Usage(counts.usage()));
        }
        // An answer ends once: of a frame that ends it again only what else it says is passed on.
        let frame = (!repeats).then_some(Frame { dialect: NAME, bytes: raw });
        Ok((frame.is_some() || !deltas.is_empty()).then_some(Event { frame, deltas }))
    }

    // No terminator is waited for here, so `is_answered` stays as it is: the end of the body is the end.

    fn close(&mut self) -> Result<Option<Event>> {
        let mut begun = self.choices.iter().filter(|choice| choice.begun).peekable();
        match self.blocked || begun.peek().is_some() && begun.all(|choice| choice.finished) {
            true => Ok(None),
            false => Err(Error::protocol("the upstream's stream ended before its answer did")),
        }
    }
}

impl Fold {
    /// What a candidate adds; whether it only says again that it has ended.
    fn candidate(&mut self, candidate: Candidate, deltas: &mut Vec<Delta>) -> Result<bool> {
        let choice = candidate.index.unwrap_or(0);
        if choice >= MOST {
            return Err(malformed("there are more than 1024 candidates"));
        }
        if self.choices.len() <= choice as usize {
            self.choices.resize(choice as usize + 1, Seen::default());
        }
        let Some(seen) = self.choices.get_mut(choice as usize) else {
            return Err(Error::internal("a choice was just made"));
        };
        seen.begun = true;
        let before = deltas.len();
        for value in candidate.content.map(|content| content.parts).unwrap_or_default() {
            for part in part::decode(&value, || part::own_id(&self.id, seen.calls)) {
                deltas.extend(delta(choice, &mut seen.calls, part));
            }
        }
        let says_more = deltas.len() > before;
        let Some(word) = candidate.finish_reason else { return Ok(false) };
        let again = std::mem::replace(&mut seen.finished, true);
        // Older versions of the API give a reason with every frame: the last one counts, and what they say is kept.
        if !again || says_more {
            deltas.push(Delta::Finish { choice, reason: wire::finish_of(&word, seen.calls > 0) });
        }
        Ok(again && !says_more)
    }
}

fn delta(choice: u32, calls: &mut usize, part: Part) -> Vec<Delta> {
    match part {
        Part::Text { text } if text.is_empty() => Vec::new(),
        Part::Text { text } => vec![Delta::Text { choice, text }],
        Part::Reasoning { text, signature } => {
            let thought = (!text.is_empty()).then_some(Delta::Reasoning { choice, text });
            let sealed = signature.map(|signature| Delta::Signature { choice, signature });
            thought.into_iter().chain(sealed).collect()
        }
        Part::ToolCall(call) => {
            let index = *calls as u32;
            *calls += 1;
            let (id, name) = (Some(call.id), Some(call.name));
            let (arguments, signature) = (call.arguments, call.signature);
            vec![Delta::ToolCall { choice, index, id, name, arguments, signature }]
        }
        part => vec![Delta::Part { choice, part: Box::new(part) }],
    }
}
