//! Anthropic's messages, and the counting of their tokens.
//!
//! The shapes are those of Anthropic's API reference (<https://docs.anthropic.com/en/api/messages>, read
//! November 2026). Bytes of this dialect pass through MAOF as they came, but for the model's name and an
//! agent's instructions.
//!
//! ```
//! use maof_core::{Dialect as _, Incoming, Operation};
//! use maof_providers::ANTHROPIC;
//! let body = br#"{"model":"m","max_tokens":9,"system":"Be terse.","messages":[{"role":"user","content":"hi"}]}"#;
//! let body = ANTHROPIC.read(Incoming::json(Operation::Chat, body.to_vec()))?;
//! assert_eq!(body.chat()?.messages.len(), 2);
//!
//! let body = br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
//! let error = ANTHROPIC.read(Incoming::json(Operation::Chat, body.to_vec())).unwrap_err();
//! assert_eq!(error.field(), Some("max_tokens"));
//! # Ok::<(), maof_core::Error>(())
//! ```

mod block;
mod decode;
mod encode;
mod error;
mod ingress;
mod reply;
mod schema;
mod stream;
mod wire;

use bytes::Bytes;
use maof_core::{
    Answer, Ask, Body, Call, Content, Decoder, Dialect, Encoder, Envelope, Error, Incoming, Operation,
    Outgoing, Response, Result, Wire,
};

use crate::dialect::said;

/// The Anthropic dialect.
#[derive(Debug)]
pub struct Anthropic;

/// As Anthropic itself speaks it, and everything compatible with it.
pub static ANTHROPIC: Anthropic = Anthropic;

impl Dialect for Anthropic {
    fn name(&self) -> &'static str {
        wire::NAME
    }

    fn id_prefix(&self) -> &'static str {
        "msg_"
    }

    fn counts_tokens(&self) -> bool {
        true
    }

    fn schema_field(&self) -> &'static str {
        "output_config.format.schema"
    }

    fn headers(&self) -> &'static [&'static str] {
        &["anthropic-version", "anthropic-beta"]
    }

    fn encode(&self, call: &Call, ask: Ask<'_>) -> Result<Outgoing> {
        encode::encode(call, ask)
    }

    fn decode(&self, call: &Call, content: Content) -> Result<Response> {
        decode::decode(call.operation(), content)
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> Error {
        said::decode(status, body)
    }

    fn decoder(&self, _: &Call) -> Box<dyn Decoder> {
        Box::new(stream::Fold::default())
    }

    fn read(&'static self, incoming: Incoming) -> Result<Body> {
        ingress::read(self, incoming)
    }

    fn decode_body(&self, wire: &Wire) -> Result<Body> {
        ingress::body(wire)
    }

    fn decode_answer(&self, operation: Operation, content: &Content) -> Result<Answer> {
        decode::answer(operation, &content.bytes)
    }

    fn encode_reply(&self, _: &Call, reply: &Response, envelope: &Envelope) -> Result<Content> {
        reply::encode(reply, envelope)
    }

    fn encoder(&self, _: &Call, envelope: Envelope) -> Box<dyn Encoder> {
        Box::new(reply::Frames::new(envelope))
    }

    fn encode_error(&self, error: &Error) -> Bytes {
        error::encode(error)
    }
}
