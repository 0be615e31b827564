//! OpenAI's responses: the same conversations as chat completions, in items instead of messages.
//!
//! The shapes are those of OpenAI's API reference (<https://platform.openai.com/docs/api-reference/responses>, read
//! November 2026). Bytes of this dialect pass through MAOF as they came, but for the model's name and an agent's
//! instructions. What rests on a provider's memory (`previous_response_id`, `conversation`) can only be asked of a
//! provider of this dialect.
//!
//! ```
//! use maof_core::{Dialect as _, Incoming, Operation};
//! use maof_providers::RESPONSES;
//! let body = br#"{"model":"m","instructions":"Be terse.","input":"hi"}"#;
//! let chat = RESPONSES.read(Incoming::json(Operation::Chat, body.to_vec()))?.chat()?;
//! assert_eq!((chat.messages.len(), chat.last_user_text().as_deref()), (2, Some("hi")));
//!
//! let error = RESPONSES.read(Incoming::json(Operation::Chat, &br#"{"model":"m"}"#[..])).unwrap_err();
//! assert_eq!(error.field(), Some("input"));
//! # Ok::<(), maof_core::Error>(())
//! ```

mod decode;
mod encode;
mod ingress;
mod item;
mod reply;
mod stream;
mod wire;
mod writer;

use bytes::Bytes;
use maof_core::{
    Answer, Ask, Body, Call, Content, Decoder, Dialect, Encoder, Envelope, Error, Incoming, Operation,
    Outgoing, Response, Result, Wire,
};

use crate::dialect::{openai, said};

/// The dialect of OpenAI's responses.
#[derive(Debug)]
pub struct Responses;

/// As OpenAI speaks it.
pub static RESPONSES: Responses = Responses;

impl Dialect for Responses {
    fn name(&self) -> &'static str {
        wire::NAME
    }

    fn id_prefix(&self) -> &'static str {
        "resp_"
    }

    fn schema_field(&self) -> &'static str {
        "text.format.schema"
    }

    fn headers(&self) -> &'static [&'static str] {
        &["openai-beta"]
    }

    fn encode(&self, call: &Call, ask: Ask<'_>) -> Result<Outgoing> {
        encode::encode(call, ask)
    }

    fn decode(&self, _: &Call, content: Content) -> Result<Response> {
        decode::decode(content)
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
        ingress::chat(&wire.bytes).map(Body::from)
    }

    fn decode_answer(&self, _: Operation, content: &Content) -> Result<Answer> {
        decode::answer(&content.bytes)
    }

    fn encode_reply(&self, call: &Call, reply: &Response, envelope: &Envelope) -> Result<Content> {
        reply::encode(call, reply, envelope)
    }

    fn encoder(&self, call: &Call, envelope: Envelope) -> Box<dyn Encoder> {
        Box::new(writer::Events::new(call, envelope))
    }

    fn encode_error(&self, error: &Error) -> Bytes {
        openai::encode_error(error)
    }
}
