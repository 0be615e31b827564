//! What callers receive: bytes of the dialect as they came, everything else written in its words.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maof_core::{
    Answer, Body, Call, ChatAnswer, Choice, Content, Delta, EmbedAnswer, Encoder, Envelope, Error, Event,
    Finish, Part, Response, Result, Usage,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::message::{self, Manner};
use super::usage::UsageCounts;
use super::wire::{NAME, finish_word};
use super::{error, media};
use crate::dialect::gate::{Gate, is_foreign};
use crate::dialect::object::Object;
use crate::dialect::sealed::told;

/// A whole reply.
pub(super) fn encode(call: &Call, reply: &Response, envelope: &Envelope) -> Result<Content> {
    if let Some(content) = reply.content_of(NAME) {
        return Ok(content.clone());
    }
    let named = |given: &Option<String>, own: &str| match given {
        Some(given) if !given.is_empty() => given.clone(),
        _ => own.to_owned(),
    };
    let model = named(&reply.model, &envelope.model);
    let body = match reply.answer()? {
        Answer::Chat(answer) => {
            let mut body = match is_foreign(answer.spoken, NAME) {
                true => Map::new(),
                false => answer.rest.clone(),
            };
            body.insert("id".to_owned(), named(&reply.id, &envelope.id).into());
            body.insert("object".to_owned(), "chat.completion".into());
            body.insert("created".to_owned(), envelope.created.into());
            body.insert("model".to_owned(), model.into());
            body.insert("choices".to_owned(), choices(answer)?);
            if let Some(usage) = &reply.usage {
                body.insert("usage".to_owned(), json!(UsageCounts::of(usage)));
            }
            Value::Object(body)
        }
        Answer::Embed(answer) => {
            let tokens = reply.usage.unwrap_or_default().input_tokens();
            json!({
                "object": "list", "model": model, "data": vectors(answer, wants_base64(call)),
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            })
        }
        other => return media::encode_reply(other, reply, envelope),
    };
    Ok(Content::json(body.to_string()))
}

fn choices(answer: &ChatAnswer) -> Result<Value> {
    let foreign = is_foreign(answer.spoken, NAME);
    let choice = |(index, choice): (usize, &Choice)| {
        let message =
            message::encode(&choice.message, Manner { foreign, told: true }, "", &mut Gate::of_answer(NAME))?;
        let message = serde_json::to_value(message)
            .map_err(|e| Error::internal("an answer cannot be written as JSON").because(e))?;
        let mut body = match foreign {
            true => Map::new(),
            false => choice.rest.clone(),
        };
        body.insert("index".to_owned(), index.into());
        body.insert("message".to_owned(), message);
        body.insert("finish_reason".to_owned(), json!(choice.finish.as_ref().map(finish_word)));
        body.entry("logprobs").or_insert(Value::Null);
        Ok(Value::Object(body))
    };
    answer.choices.iter().enumerate().map(choice).collect()
}

fn wants_base64(call: &Call) -> bool {
    match &call.body {
        Body::Wire(wire) => {
            let object = Object::parse(&wire.bytes).ok();
            object.and_then(|object| object.text("encoding_format")).as_deref() == Some("base64")
        }
        Body::Embed(embed) => embed.rest.get("encoding_format").and_then(Value::as_str) == Some("base64"),
        _ => false,
    }
}

fn vectors(answer: &EmbedAnswer, base64: bool) -> Vec<Value> {
    let one = |(index, vector): (usize, &Vec<f32>)| {
        let embedding = match base64 {
            true => json!(STANDARD.encode(vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())),
            false => json!(vector),
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    answer.vectors.iter().enumerate().map(one).collect()
}

/// A streamed reply: frames of the dialect as they came, other deltas as chunks of our own.
pub(super) struct Chunks {
    envelope: Envelope,
    choices: Vec<Told>,
    usage: Option<Usage>,
}

/// What the caller has been told of a choice that we write ourselves.
#[derive(Clone, Default)]
struct Told {
    begun: bool,
    finished: bool,
    calls: usize,
    /// What was thought since the last signature.
    thought: String,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: &'a [ChunkChoice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageCounts>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Map<String, Value>,
    finish_reason: Option<&'a str>,
}

impl Encoder for Chunks {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        match &event.frame {
            Some(frame) if frame.dialect == NAME => {
                let mut tells_usage = false;
                for delta in &event.deltas {
                    match delta {
                        // Frames of our own that may follow bear the same names.
                        Delta::Start { .. } => self.delta(delta, out),
                        Delta::Usage(_) => tells_usage = true,
                        _ => {}
                    }
                }
                match tells_usage && !self.envelope.include_usage {
                    true => without_usage(&frame.bytes, out),
                    false => out.extend_from_slice(&frame.bytes),
                }
            }
            _ => event.deltas.iter().for_each(|delta| self.delta(delta, out)),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        for at in 0..self.choices.len() {
            if self.choices.get(at).is_some_and(|told| told.begun && !told.finished) {
                self.delta(&Delta::Finish { choice: at as u32, reason: Finish::Stop }, out);
            }
        }
        if let Some(usage) = self.usage.take().filter(|_| self.envelope.include_usage) {
            self.write(&[], Some(UsageCounts::of(&usage)), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn error(&mut self, error: &Error, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&error::encode(error));
        out.extend_from_slice(b"\n\n");
    }
}

impl Chunks {
    pub(super) fn new(envelope: Envelope) -> Self {
        Chunks { envelope, choices: Vec::new(), usage: None }
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, model } => {
                if !id.is_empty() {
                    self.envelope.id.clone_from(id);
                }
                if !model.is_empty() {
                    self.envelope.model.clone_from(model);
                }
            }
            Delta::Text { choice, text } => self.say(*choice, "content", json!(text), out),
            Delta::Refusal { choice, text } => self.say(*choice, "refusal", json!(text), out),
            Delta::Reasoning { choice, text } => {
                self.told(*choice).thought.push_str(text);
                self.say(*choice, "reasoning_content", json!(text), out);
            }
            Delta::Signature { choice, signature } => {
                let text = std::mem::take(&mut self.told(*choice).thought);
                let part = Part::Reasoning { text, signature: Some(signature.clone()) };
                self.part(*choice, &part, out);
            }
            Delta::Part { choice, part } => self.part(*choice, part, out),
            // The dialect has one text.
            Delta::Next { .. } => {}
            Delta::ToolCall { choice, index, id, name, arguments, signature } => {
                let mut call = self.call(*choice, *index, id.as_deref(), name.as_deref(), arguments);
                if let Some(signature) = signature {
                    call["extra_content"] = json!({"google": {"thought_signature": told(NAME, signature)}});
                }
                self.say(*choice, "tool_calls", json!([call]), out);
            }
            Delta::Finish { choice, reason } => {
                let delta = self.opening(*choice);
                let told = self.told(*choice);
                if !std::mem::replace(&mut told.finished, true) {
                    let finish_reason = Some(finish_word(reason));
                    self.write(&[ChunkChoice { index: *choice, delta, finish_reason }], None, out);
                }
            }
            Delta::Usage(usage) => self.usage = Some(*usage),
        }
    }

    /// A part that comes as a whole.
    fn part(&mut self, choice: u32, part: &Part, out: &mut Vec<u8>) {
        match part {
            Part::Text { text } => self.say(choice, "content", json!(text), out),
            Part::ToolCall(call) => {
                let index = self.told(choice).calls;
                self.told(choice).calls += 1;
                let mut call = message::encode_call(call);
                call["index"] = index.into();
                self.say(choice, "tool_calls", json!([call]), out);
            }
            thought => {
                if let Some(details) = message::details(&[thought]) {
                    self.say(choice, "reasoning_details", details, out);
                }
            }
        }
    }

    /// A tool call's piece; what it is, is said once.
    fn call(
        &mut self,
        choice: u32,
        index: u32,
        id: Option<&str>,
        name: Option<&str>,
        arguments: &str,
    ) -> Value {
        let told = self.told(choice);
        let begins = index as usize >= told.calls;
        if !begins {
            return json!({"index": index, "function": {"arguments": arguments}});
        }
        told.calls = index as usize + 1;
        let function = json!({"name": name.unwrap_or_default(), "arguments": arguments});
        json!({"index": index, "id": id.unwrap_or_default(), "type": "function", "function": function})
    }

    fn say(&mut self, choice: u32, what: &str, value: Value, out: &mut Vec<u8>) {
        let mut delta = self.opening(choice);
        delta.insert(what.to_owned(), value);
        self.write(&[ChunkChoice { index: choice, delta, finish_reason: None }], None, out);
    }

    /// The role, in the first delta of a choice.
    fn opening(&mut self, choice: u32) -> Map<String, Value> {
        let mut delta = Map::new();
        if !std::mem::replace(&mut self.told(choice).begun, true) {
            delta.insert("role".to_owned(), "assistant".into());
        }
        delta
    }

    fn told(&mut self, choice: u32) -> &mut Told {
        // Folds and decoders allow 1024 choices; further ones share the last place.
        let at = choice.min(1023) as usize;
        if self.choices.len() <= at {
            self.choices.resize(at + 1, Told::default());
        }
        &mut self.choices[at]
    }

    fn write(&self, choices: &[ChunkChoice<'_>], usage: Option<UsageCounts>, out: &mut Vec<u8>) {
        let Envelope { id, model, created, .. } = &self.envelope;
        let chunk = Chunk { id, object: "chat.completion.chunk", created: *created, model, choices, usage };
        out.extend_from_slice(b"data: ");
        // Writing to memory cannot fail, and no map here has keys other than strings.
        let _ = serde_json::to_writer(&mut *out, &chunk);
        let _ = out.write_all(b"\n\n");
    }
}

/// The frame without the usage that the caller did not ask for; nothing, when there was nothing else in it.
fn without_usage(frame: &[u8], out: &mut Vec<u8>) {
    let data = data_of(frame);
    let Ok(object) = Object::parse(data.trim_ascii()) else { return };
    let empty = object.read::<Vec<serde::de::IgnoredAny>>("choices").is_none_or(|choices| choices.is_empty());
    if !empty {
        let mut patch = object.patch();
        patch.set("usage", "null".to_owned());
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&patch.finish());
        out.extend_from_slice(b"\n\n");
    }
}

/// The payload of a server-sent event: its `data` lines, joined. JSON does not mind where lines break.
fn data_of(frame: &[u8]) -> Vec<u8> {
    let lines = frame.split(|byte| *byte == b'\n' || *byte == b'\r');
    let data = lines.filter_map(|line| line.strip_prefix(b"data:"));
    data.collect::<Vec<_>>().join(&b'\n')
}
