//! Dialects that are spoken towards upstreams only: to callers MAOF speaks others.

use std::fmt;

use bytes::Bytes;
use maof_core::{
    Answer, Ask, Body, Call, Content, Decoder, Dialect, Encoder, Envelope, Error, Event, Incoming, Operation,
    Outgoing, Response, Result, Wire,
};
use serde_json::json;

use super::said;

/// How an upstream is asked and understood. It does not stream.
pub(crate) trait Upstream: Send + Sync + fmt::Debug + 'static {
    /// The dialect's name in configuration.
    const NAME: &'static str;

    /// As [`Dialect::encode`].
    fn encode(&self, call: &Call, ask: Ask<'_>) -> Result<Outgoing>;

    /// As [`Dialect::decode`]; the response is typed.
    fn decode(&self, call: &Call, content: Content) -> Result<Response>;

    /// As [`Dialect::decode_error`].
    fn decode_error(&self, status: u16, body: &[u8]) -> Error {
        said::decode(status, body)
    }
}

/// The dialect of such an upstream.
#[derive(Debug)]
pub(crate) struct OneWay<T>(pub(crate) T);

impl<T: Upstream> Dialect for OneWay<T> {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn id_prefix(&self) -> &'static str {
        ""
    }

    fn encode(&self, call: &Call, ask: Ask<'_>) -> Result<Outgoing> {
        self.0.encode(call, ask)
    }

    fn decode(&self, call: &Call, content: Content) -> Result<Response> {
        self.0.decode(call, content)
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> Error {
        self.0.decode_error(status, body)
    }

    fn decoder(&self, _: &Call) -> Box<dyn Decoder> {
        Box::new(Mute(T::NAME))
    }

    fn read(&'static self, _: Incoming) -> Result<Body> {
        Err(unspoken(T::NAME))
    }

    fn decode_body(&self, _: &Wire) -> Result<Body> {
        Err(unspoken(T::NAME))
    }

    fn decode_answer(&self, _: Operation, _: &Content) -> Result<Answer> {
        Err(Error::internal(format!("answers in `{}` are decoded at once", T::NAME)))
    }

    fn encode_reply(&self, _: &Call, _: &Response, _: &Envelope) -> Result<Content> {
        Err(unspoken(T::NAME))
    }

    fn encoder(&self, _: &Call, _: Envelope) -> Box<dyn Encoder> {
        Box::new(Mute(T::NAME))
    }

    fn encode_error(&self, error: &Error) -> Bytes {
        json!({"error": error.message()}).to_string().into()
    }
}

fn unspoken(name: &str) -> Error {
    Error::invalid_request(format!("`{name}` is spoken towards providers only, not towards callers"))
}

/// Neither reads nor writes streams.
#[derive(Debug)]
struct Mute(&'static str);

impl Mute {
    fn silence(&self) -> Error {
        Error::protocol(format!("`{}` has no streams, but one came", self.0))
    }
}

impl Decoder for Mute {
    fn frame(&mut self, _: Option<&str>, _: &[u8], _: Bytes) -> Result<Option<Event>> {
        Err(self.silence())
    }

    fn close(&mut self) -> Result<Option<Event>> {
        Err(self.silence())
    }
}

impl Encoder for Mute {
    fn event(&mut self, _: &Event, _: &mut Vec<u8>) {}

    fn keep_alive(&mut self, _: &mut Vec<u8>) {}

    fn finish(&mut self, _: &mut Vec<u8>) {}

    fn error(&mut self, error: &Error, out: &mut Vec<u8>) {
        out.extend_from_slice(error.message().as_bytes());
    }
}
