//! Google's Gemini: `generateContent`, its stream, the counting of tokens and embeddings.
//!
//! The shapes are those of Google's API reference (<https://ai.google.dev/api/generate-content>, read November
//! 2026). The model and whether a stream is wanted stand in the path; bodies of this dialect pass through MAOF as
//! they came, but for an agent's instructions. Fields may be written in camel or in snake case, as Google takes them.
//!
//! ```
//! use maof_core::{Dialect as _, Incoming, Operation};
//! use maof_providers::GEMINI;
//! let body = br#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"topK":3}}"#;
//! let incoming = Incoming { model: Some("m".to_owned()), ..Incoming::json(Operation::Chat, body.to_vec()) };
//! let chat = GEMINI.read(incoming)?.chat()?;
//! assert_eq!((chat.last_user_text().as_deref(), chat.top_k), (Some("hi"), Some(3)));
//!
//! let incoming = Incoming { model: Some("m".to_owned()), ..Incoming::json(Operation::Chat, &br#"{}"#[..]) };
//! assert_eq!(GEMINI.read(incoming).unwrap_err().field(), Some("contents"));
//! # Ok::<(), maof_core::Error>(())
//! ```

mod decode;
mod encode;
mod error;
mod ingress;
mod part;
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

/// The Gemini dialect.
#[derive(Debug)]
pub struct Gemini;

/// As Google speaks it.
pub static GEMINI: Gemini = Gemini;

impl Dialect for Gemini {
    fn name(&self) -> &'static str {
        wire::NAME
    }

    fn id_prefix(&self) -> &'static str {
        ""
    }

    fn counts_tokens(&self) -> bool {
        true
    }

    fn schema_field(&self) -> &'static str {
        "generationConfig.responseJsonSchema"
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
        Box::new(reply::Chunks::new(envelope))
    }

    fn encode_error(&self, error: &Error) -> Bytes {
        error::encode(error)
    }
}
