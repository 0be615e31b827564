//! Recorded traffic of real providers through each dialect: nothing is lost, nothing is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use maof_core::fold::Fold;
use maof_core::{
    Answer, Ask, Body, Call, CallId, Content, Delta, Dialect, Envelope, Error, ErrorKind, Event, Incoming,
    Name, Operation, Part, Principal, Reply, Response, Target, Unit, Unsupported,
};
use maof_providers::client::Events;
use maof_providers::{ANTHROPIC, COMPATIBLE, GEMINI, OPENAI, RESPONSES};
use maof_testkit::wire::{Exchange, exchanges};
use serde_json::{Value, json};

mod anthropic;
mod gemini;
mod local;
mod openai;
mod responses;
mod second_opinion;

/// Fails where the recordings are there but what is looked for is not.
fn enough<T>(seen: usize, least: usize, all: &[T]) {
    assert!(all.is_empty() || seen >= least, "only {seen} were seen");
}

fn call(body: Body) -> Call {
    let id = CallId::from_uuid(uuid());
    let mut call = Call::new(id, Target::Name(Name::new("a").unwrap()), Principal::local(), body);
    call.stream = matches!(&call.body, Body::Wire(wire) if wire.stream);
    call
}

fn ask(model: &str) -> Ask<'_> {
    Ask { model, unsupported: Unsupported::Refuse, max_output: 4096 }
}

fn uuid() -> uuid::Uuid {
    maof_core::Ids::next(&maof_testkit::CountingIds::default())
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The frames of a recorded stream, cut into pieces of 7 bytes on the way.
fn frames(exchange: &Exchange) -> Vec<maof_providers::client::Frame> {
    let mut events = Events::new(1 << 20);
    let mut frames = Vec::new();
    for piece in exchange.response.chunks(7) {
        events.push(piece);
        while let Some(frame) = events.next().unwrap() {
            frames.push(frame);
        }
    }
    frames.extend(events.rest());
    frames
}

fn events(dialect: &dyn Dialect, call: &Call, exchange: &Exchange) -> Result<Vec<Event>, Error> {
    let mut decoder = dialect.decoder(call);
    let mut events = Vec::new();
    for frame in frames(exchange) {
        events.extend(decoder.frame(frame.name.as_deref(), &frame.data, frame.raw)?);
    }
    events.extend(decoder.close()?);
    Ok(events)
}

/// Null says the same as nothing.
fn strip(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// What a stream's deltas say, all in all.
fn folded(events: &[Event]) -> Response {
    let mut fold = Fold::default();
    events.iter().flat_map(|event| &event.deltas).for_each(|delta| fold.push(delta.clone()).unwrap());
    fold.finish()
}

/// The events without the frames that they came in, so that they must be written anew.
fn unframed(events: &[Event]) -> Vec<Event> {
    events.iter().map(|event| Event { frame: None, deltas: event.deltas.clone() }).collect()
}

/// The events as a caller of `dialect` receives them.
fn encoded(dialect: &dyn Dialect, call: &Call, events: &[Event]) -> Vec<u8> {
    let mut encoder = dialect.encoder(call, Envelope { include_usage: true, ..Envelope::default() });
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(&mut out);
    out
}

/// What an answer says in words that every dialect has: text, and tools with their arguments.
fn gist(answer: &Answer) -> (String, Vec<(String, String, Value)>) {
    let Answer::Chat(chat) = answer else { panic!("a chat") };
    let message = &chat.choices[0].message;
    let call = |call: &maof_core::ToolCall| {
        (call.id.clone(), call.name.clone(), serde_json::from_str(&call.arguments).unwrap_or(Value::Null))
    };
    let said = message.parts.iter().filter_map(|part| match part {
        Part::Text { text } | Part::Refusal { text } => Some(text.as_str()),
        _ => None,
    });
    (said.collect(), message.tool_calls().map(call).collect())
}
