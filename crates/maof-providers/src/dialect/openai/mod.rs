//! OpenAI's chat completions and embeddings, as OpenAI and everything compatible with it speak them.
//!
//! Bytes of this dialect pass through MAOF as they came: only the top level is read, and only the model's
//! name, `stream_options` and an agent's instructions are patched in. Everything else is translated from
//! and to maof-core's nouns.
//!
//! ```
//! use maof_core::{Body, Dialect as _, Operation};
//! use maof_providers::OPENAI;
//! let body = br#"{"model":"m","messages":[{"role":"user","content":"hi"}],"my_field":1}"#;
//! let body = OPENAI.read(Operation::Chat, body.to_vec().into())?;
//! assert_eq!(body.chat()?.last_user_text().as_deref(), Some("hi"));
//! assert_eq!(body.chat()?.rest["my_field"], 1);
//!
//! let error = OPENAI.read(Operation::Chat, br#"{"model":"m","messages":[]}"#.to_vec().into()).unwrap_err();
//! assert_eq!(error.field(), Some("messages"));
//! # Ok::<(), maof_core::Error>(())
//! ```

mod check;
mod decode;
mod encode;
mod error;
mod ingress;
mod message;
mod object;
mod reply;
mod stream;
#[cfg(test)]
mod tests;
mod wire;

use bytes::Bytes;
use maof_core::{
    Answer, Body, Call, ChatRequest, Decoder, Dialect, EmbedRequest, Encoder, Envelope, Error, Operation,
    Outgoing, Response, Result,
};

/// The OpenAI dialect.
#[derive(Debug)]
pub struct OpenAi {
    /// How the most output tokens are spelled in requests that MAOF makes itself.
    limit: &'static str,
}

/// As OpenAI itself speaks it today.
pub static OPENAI: OpenAi = OpenAi { limit: "max_completion_tokens" };

/// As compatible servers speak it: many know only `max_tokens`.
pub static COMPATIBLE: OpenAi = OpenAi { limit: "max_tokens" };

impl Dialect for OpenAi {
    fn name(&self) -> &'static str {
        wire::NAME
    }

    fn encode(&self, call: &Call, model: &str) -> Result<Outgoing> {
        encode::encode(call, model, self.limit)
    }

    fn decode(&self, operation: Operation, body: Bytes) -> Result<Response> {
        decode::decode(&OPENAI, operation, body)
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> Error {
        error::decode(status, body)
    }

    fn decoder(&self, _: &Call) -> Box<dyn Decoder> {
        Box::new(stream::Fold::default())
    }

    fn read(&'static self, operation: Operation, body: Bytes) -> Result<Body> {
        ingress::read(self, operation, body)
    }

    fn decode_chat(&self, body: &[u8]) -> Result<ChatRequest> {
        ingress::chat(body)
    }

    fn decode_embed(&self, body: &[u8]) -> Result<EmbedRequest> {
        ingress::embed(body)
    }

    fn decode_answer(&self, operation: Operation, body: &[u8]) -> Result<Answer> {
        decode::answer(operation, body)
    }

    fn encode_reply(&self, call: &Call, reply: &Response, envelope: &Envelope) -> Result<Bytes> {
        reply::encode(call, reply, envelope)
    }

    fn encoder(&self, envelope: Envelope) -> Box<dyn Encoder> {
        Box::new(reply::Chunks::new(envelope))
    }

    fn encode_error(&self, error: &Error) -> Bytes {
        error::encode(error)
    }
}
