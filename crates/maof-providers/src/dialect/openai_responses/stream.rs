//! A fold over the frames of a streamed response: each is checked, and what it adds is told; its bytes pass on.

use bytes::Bytes;
use maof_core::{Decoder, Delta, Error, Event, Frame, Part, Result, Unit};
use serde::Deserialize;
use serde_json::Value;

use super::wire::{self, NAME, UsageCounts};
use super::{decode, item};
use crate::dialect::said;

/// Items that a stream may have.
const MOST: usize = 1024;

/// What has been seen of a stream.
#[derive(Debug, Default)]
pub(super) struct Fold {
    started: bool,
    over: bool,
    calls: Vec<Call>,
    /// Whether the thought that is being told has been told anything.
    thinking: bool,
}

/// A function call, by the item that it is.
#[derive(Debug)]
struct Call {
    item: usize,
    begun: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    #[serde(rename = "type")]
    kind: String,
    output_index: usize,
    item: Value,
    delta: Value,
    annotation: Value,
    response: Value,
    error: Option<Value>,
}

fn malformed(cause: impl std::fmt::Display) -> Error {
    Error::protocol("a frame of the upstream's stream is malformed").because(cause.to_string())
}

impl Decoder for Fold {
    fn frame(&mut self, _: Option<&str>, data: &[u8], raw: Bytes) -> Result<Option<Event>> {
        let text = std::str::from_utf8(data).map_err(malformed)?.trim();
        if self.over || text.is_empty() || text == "[DONE]" {
            return Ok(None);
        }
        let said: Said = serde_json::from_str(text).map_err(malformed)?;
        let mut deltas = Vec::new();
        let piece = || said.delta.as_str().filter(|piece| !piece.is_empty()).map(str::to_owned);
        match said.kind.as_str() {
            "response.created" | "response.in_progress" | "response.queued" => {
                self.begin(&said.response, &mut deltas)
            }
            "response.output_item.added" => self.open(&said, &mut deltas)?,
            "response.output_text.delta" => {
                deltas.extend(piece().map(|text| Delta::Text { choice: 0, text }))
            }
            "response.refusal.delta" => deltas.extend(piece().map(|text| Delta::Refusal { choice: 0, text })),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                if let Some(text) = piece() {
                    self.thinking = true;
                    deltas.push(Delta::Reasoning { choice: 0, text });
                }
            }
            "response.reasoning_summary_part.added" if self.thinking => {
                deltas.push(Delta::Reasoning { choice: 0, text: item::BETWEEN.to_owned() });
            }
            "response.function_call_arguments.delta" => {
                if let Some(arguments) = piece() {
                    deltas.push(self.arguments(said.output_index, arguments)?);
                }
            }
            "response.output_text.annotation.added" => {
                let part = Box::new(item::annotation(said.annotation));
                deltas.push(Delta::Part { choice: 0, part });
            }
            "response.output_item.done" => self.close_item(&said, &mut deltas)?,
            "response.completed" | "response.incomplete" => self.end(&said.response, &mut deltas),
            "response.failed" => return Err(said::inside(&said.response["error"].to_string())),
            "error" => {
                return Err(said::inside(
                    said.error.map_or_else(|| text.to_owned(), |e| e.to_string()).as_str(),
                ));
            }
            // What is said again when it is done, signs of life, and kinds of a later version of the API.
            _ => {}
        }
        Ok(Some(Event { frame: Some(Frame { dialect: NAME, bytes: raw }), deltas }))
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn close(&mut self) -> Result<Option<Event>> {
        match self.over {
            true => Ok(None),
            false => Err(Error::protocol("the upstream's stream ended before its answer did")),
        }
    }
}

impl Fold {
    fn begin(&mut self, response: &Value, deltas: &mut Vec<Delta>) {
        if !std::mem::replace(&mut self.started, true) {
            let text = |name: &str| response[name].as_str().unwrap_or_default().to_owned();
            deltas.push(Delta::Start { id: text("id"), model: text("model") });
        }
    }

    fn open(&mut self, said: &Said, deltas: &mut Vec<Delta>) -> Result<()> {
        self.thinking = false;
        if said.item["type"] != "function_call" {
            deltas.push(Delta::Next { choice: 0 });
            return Ok(());
        }
        if self.calls.len() >= MOST {
            return Err(malformed("there are more than 1024 function calls"));
        }
        let text = |name: &str| said.item[name].as_str().map(str::to_owned);
        let index = self.calls.len() as u32;
        self.calls.push(Call { item: said.output_index, begun: false });
        let (id, name) = (text("call_id"), text("name"));
        deltas.push(Delta::ToolCall {
            choice: 0,
            index,
            id,
            name,
            arguments: String::new(),
            signature: None,
        });
        Ok(())
    }

    fn arguments(&mut self, item: usize, arguments: String) -> Result<Delta> {
        let at = self.calls.iter().position(|call| call.item == item);
        let at = at.ok_or_else(|| malformed("arguments of a function call that has not begun"))?;
        if let Some(call) = self.calls.get_mut(at) {
            call.begun = true;
        }
        Ok(Delta::ToolCall { choice: 0, index: at as u32, id: None, name: None, arguments, signature: None })
    }

    fn close_item(&mut self, said: &Said, deltas: &mut Vec<Delta>) -> Result<()> {
        match said.item["type"].as_str() {
            Some("function_call") => {
                let begun = self.calls.iter().any(|call| call.item == said.output_index && call.begun);
                if let Some(arguments) = said.item["arguments"].as_str().filter(|a| !begun && !a.is_empty()) {
                    deltas.push(self.arguments(said.output_index, arguments.to_owned())?);
                }
            }
            Some("reasoning") => {
                let signature = item::seal_of(&said.item);
                deltas.extend(signature.map(|signature| Delta::Signature { choice: 0, signature }));
            }
            Some("message") | None => {}
            Some(_) => {
                let part = Box::new(Part::Other { value: said.item.clone() });
                deltas.push(Delta::Part { choice: 0, part });
            }
        }
        Ok(())
    }

    fn end(&mut self, response: &Value, deltas: &mut Vec<Delta>) {
        self.begin(response, deltas);
        self.over = true;
        let output = response["output"].as_array().map(Vec::as_slice).unwrap_or_default();
        let calls = !self.calls.is_empty() || decode::wants_tools(output);
        let finish = wire::finish_of(response, calls);
        deltas.extend(finish.map(|reason| Delta::Finish { choice: 0, reason }));
        if let Ok(counts) = UsageCounts::deserialize(&response["usage"]) {
            let searches = wire::searches(&response["tool_usage"], output);
            deltas.push(Delta::Usage(counts.usage().with(Unit::ServerTool, searches)));
        }
    }
}
