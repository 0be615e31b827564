//! A dialect: a wire format, spoken towards upstreams and towards callers. Pure: bytes in, nouns out.
//!
//! A dialect is one exchange. What takes several (a batch, a background agent) is an
//! [`Endpoint`](crate::Endpoint) with a step of its own.

use std::fmt;

use bytes::Bytes;

use crate::call::{Body, Call, Operation};
use crate::chat::{ChatRequest, EmbedRequest};
use crate::error::{Error, Result};
use crate::reply::{Event, Response};

/// A request as an upstream is to receive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The path below the endpoint's base URL, beginning with a slash.
    pub path: String,
    /// The body; its content type is `application/json`.
    pub body: Bytes,
}

/// What a caller is told of the reply that it receives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The id that the reply bears when the upstream gave none.
    pub id: String,
    /// The model's name that the reply bears when the upstream gave none.
    pub model: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// Whether the caller asked for usage in the stream.
    pub include_usage: bool,
}

/// A wire format. Implementations hold no state and live for ever.
pub trait Dialect: Send + Sync + fmt::Debug {
    /// Its name in configuration, such as `openai`.
    fn name(&self) -> &'static str;

    // Towards an upstream.

    /// The request for the upstream's model `model`. The same dialect's bytes are patched, not rebuilt.
    ///
    /// # Errors
    /// `invalid_request` naming the field that this dialect cannot express.
    fn encode(&self, call: &Call, model: &str) -> Result<Outgoing>;

    /// A whole answer with a status of success.
    ///
    /// # Errors
    /// `protocol` when the bytes are not what the dialect says; any error that a 200 carries inside.
    fn decode(&self, operation: Operation, body: Bytes) -> Result<Response>;

    /// An answer with a status of failure, scrubbed: of upstream text only a caller's own fault survives.
    fn decode_error(&self, status: u16, body: &[u8]) -> Error;

    /// A fold over the frames of one streamed answer.
    fn decoder(&self, call: &Call) -> Box<dyn Decoder>;

    // Towards a caller.

    /// Reads the little that is routed on, and keeps the bytes.
    ///
    /// # Errors
    /// `invalid_request` naming the field that is missing or malformed.
    fn read(&'static self, operation: Operation, body: Bytes) -> Result<Body>;

    /// The conversation in full.
    ///
    /// # Errors
    /// `invalid_request` naming the field that is malformed.
    fn decode_chat(&self, body: &[u8]) -> Result<ChatRequest>;

    /// The texts to embed.
    ///
    /// # Errors
    /// `invalid_request` naming the field that is malformed.
    fn decode_embed(&self, body: &[u8]) -> Result<EmbedRequest>;

    /// The typed answer inside a whole reply's bytes.
    ///
    /// # Errors
    /// `protocol` when the bytes are not what the dialect says.
    fn decode_answer(&self, operation: Operation, body: &[u8]) -> Result<crate::reply::Answer>;

    /// A whole reply for a caller; bytes of the same dialect pass as they came.
    ///
    /// # Errors
    /// `internal` when the answer cannot be expressed.
    fn encode_reply(&self, call: &Call, reply: &Response, envelope: &Envelope) -> Result<Bytes>;

    /// A streamed reply for a caller.
    fn encoder(&self, envelope: Envelope) -> Box<dyn Encoder>;

    /// An error for a caller, as a whole body.
    fn encode_error(&self, error: &Error) -> Bytes;
}

/// Turns an upstream's frames into events. Fed one complete server-sent event at a time.
pub trait Decoder: Send {
    /// One frame: `data` is its payload (several lines joined), `raw` the frame as it came, blank line
    /// included, `name` its event name. None when there is nothing to pass on.
    ///
    /// # Errors
    /// `protocol` when the frame is malformed; the error that the frame carries, if it does.
    fn frame(&mut self, name: Option<&str>, data: &[u8], raw: Bytes) -> Result<Option<Event>>;

    /// The upstream has closed the stream. Events that its terminator would have brought.
    ///
    /// # Errors
    /// `protocol` when the stream ended before its answer did.
    fn close(&mut self) -> Result<Option<Event>>;
}

/// Turns events into bytes for a caller.
pub trait Encoder: Send {
    /// The bytes of one event, appended to `out`. Nothing is appended for an event that the caller did not ask for.
    fn event(&mut self, event: &Event, out: &mut Vec<u8>);

    /// The stream's proper ending.
    fn finish(&mut self, out: &mut Vec<u8>);

    /// An error after the first byte; no proper ending follows.
    fn error(&mut self, error: &Error, out: &mut Vec<u8>);
}
