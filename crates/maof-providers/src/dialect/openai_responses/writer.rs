//! A streamed reply: frames of the dialect as they came, other deltas as events of our own.

use maof_core::{Call, Delta, Encoder, Envelope, Error, Event, Finish, Part, Usage};
use serde_json::{Value, json};

use super::item;
use super::reply::{complete, opening};
use super::wire::{self, NAME};
use crate::dialect::openai;

/// Writes events. An item is added, told in pieces, and told again as a whole when it is done.
pub(super) struct Events {
    call: Call,
    envelope: Envelope,
    sequence: u64,
    begun: bool,
    /// The items so far, as the response tells them in the end.
    items: Vec<Value>,
    open: Option<Open>,
    /// The items of tool calls. The next item ends one, as readers expect; what a provider that interleaves its calls
    /// adds later still goes to the item by its number, and stands in the response that is told in the end.
    calls: Vec<Option<usize>>,
    finish: Option<Finish>,
    usage: Usage,
    verbatim: bool,
}

/// The item that is being told.
struct Open {
    kind: Kind,
    text: String,
    signature: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Thought,
    Call,
}

impl Encoder for Events {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        match &event.frame {
            Some(frame) if frame.dialect == NAME => {
                self.verbatim = true;
                out.extend_from_slice(&frame.bytes);
            }
            _ => event.deltas.iter().for_each(|delta| self.delta(delta, out)),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.verbatim {
            return;
        }
        self.begin(out);
        self.close(out);
        let (status, incomplete) = wire::status_of(self.finish.as_ref());
        let mut response = opening(&self.call, &self.envelope);
        response["status"] = status.into();
        response["incomplete_details"] = incomplete;
        response["output"] = std::mem::take(&mut self.items).into();
        response["usage"] = wire::counts(&self.usage);
        self.write(&format!("response.{status}"), json!({"response": response}), out);
    }

    fn error(&mut self, error: &Error, out: &mut Vec<u8>) {
        let body: Value = serde_json::from_slice(&openai::encode_error(error)).unwrap_or_default();
        let error = &body["error"];
        let code = if error["code"].is_null() { &error["type"] } else { &error["code"] };
        let said = json!({"code": code, "message": error["message"], "param": error["param"]});
        self.write("error", said, out);
    }
}

impl Events {
    pub(super) fn new(call: &Call, envelope: Envelope) -> Self {
        Events {
            call: call.clone(),
            envelope,
            sequence: 0,
            begun: false,
            items: Vec::new(),
            open: None,
            calls: Vec::new(),
            finish: None,
            usage: Usage::default(),
            verbatim: false,
        }
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        // The dialect has one choice.
        match delta {
            Delta::Start { id, model } => {
                if !id.is_empty() {
                    self.envelope.id.clone_from(id);
                }
                if !model.is_empty() {
                    self.envelope.model.clone_from(model);
                }
                self.begin(out);
            }
            Delta::Text { choice: 0, text } => self.say(Kind::Text, text, out),
            Delta::Refusal { choice: 0, text } => self.say(Kind::Refusal, text, out),
            Delta::Reasoning { choice: 0, text } => self.say(Kind::Thought, text, out),
            Delta::Signature { choice: 0, signature } => {
                if self.open.as_ref().is_none_or(|open| open.kind != Kind::Thought) {
                    self.say(Kind::Thought, "", out);
                }
                if let Some(open) = &mut self.open {
                    open.signature.push_str(signature);
                }
            }
            Delta::Part { choice: 0, part } => self.part(part, out),
            Delta::Next { choice: 0 } => self.close(out),
            Delta::ToolCall { choice: 0, index, id, name, arguments, signature } => {
                self.sealed(signature.as_ref(), out);
                self.call(*index, id.as_deref(), name.as_deref(), arguments, out);
            }
            Delta::Finish { choice: 0, reason } => self.finish = Some(reason.clone()),
            Delta::Usage(usage) => self.usage = *usage,
            _ => {}
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            let response = opening(&self.call, &self.envelope);
            self.write("response.created", json!({"response": response}), out);
            self.write("response.in_progress", json!({"response": response}), out);
        }
    }

    /// Adds an item; gives its place.
    fn add(&mut self, mut item: Value, out: &mut Vec<u8>) -> usize {
        self.begin(out);
        let at = self.items.len();
        complete(&mut item, at, &self.envelope.id);
        let mut added = item.clone();
        if added["type"] != "reasoning" {
            added["status"] = "in_progress".into();
        }
        self.items.push(item);
        self.write("response.output_item.added", json!({"output_index": at, "item": added}), out);
        at
    }

    fn done(&mut self, at: usize, out: &mut Vec<u8>) {
        let done = json!({"output_index": at, "item": self.items[at]});
        self.write("response.output_item.done", done, out);
    }

    fn say(&mut self, kind: Kind, text: &str, out: &mut Vec<u8>) {
        if self.open.as_ref().is_none_or(|open| open.kind != kind) {
            self.close(out);
            let item = match kind {
                Kind::Thought => json!({"type": "reasoning", "summary": []}),
                _ => json!({"type": "message", "role": "assistant", "content": []}),
            };
            let at = self.add(item, out);
            self.open = Some(Open { kind, text: String::new(), signature: String::new() });
            self.part_event("added", at, kind, "", out);
        }
        if text.is_empty() {
            return;
        }
        if let Some(open) = &mut self.open {
            open.text.push_str(text);
        }
        let at = self.items.len().saturating_sub(1);
        let (name, index) = names(kind);
        let mut piece = json!({"item_id": self.items[at]["id"], "output_index": at, "delta": text});
        piece[index] = 0.into();
        if kind == Kind::Text {
            piece["logprobs"] = json!([]);
        }
        self.write(&format!("response.{name}.delta"), piece, out);
    }

    /// Says that a part begins or ends.
    fn part_event(&mut self, what: &str, at: usize, kind: Kind, text: &str, out: &mut Vec<u8>) {
        let (_, index) = names(kind);
        let name = if kind == Kind::Thought { "reasoning_summary_part" } else { "content_part" };
        let mut event =
            json!({"item_id": self.items[at]["id"], "output_index": at, "part": part_of(kind, text)});
        event[index] = 0.into();
        self.write(&format!("response.{name}.{what}"), event, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(Open { kind, text, signature }) = self.open.take() else { return };
        let at = self.items.len().saturating_sub(1);
        if kind == Kind::Call {
            let item = &self.items[at];
            let done = json!({"item_id": item["id"], "output_index": at, "arguments": item["arguments"]});
            self.write("response.function_call_arguments.done", done, out);
            return self.done(at, out);
        }
        let (name, index) = names(kind);
        let field = if kind == Kind::Refusal { "refusal" } else { "text" };
        let mut done = json!({"item_id": self.items[at]["id"], "output_index": at});
        done[index] = 0.into();
        done[field] = text.clone().into();
        if kind == Kind::Text {
            done["logprobs"] = json!([]);
        }
        self.write(&format!("response.{name}.done"), done, out);
        self.part_event("done", at, kind, &text, out);
        match kind {
            Kind::Thought => {
                let id = self.items[at]["id"].clone();
                let sealed = Some(signature.as_str()).filter(|signature| !signature.is_empty());
                if let Some(item) = item::thought(&text, sealed, true) {
                    self.items[at] = item;
                }
                if self.items[at]["id"].is_null() {
                    self.items[at]["id"] = id;
                }
            }
            _ => self.items[at]["content"] = json!([part_of(kind, &text)]),
        }
        self.done(at, out);
    }

    /// A part that comes as a whole.
    fn part(&mut self, part: &Part, out: &mut Vec<u8>) {
        match part {
            Part::Text { text } => self.say(Kind::Text, text, out),
            Part::ToolCall(call) => {
                let index = self.calls.len() as u32;
                self.sealed(call.signature.as_ref(), out);
                self.call(index, Some(&call.id), Some(&call.name), &call.arguments, out);
            }
            Part::Redacted { data } => self.sealed(Some(data), out),
            // What only another dialect knows has no words here.
            _ => {}
        }
    }

    fn sealed(&mut self, kept: Option<&String>, out: &mut Vec<u8>) {
        if let Some(kept) = kept {
            self.close(out);
            let at = self.add(item::sealed_item(kept), out);
            self.done(at, out);
        }
    }

    fn call(&mut self, index: u32, id: Option<&str>, name: Option<&str>, arguments: &str, out: &mut Vec<u8>) {
        // Folds and decoders allow 1024 calls; further ones share the last place.
        let index = index.min(1023) as usize;
        if self.calls.len() <= index {
            self.calls.resize(index + 1, None);
        }
        let at = match self.calls[index] {
            Some(at) => at,
            None => {
                self.close(out);
                let (id, name) = (id.unwrap_or_default(), name.unwrap_or_default());
                let item = json!({"type": "function_call", "call_id": id, "name": name, "arguments": ""});
                let at = self.add(item, out);
                self.calls[index] = Some(at);
                self.open = Some(Open { kind: Kind::Call, text: String::new(), signature: String::new() });
                at
            }
        };
        if arguments.is_empty() {
            return;
        }
        if let Value::String(all) = &mut self.items[at]["arguments"] {
            all.push_str(arguments);
        }
        let piece = json!({"item_id": self.items[at]["id"], "output_index": at, "delta": arguments});
        self.write("response.function_call_arguments.delta", piece, out);
    }

    fn write(&mut self, name: &str, mut event: Value, out: &mut Vec<u8>) {
        event["type"] = name.into();
        event["sequence_number"] = self.sequence.into();
        self.sequence += 1;
        out.extend_from_slice(format!("event: {name}\ndata: {event}\n\n").as_bytes());
    }
}

/// The event's name, and what its place in the item is called.
const fn names(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Refusal => ("refusal", "content_index"),
        Kind::Thought => ("reasoning_summary_text", "summary_index"),
        _ => ("output_text", "content_index"),
    }
}

fn part_of(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Refusal => json!({"type": "refusal", "refusal": text}),
        Kind::Thought => json!({"type": "summary_text", "text": text}),
        _ => json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}),
    }
}
