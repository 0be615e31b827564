//! What callers receive: bytes of the dialect as they came, everything else written in its words.

use maof_core::{
    Answer, Content, Delta, Encoder, Envelope, Error, Event, Finish, Part, Response, Result, Usage,
};
use serde_json::{Map, Value, json};

use super::block::{self, Manner};
use super::error;
use super::wire::{self, NAME};
use crate::dialect::gate::{Gate, is_foreign};
use crate::dialect::sealed;

/// A whole reply.
pub(super) fn encode(reply: &Response, envelope: &Envelope) -> Result<Content> {
    if let Some(content) = reply.content_of(NAME) {
        return Ok(content.clone());
    }
    let answer = match reply.answer()? {
        Answer::Chat(answer) => answer,
        Answer::CountTokens(tokens) => return Ok(Content::json(json!({"input_tokens": tokens}).to_string())),
        other => {
            return Err(Error::internal(format!("an answer to `{}` has no words here", other.operation())));
        }
    };
    let foreign = is_foreign(answer.spoken, NAME);
    let mut body = Map::new();
    let mut blocks = Vec::new();
    let mut finish = None;
    // The dialect has one choice.
    if let Some(choice) = answer.choices.first() {
        if !foreign {
            body.clone_from(&choice.rest);
        }
        blocks = blocks_of(&choice.message.parts, foreign)?;
        finish.clone_from(&choice.finish);
    }
    let named = |given: &Option<String>, own: &str| match given {
        Some(given) if !given.is_empty() => given.clone(),
        _ => own.to_owned(),
    };
    body.insert("id".to_owned(), named(&reply.id, &envelope.id).into());
    body.insert("type".to_owned(), "message".into());
    body.insert("role".to_owned(), "assistant".into());
    body.insert("model".to_owned(), named(&reply.model, &envelope.model).into());
    body.insert("content".to_owned(), blocks.into());
    body.insert("stop_reason".to_owned(), json!(finish.as_ref().map(wire::stop_word)));
    body.entry("stop_sequence").or_insert(Value::Null);
    body.insert("usage".to_owned(), wire::counts(&reply.usage.unwrap_or_default()));
    Ok(Content::json(Value::Object(body).to_string()))
}

/// An answer's blocks.
fn blocks_of(parts: &[Part], foreign: bool) -> Result<Vec<Value>> {
    block::encode(parts, Manner { foreign, told: true }, "", &mut Gate::of_answer(NAME))
}

/// A streamed reply: frames of the dialect as they came, other deltas as frames of our own.
pub(super) struct Frames {
    envelope: Envelope,
    begun: bool,
    /// Blocks that have begun.
    blocks: usize,
    open: Option<Kind>,
    /// The block of each tool call. The next block ends it, as readers expect; what a provider that interleaves its
    /// calls adds later still goes to the block by its number.
    calls: Vec<Option<usize>>,
    finish: Option<Finish>,
    usage: Usage,
    /// Whether frames of the dialect itself pass.
    verbatim: bool,
}

/// What the open block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Call,
}

impl Encoder for Frames {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        match &event.frame {
            Some(frame) if frame.dialect == NAME => {
                self.verbatim = true;
                out.extend_from_slice(&frame.bytes);
            }
            _ => event.deltas.iter().for_each(|delta| self.delta(delta, out)),
        }
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        write("ping", &json!({"type": "ping"}), out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.verbatim {
            return;
        }
        self.begin(out);
        self.close(out);
        let finish = self.finish.take().unwrap_or(Finish::Stop);
        let delta = json!({"stop_reason": wire::stop_word(&finish), "stop_sequence": null});
        let usage = wire::counts(&self.usage);
        write("message_delta", &json!({"type": "message_delta", "delta": delta, "usage": usage}), out);
        write("message_stop", &json!({"type": "message_stop"}), out);
    }

    fn error(&mut self, error: &Error, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: error\ndata: ");
        out.extend_from_slice(&error::encode(error));
        out.extend_from_slice(b"\n\n");
    }
}

impl Frames {
    pub(super) fn new(envelope: Envelope) -> Self {
        Frames {
            envelope,
            begun: false,
            blocks: 0,
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
            Delta::Text { choice: 0, text } | Delta::Refusal { choice: 0, text } => {
                self.say(Kind::Text, json!({"type": "text_delta", "text": text}), out);
            }
            Delta::Reasoning { choice: 0, text } => {
                self.say(Kind::Thinking, json!({"type": "thinking_delta", "thinking": text}), out);
            }
            Delta::Signature { choice: 0, signature } => {
                let signature = sealed::told(NAME, signature);
                self.say(Kind::Thinking, json!({"type": "signature_delta", "signature": signature}), out);
            }
            Delta::Part { choice: 0, part } => self.part(part, out),
            Delta::Next { choice: 0 } => self.close(out),
            Delta::ToolCall { choice: 0, index, id, name, arguments, signature } => {
                self.signed(signature.as_ref(), out);
                self.call(*index, id.as_deref(), name.as_deref(), arguments, out);
            }
            Delta::Finish { choice: 0, reason } => self.finish = Some(reason.clone()),
            Delta::Usage(usage) => self.usage = *usage,
            _ => {}
        }
    }

    /// The stream's first frame.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let message = json!({
            "id": self.envelope.id, "type": "message", "role": "assistant", "model": self.envelope.model,
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": wire::counts(&self.usage),
        });
        write("message_start", &json!({"type": "message_start", "message": message}), out);
    }

    fn start(&mut self, block: Value, out: &mut Vec<u8>) -> usize {
        self.begin(out);
        let index = self.blocks;
        self.blocks += 1;
        let frame = json!({"type": "content_block_start", "index": index, "content_block": block});
        write("content_block_start", &frame, out);
        index
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            let index = self.blocks.saturating_sub(1);
            write("content_block_stop", &json!({"type": "content_block_stop", "index": index}), out);
        }
    }

    fn say(&mut self, kind: Kind, delta: Value, out: &mut Vec<u8>) {
        if self.open != Some(kind) {
            self.close(out);
            let block = match kind {
                Kind::Thinking => json!({"type": "thinking", "thinking": "", "signature": ""}),
                _ => json!({"type": "text", "text": ""}),
            };
            self.start(block, out);
            self.open = Some(kind);
        }
        piece(self.blocks.saturating_sub(1), &delta, out);
    }

    /// A part that comes as a whole.
    fn part(&mut self, part: &Part, out: &mut Vec<u8>) {
        if let Part::Text { text } = part {
            return self.say(Kind::Text, json!({"type": "text_delta", "text": text}), out);
        }
        if let Part::ToolCall(call) = part {
            let index = self.calls.len() as u32;
            self.signed(call.signature.as_ref(), out);
            return self.call(index, Some(&call.id), Some(&call.name), &call.arguments, out);
        }
        self.close(out);
        for block in blocks_of(std::slice::from_ref(part), true).unwrap_or_default() {
            let index = self.start(block, out);
            write("content_block_stop", &json!({"type": "content_block_stop", "index": index}), out);
        }
    }

    /// Tells a call's signature ahead of the call, which has no place for it.
    fn signed(&mut self, signature: Option<&String>, out: &mut Vec<u8>) {
        if let Some(data) = signature {
            self.part(&Part::Redacted { data: data.clone() }, out);
        }
    }

    fn call(&mut self, index: u32, id: Option<&str>, name: Option<&str>, arguments: &str, out: &mut Vec<u8>) {
        // Folds and decoders allow 1024 calls; further ones share the last place.
        let at = index.min(1023) as usize;
        if self.calls.len() <= at {
            self.calls.resize(at + 1, None);
        }
        let block = match self.calls[at] {
            Some(block) => block,
            None => {
                self.close(out);
                let (id, name) = (id.unwrap_or_default(), name.unwrap_or_default());
                let block = self.start(json!({"type": "tool_use", "id": id, "name": name, "input": {}}), out);
                (self.calls[at], self.open) = (Some(block), Some(Kind::Call));
                block
            }
        };
        if !arguments.is_empty() {
            piece(block, &json!({"type": "input_json_delta", "partial_json": arguments}), out);
        }
    }
}

fn piece(index: usize, delta: &Value, out: &mut Vec<u8>) {
    write(
        "content_block_delta",
        &json!({"type": "content_block_delta", "index": index, "delta": delta}),
        out,
    );
}

fn write(name: &str, frame: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("event: {name}\ndata: {frame}\n\n").as_bytes());
}
