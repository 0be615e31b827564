//! OpenAI's chat completions, embeddings, pictures and sound, as OpenAI and everything compatible with it speak them.
//!
//! Bytes of this dialect pass through MAOF as they came: only the top level is read, and only the model's
//! name, `stream_options` and an agent's instructions are patched in. Everything else is translated from
//! and to maof-core's nouns.
//!
//! ```
//! use maof_core::{Dialect as _, Incoming, Operation};
//! use maof_providers::OPENAI;
//! let body = br#"{"model":"m","messages":[{"role":"user","content":"hi"}],"my_field":1}"#;
//! let body = OPENAI.read(Incoming::json(Operation::Chat, body.to_vec()))?;
//! assert_eq!(body.chat()?.last_user_text().as_deref(), Some("hi"));
//! assert_eq!(body.chat()?.rest["my_field"], 1);
//!
//! let body = br#"{"model":"m","messages":[]}"#;
//! let error = OPENAI.read(Incoming::json(Operation::Chat, body.to_vec())).unwrap_err();
//! assert_eq!(error.field(), Some("messages"));
//! # Ok::<(), maof_core::Error>(())
//! ```

mod check;
mod chunk;
mod decode;
mod encode;
mod error;
mod ingress;
mod media;
mod message;
mod reply;
mod sound;
mod stream;
#[cfg(test)]
mod tests;
mod usage;
mod wire;

pub(crate) use error::encode as encode_error;

use bytes::Bytes;
use maof_core::{
    Answer, Ask, Body, Call, Content, Decoder, Dialect, Encoder, Envelope, Error, Incoming, Operation,
    Outgoing, Response, Result, Wire,
};

use crate::dialect::said;

/// The OpenAI dialect.
#[derive(Debug)]
pub struct OpenAi {
    /// How the most output tokens are spelled in requests that MAOF makes itself.
    limit: &'static str,
    /// Whether fields that OpenAI itself does not know are refused.
    strict: bool,
}

/// As OpenAI itself speaks it today.
pub static OPENAI: OpenAi = OpenAi { limit: "max_completion_tokens", strict: true };

/// As compatible servers speak it: many know only `max_tokens`, and fields of their own.
pub static COMPATIBLE: OpenAi = OpenAi { limit: "max_tokens", strict: false };

impl Dialect for OpenAi {
    fn name(&self) -> &'static str {
        wire::NAME
    }

    fn id_prefix(&self) -> &'static str {
        "chatcmpl-"
    }

    fn schema_field(&self) -> &'static str {
        "response_format.json_schema.schema"
    }

    fn headers(&self) -> &'static [&'static str] {
        &["openai-beta"]
    }

    fn encode(&self, call: &Call, ask: Ask<'_>) -> Result<Outgoing> {
        encode::encode(call, ask, self)
    }

    fn decode(&self, call: &Call, content: Content) -> Result<Response> {
        decode::decode(&OPENAI, call, content)
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> Error {
        said::decode(status, body)
    }

    fn decoder(&self, call: &Call) -> Box<dyn Decoder> {
        match call.operation() {
            Operation::Transcribe | Operation::Speech => Box::new(sound::Heard::new(call)),
            _ => Box::new(stream::Fold::default()),
        }
    }

    fn read(&'static self, incoming: Incoming) -> Result<Body> {
        ingress::read(self, incoming)
    }

    fn decode_body(&self, wire: &Wire) -> Result<Body> {
        ingress::body(wire)
    }

    fn decode_answer(&self, operation: Operation, content: &Content) -> Result<Answer> {
        decode::answer(operation, content)
    }

    fn encode_reply(&self, call: &Call, reply: &Response, envelope: &Envelope) -> Result<Content> {
        reply::encode(call, reply, envelope)
    }

    fn encoder(&self, call: &Call, envelope: Envelope) -> Box<dyn Encoder> {
        match call.operation() {
            Operation::Transcribe | Operation::Speech => Box::new(sound::Told::default()),
            _ => Box::new(reply::Chunks::new(envelope)),
        }
    }

    fn encode_error(&self, error: &Error) -> Bytes {
        error::encode(error)
    }
}
