//! A dialect: a wire format, spoken towards upstreams and towards callers. Pure: bytes in, nouns out.
//!
//! A dialect is one exchange. What takes several (a batch, a background agent) is an
//! [`Endpoint`](crate::Endpoint) with a step of its own.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::call::{Body, Call, Operation, Wire};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::reply::{Answer, Response};

/// A header: its name in lower case, and its value.
pub type Header = (Cow<'static, str>, String);

/// What becomes of a field that the upstream's dialect cannot express.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unsupported {
    /// The call is refused, naming the field; what changes no answer is left out and reported.
    #[default]
    Refuse,
    /// The field is left out, and the reply says so.
    DropAndReport,
}

/// How an upstream is to be asked.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The model, as the upstream calls it.
    pub model: &'a str,
    /// What becomes of fields that cannot be expressed.
    pub unsupported: Unsupported,
    /// The most output tokens of an answer whose length the caller did not bound, where the dialect must say one.
    pub max_output: u64,
}

/// A request as an upstream is to receive it: a POST.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The path below the endpoint's base URL, beginning with a slash; with its query, if it has one.
    pub path: Cow<'static, str>,
    /// Headers beside those of every request to the provider.
    pub headers: Vec<Header>,
    /// The body's media type; `application/json` when none is said.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
    /// Fields that were left out, by name.
    pub dropped: Vec<String>,
}

impl Outgoing {
    /// A request in JSON.
    pub fn json(path: impl Into<Cow<'static, str>>, body: impl Into<Bytes>) -> Self {
        Outgoing { path: path.into(), body: body.into(), ..Outgoing::default() }
    }
}

/// A request as a caller sent it.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// What its path asks for.
    pub operation: Operation,
    /// The model, where the path names it.
    pub model: Option<String>,
    /// Whether a stream is wanted, where the path says it.
    pub stream: Option<bool>,
    /// The headers that [`Dialect::headers`] names, where they came.
    pub headers: Vec<Header>,
    /// The body's media type, with its parameters.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

impl Incoming {
    /// A request in JSON whose path says nothing but the operation.
    pub fn json(operation: Operation, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Incoming { operation, model: None, stream: None, headers: Vec::new(), content_type: None, body }
    }
}

/// A whole body and its media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The media type, with its parameters.
    pub content_type: Cow<'static, str>,
    /// The bytes.
    pub bytes: Bytes,
}

impl Content {
    /// A body of JSON.
    pub fn json(bytes: impl Into<Bytes>) -> Self {
        Content { content_type: Cow::Borrowed("application/json"), bytes: bytes.into() }
    }
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

    /// What the ids of its answers begin with.
    fn id_prefix(&self) -> &'static str;

    /// Whether its upstreams count a conversation's tokens when asked.
    fn counts_tokens(&self) -> bool {
        false
    }

    /// The field of a request that holds the JSON schema of its answer.
    fn schema_field(&self) -> &'static str {
        "output"
    }

    /// Headers of a caller, in lower case, that belong to the request and travel with it.
    fn headers(&self) -> &'static [&'static str] {
        &[]
    }

    // Towards an upstream.

    /// The request for an upstream. The same dialect's bytes are patched, not rebuilt.
    ///
    /// # Errors
    /// `invalid_request` naming the field that this dialect cannot express.
    fn encode(&self, call: &Call, ask: Ask<'_>) -> Result<Outgoing>;

    /// A whole answer with a status of success.
    ///
    /// # Errors
    /// `protocol` when the bytes are not what the dialect says; any error that a 200 carries inside.
    fn decode(&self, call: &Call, content: Content) -> Result<Response>;

    /// An answer with a status of failure, scrubbed: of upstream text only a caller's own fault survives.
    fn decode_error(&self, status: u16, body: &[u8]) -> Error;

    /// A fold over the frames of one streamed answer.
    fn decoder(&self, call: &Call) -> Box<dyn Decoder>;

    // Towards a caller.

    /// Reads the little that is routed on, and keeps the bytes.
    ///
    /// # Errors
    /// `invalid_request` naming the field that is missing or malformed.
    fn read(&'static self, incoming: Incoming) -> Result<Body>;

    /// The request in MAOF's words: never a body of the kind [`Body::Wire`].
    ///
    /// # Errors
    /// `invalid_request` naming the field that is malformed.
    fn decode_body(&self, wire: &Wire) -> Result<Body>;

    /// The typed answer inside a whole reply.
    ///
    /// # Errors
    /// `protocol` when the bytes are not what the dialect says.
    fn decode_answer(&self, operation: Operation, content: &Content) -> Result<Answer>;

    /// A whole reply for a caller; bytes of the same dialect pass as they came.
    ///
    /// # Errors
    /// `internal` when the answer cannot be expressed.
    fn encode_reply(&self, call: &Call, reply: &Response, envelope: &Envelope) -> Result<Content>;

    /// A streamed reply for a caller.
    fn encoder(&self, call: &Call, envelope: Envelope) -> Box<dyn Encoder>;

    /// An error for a caller, as a whole body of JSON.
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

    /// Whether the answer is over, so that no more frames need be waited for.
    fn is_over(&self) -> bool {
        false
    }

    /// Whether every choice that has begun has said why it ends, so that nothing but usage and the terminator can
    /// be missing. Those are not waited for as long as an answer is.
    fn is_answered(&self) -> bool {
        false
    }

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

    /// A sign of life during silence, which readers pass over: a comment, unless the dialect has a word for it.
    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }

    /// The stream's proper ending.
    fn finish(&mut self, out: &mut Vec<u8>);

    /// An error after the first byte; no proper ending follows.
    fn error(&mut self, error: &Error, out: &mut Vec<u8>);
}
