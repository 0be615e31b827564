//! A fold over the frames of a streamed chat: each is checked, and what it adds is told; its bytes pass on.

use std::borrow::Cow;

use bytes::Bytes;
use maof_core::{Decoder, Delta, Error, Event, Frame, Part, Result};
use serde_json::Value;

use super::chunk::{Chunk, ChunkCall, ChunkChoice, ChunkFunction, Raw};
use super::usage::UsageCounts;
use super::wire::{self, NAME};
use crate::dialect::object::plain;
use crate::dialect::said;
use crate::dialect::sealed::seal;

/// Choices that a stream may have, and calls that a choice may have.
const MOST: usize = 1024;

/// What has been seen of a stream.
#[derive(Debug, Default)]
pub(super) struct Fold {
    started: bool,
    terminated: bool,
    choices: Vec<Seen>,
    /// Whether the present frame ends a choice that has ended.
    repeats: bool,
    /// Whether it was told what was used.
    counted: bool,
}

/// What has been seen of a choice.
#[derive(Debug, Default)]
struct Seen {
    begun: bool,
    finished: bool,
    /// Whether more came after it had ended.
    goes_on: bool,
    calls: Vec<SeenCall>,
}

#[derive(Debug)]
struct SeenCall {
    /// The index by which the upstream means it.
    index: Option<u64>,
    id: Option<String>,
}

impl Decoder for Fold {
    fn frame(&mut self, name: Option<&str>, data: &[u8], raw: Bytes) -> Result<Option<Event>> {
        let text = std::str::from_utf8(data).map_err(malformed)?.trim();
        if self.terminated || text.is_empty() {
            return Ok(None);
        }
        if text == "[DONE]" {
            self.terminated = true;
            return Ok(None);
        }
        if name == Some("error") && !text.contains("\"error\"") {
            return Err(said::inside(text));
        }
        self.repeats = false;
        let deltas = match Chunk::scan(text) {
            Some(chunk) => self.chunk(chunk)?,
            None => self.unusual(text)?,
        };
        // An answer ends once: of a frame that ends it again only what else it says is passed on.
        let frame = (!self.repeats).then_some(Frame { dialect: NAME, bytes: raw });
        Ok((frame.is_some() || !deltas.is_empty()).then_some(Event { frame, deltas }))
    }

    fn is_over(&self) -> bool {
        self.terminated
    }

    fn is_answered(&self) -> bool {
        let mut begun = self.choices.iter().filter(|choice| choice.begun).peekable();
        begun.peek().is_some() && begun.all(|choice| choice.finished && !choice.goes_on)
    }

    fn close(&mut self) -> Result<Option<Event>> {
        let mut begun = self.choices.iter().filter(|choice| choice.begun).peekable();
        let answered = begun.peek().is_some();
        // Some servers leave the terminator out, some the reasons for ending; one of them must be there.
        if answered && (self.terminated || begun.all(|choice| choice.finished)) {
            return Ok(None);
        }
        Err(Error::protocol("the upstream's stream ended before its answer did"))
    }
}

fn malformed(cause: impl std::fmt::Display) -> Error {
    Error::protocol("a frame of the upstream's stream is malformed").because(cause.to_string())
}

/// The value as text, if it is a string with something in it.
fn text(raw: Option<Raw<'_>>) -> Option<String> {
    plain(raw?.0).filter(|text| !text.is_empty()).map(Cow::into_owned)
}

impl Fold {
    /// A frame that is not written as most are.
    fn unusual(&mut self, text: &str) -> Result<Vec<Delta>> {
        if let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(text) {
            return self.chunk(chunk);
        }
        // A name twice is well-formed JSON all the same; the last one counts.
        let value: Value = serde_json::from_str(text).map_err(malformed)?;
        let text = value.to_string();
        self.chunk(serde_json::from_str(&text).map_err(malformed)?)
    }

    fn chunk(&mut self, chunk: Chunk<'_>) -> Result<Vec<Delta>> {
        if let Some(raw) = chunk.error {
            return Err(said::inside(raw.0));
        }
        let mut deltas = Vec::with_capacity(2);
        if !self.started {
            let (id, model) = (text(chunk.id), text(chunk.model));
            // Some servers begin with a frame about the prompt, which names neither.
            if id.is_some() || model.is_some() {
                self.started = true;
                let start = Delta::Start { id: id.unwrap_or_default(), model: model.unwrap_or_default() };
                deltas.push(start);
            }
        }
        for choice in chunk.choices.unwrap_or_default() {
            self.choice(choice, &mut deltas)?;
        }
        if let Some(counts) = chunk.usage.and_then(|raw| UsageCounts::read(raw.0)) {
            deltas.push(Delta::Usage(counts.usage()));
            // OpenRouter ends the choice again where it tells what was used.
            self.repeats &= std::mem::replace(&mut self.counted, true);
        }
        Ok(deltas)
    }

    fn choice(&mut self, choice: ChunkChoice<'_>, deltas: &mut Vec<Delta>) -> Result<()> {
        let number = choice.index.unwrap_or(0);
        let at = number as usize;
        if at >= MOST {
            return Err(malformed("there are more than 1024 choices"));
        }
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, Seen::default);
        }
        let Some(seen) = self.choices.get_mut(at) else {
            return Err(Error::internal("a choice was just made"));
        };
        seen.begun = true;
        let before = deltas.len();
        if let Some(delta) = choice.delta {
            if let Some(text) = text(delta.reasoning_content).or_else(|| text(delta.reasoning)) {
                deltas.push(Delta::Reasoning { choice: number, text });
            }
            sealed(delta.reasoning_details, number, deltas);
            content(delta.content, number, deltas)?;
            if let Some(text) = delta.refusal.filter(|text| !text.is_empty()) {
                deltas.push(Delta::Refusal { choice: number, text });
            }
            for call in delta.tool_calls.unwrap_or_default() {
                deltas.push(seen.call(number, call)?);
            }
        }
        let says_more = deltas.len() > before;
        seen.goes_on |= seen.finished && says_more;
        if let Some(word) = choice.finish_reason.filter(|word| !word.is_empty()) {
            match std::mem::replace(&mut seen.finished, true) {
                false => deltas.push(Delta::Finish { choice: number, reason: wire::finish_of(&word) }),
                // A few servers give a reason with every frame; what those say is not lost.
                true => self.repeats |= !says_more,
            }
        }
        Ok(())
    }
}

/// The signature over thoughts, and thoughts that are sealed, as OpenRouter made them known. The thoughts
/// themselves are told in fields of their own.
fn sealed(raw: Option<Raw<'_>>, choice: u32, deltas: &mut Vec<Delta>) {
    let Some(raw) = raw else { return };
    let details: Vec<Value> = serde_json::from_str(raw.0).unwrap_or_default();
    for detail in details {
        let text = |name: &str| detail[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        if let Some(signature) = text("signature") {
            deltas.push(Delta::Signature { choice, signature: seal(NAME, &signature) });
        }
        if detail["type"] == "reasoning.encrypted"
            && let Some(data) = text("data")
        {
            deltas.push(Delta::Part { choice, part: Box::new(Part::Redacted { data: seal(NAME, &data) }) });
        }
    }
}

/// A string, or parts as some servers send them when a model thinks.
fn content(raw: Option<Raw<'_>>, choice: u32, deltas: &mut Vec<Delta>) -> Result<()> {
    let Some(Raw(raw)) = raw else { return Ok(()) };
    if raw.starts_with('"') {
        let text = plain(raw).ok_or_else(|| malformed("a text has an escape that stands for nothing"))?;
        if !text.is_empty() {
            deltas.push(Delta::Text { choice, text: text.into_owned() });
        }
        return Ok(());
    }
    let parts: Vec<Value> = serde_json::from_str(raw).map_err(malformed)?;
    for part in parts {
        if let Some(text) = part["text"].as_str() {
            deltas.push(Delta::Text { choice, text: text.to_owned() });
        }
        let thoughts = part["thinking"].as_array().into_iter().flatten();
        let text: String = thoughts.filter_map(|thought| thought["text"].as_str()).collect();
        if !text.is_empty() {
            deltas.push(Delta::Reasoning { choice, text });
        }
    }
    Ok(())
}

impl Seen {
    /// The delta of a tool call, under an index of its own: some servers send -1, none, or one for all.
    fn call(&mut self, choice: u32, call: ChunkCall<'_>) -> Result<Delta> {
        let index = call.index.and_then(|index| u64::try_from(index).ok());
        let id = call.id.filter(|id| !id.is_empty());
        let function = call.function.unwrap_or(ChunkFunction { name: None, arguments: None });
        let name = function.name.filter(|name| !name.is_empty());
        let at = match self.position(index, id.as_deref(), name.is_some()) {
            Some(at) => at,
            None if self.calls.len() < MOST => {
                self.calls.push(SeenCall { index, id: id.clone() });
                self.calls.len() - 1
            }
            None => return Err(malformed("there are more than 1024 tool calls")),
        };
        let arguments = match function.arguments.map(|raw| raw.0) {
            Some(text) if text.starts_with('"') => serde_json::from_str(text).map_err(malformed)?,
            Some(json) => json.to_owned(),
            None => String::new(),
        };
        let signature = call.extra_content.pointer("/google/thought_signature").and_then(Value::as_str);
        let signature = signature.map(|signature| seal(NAME, signature));
        Ok(Delta::ToolCall { choice, index: at as u32, id, name, arguments, signature })
    }

    /// Which of the calls so far is meant; none means that a new one begins.
    fn position(&mut self, index: Option<u64>, id: Option<&str>, named: bool) -> Option<usize> {
        let at = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index)?,
            None => self.calls.len().checked_sub(1)?,
        };
        let call = self.calls.get_mut(at)?;
        match (id, call.id.as_deref()) {
            (Some(new), Some(old)) if new != old => None,
            (Some(new), None) => {
                call.id = Some(new.to_owned());
                Some(at)
            }
            // Without index and id, a name is the only sign that another call begins.
            (None, None) if index.is_none() && named => None,
            _ => Some(at),
        }
    }
}
