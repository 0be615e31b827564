//! What callers receive: bytes of the dialect as they came, everything else written in its words.

use maof_core::{
    Answer, Content, Delta, EmbedAnswer, Encoder, Envelope, Error, Event, Finish, Part, Response, Result,
    ToolCall, Usage,
};
use serde_json::{Map, Value, json};

use super::error;
use super::part;
use super::wire::{self, NAME};
use crate::dialect::gate::{Gate, is_foreign};

/// A whole reply.
pub(super) fn encode(reply: &Response, envelope: &Envelope) -> Result<Content> {
    if let Some(content) = reply.content_of(NAME) {
        return Ok(content.clone());
    }
    let answer = match reply.answer()? {
        Answer::Chat(answer) => answer,
        Answer::CountTokens(tokens) => return Ok(Content::json(json!({"totalTokens": tokens}).to_string())),
        Answer::Embed(answer) => return Ok(Content::json(vectors(answer).to_string())),
        other => {
            return Err(Error::internal(format!("an answer to `{}` has no words here", other.operation())));
        }
    };
    let foreign = is_foreign(answer.spoken, NAME);
    let mut candidates = Vec::with_capacity(answer.choices.len());
    for (index, choice) in answer.choices.iter().enumerate() {
        let mut body = match foreign {
            true => Map::new(),
            false => choice.rest.clone(),
        };
        let parts = parts(&choice.message.parts, foreign)?;
        body.insert("content".to_owned(), json!({"role": "model", "parts": parts}));
        if let Some(finish) = &choice.finish {
            body.insert("finishReason".to_owned(), wire::finish_word(finish).into());
        }
        body.insert("index".to_owned(), index.into());
        candidates.push(Value::Object(body));
    }
    let named = |given: &Option<String>, own: &str| match given {
        Some(given) if !given.is_empty() => given.clone(),
        _ => own.to_owned(),
    };
    let mut body = if foreign { Map::new() } else { answer.rest.clone() };
    body.insert("candidates".to_owned(), candidates.into());
    body.insert("usageMetadata".to_owned(), wire::counts(&reply.usage.unwrap_or_default()));
    body.insert("modelVersion".to_owned(), named(&reply.model, &envelope.model).into());
    body.insert("responseId".to_owned(), named(&reply.id, &envelope.id).into());
    Ok(Content::json(Value::Object(body).to_string()))
}

fn parts(parts: &[Part], foreign: bool) -> Result<Vec<Value>> {
    part::encode(parts, foreign, true, "", &mut Gate::of_answer(NAME))
}

fn vectors(answer: &EmbedAnswer) -> Value {
    let vectors: Vec<Value> = answer.vectors.iter().map(|vector| json!({"values": vector})).collect();
    json!({"embeddings": vectors})
}

/// A streamed reply: frames of the dialect as they came, other deltas as chunks of our own.
pub(super) struct Chunks {
    envelope: Envelope,
    /// Tool calls, which come whole here: each choice's, until its end.
    calls: Vec<(u32, Vec<ToolCall>)>,
    finishes: Vec<(u32, Finish)>,
    usage: Usage,
    verbatim: bool,
}

impl Encoder for Chunks {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        match &event.frame {
            Some(frame) if frame.dialect == NAME => {
                self.verbatim = true;
                // A frame of our own that may follow bears the same names.
                let starts = event.deltas.iter().filter(|delta| matches!(delta, Delta::Start { .. }));
                starts.for_each(|delta| self.delta(delta, out));
                out.extend_from_slice(&frame.bytes);
            }
            _ => event.deltas.iter().for_each(|delta| self.delta(delta, out)),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.verbatim {
            if self.usage.estimated {
                self.write(json!({"usageMetadata": wire::counts(&self.usage)}), out);
            }
            return;
        }
        for (choice, calls) in std::mem::take(&mut self.calls) {
            let parts: Vec<Part> = calls.into_iter().map(Part::ToolCall).collect();
            self.say(choice, &parts, out);
        }
        if self.finishes.is_empty() {
            self.finishes.push((0, Finish::Stop));
        }
        let candidates: Vec<Value> = self
            .finishes
            .iter()
            .map(|(index, finish)| {
                // Readers look at the first part of every chunk.
                let content = json!({"role": "model", "parts": [{"text": ""}]});
                json!({"content": content, "finishReason": wire::finish_word(finish), "index": index})
            })
            .collect();
        self.write(json!({"candidates": candidates, "usageMetadata": wire::counts(&self.usage)}), out);
    }

    fn error(&mut self, error: &Error, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&error::encode(error));
        out.extend_from_slice(b"\r\n\r\n");
    }
}

impl Chunks {
    pub(super) fn new(envelope: Envelope) -> Self {
        Chunks { envelope, calls: Vec::new(), finishes: Vec::new(), usage: Usage::default(), verbatim: false }
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
            Delta::Text { choice, text } | Delta::Refusal { choice, text } => {
                self.say(*choice, &[Part::text(text)], out);
            }
            Delta::Reasoning { choice, text } => {
                self.say(*choice, &[Part::Reasoning { text: text.clone(), signature: None }], out);
            }
            Delta::Signature { choice, signature } => {
                let sealed = Part::Reasoning { text: String::new(), signature: Some(signature.clone()) };
                self.say(*choice, &[Part::text(""), sealed], out);
            }
            Delta::Part { choice, part } => self.say(*choice, std::slice::from_ref(part), out),
            Delta::Next { .. } => {}
            Delta::ToolCall { choice, index, id, name, arguments, signature } => {
                let call = self.call(*choice, *index);
                if call.id.is_empty() {
                    call.id = id.clone().unwrap_or_default();
                }
                call.name.push_str(name.as_deref().unwrap_or_default());
                call.arguments.push_str(arguments);
                call.signature = call.signature.take().or_else(|| signature.clone());
            }
            Delta::Finish { choice, reason } => self.finishes.push((*choice, reason.clone())),
            Delta::Usage(usage) => self.usage = *usage,
        }
    }

    /// A tool call in the making.
    fn call(&mut self, choice: u32, index: u32) -> &mut ToolCall {
        let at = match self.calls.iter().position(|(of, _)| *of == choice) {
            Some(at) => at,
            None => {
                self.calls.push((choice, Vec::new()));
                self.calls.len() - 1
            }
        };
        let calls = &mut self.calls[at].1;
        // Folds and decoders allow 1024 calls; further ones share the last place.
        let index = index.min(1023) as usize;
        if calls.len() <= index {
            calls.resize_with(index + 1, ToolCall::default);
        }
        &mut calls[index]
    }

    fn say(&mut self, choice: u32, said: &[Part], out: &mut Vec<u8>) {
        let parts = parts(said, true).unwrap_or_default();
        if parts.is_empty() {
            return;
        }
        let content = json!({"role": "model", "parts": parts});
        self.write(json!({"candidates": [{"content": content, "index": choice}]}), out);
    }

    fn write(&mut self, mut chunk: Value, out: &mut Vec<u8>) {
        chunk["modelVersion"] = self.envelope.model.clone().into();
        chunk["responseId"] = self.envelope.id.clone().into();
        out.extend_from_slice(format!("data: {chunk}\r\n\r\n").as_bytes());
    }
}
