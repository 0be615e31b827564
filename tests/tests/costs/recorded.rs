//! The usage of recorded exchanges, as the dialects read it.

use maof_core::fold::Fold;
use maof_core::{Body, Call, CallId, Content, Dialect, Incoming, Name, Operation, Principal, Target, Usage};
use maof_providers::client::Events;
use maof_providers::{ANTHROPIC, COMPATIBLE, GEMINI, OPENAI, RESPONSES};
use maof_testkit::cassette::{Cassettes, Exchange};
use serde_json::Value;

/// The folders of recordings, each with its dialect.
pub(crate) const FOLDERS: [(&str, &dyn Dialect); 8] = [
    ("anthropic", &ANTHROPIC),
    ("deepseek", &COMPATIBLE),
    ("gemini", &GEMINI),
    ("groq", &COMPATIBLE),
    ("mistral", &COMPATIBLE),
    ("openai", &OPENAI),
    ("openai_responses", &RESPONSES),
    ("openrouter", &COMPATIBLE),
];

/// Where each answer of a folder comes from, the model that gave it, and what it used.
pub(crate) fn used(folder: &str, dialect: &'static dyn Dialect) -> Vec<(String, String, Usage)> {
    let answered = Cassettes::open().exchanges(folder).filter(|exchange| exchange.status == 200);
    let each = answered.filter_map(|exchange| {
        let (model, usage) = read(dialect, &exchange)?;
        Some((exchange.source(), model, usage))
    });
    each.collect()
}

fn operation(exchange: &Exchange) -> Option<(Operation, Option<&str>)> {
    let path = exchange.bare_path();
    let chat = ["/chat/completions", "/messages", "/responses"];
    if chat.iter().any(|end| path.ends_with(end)) {
        return Some((Operation::Chat, None));
    }
    let operation = match path.rsplit('/').next()? {
        "embeddings" => Operation::Embed,
        "generations" => Operation::Image,
        "speech" => Operation::Speech,
        last => {
            let (model, verb) = last.split_once(':')?;
            let chat = ["generateContent", "streamGenerateContent"].contains(&verb);
            return chat.then_some((Operation::Chat, Some(model)));
        }
    };
    Some((operation, None))
}

fn read(dialect: &'static dyn Dialect, exchange: &Exchange) -> Option<(String, Usage)> {
    let (operation, in_path) = operation(exchange)?;
    let asked = exchange.request_json()?;
    let model = in_path.or_else(|| asked["model"].as_str())?.to_owned();
    let incoming =
        Incoming { model: Some(model.clone()), ..Incoming::json(operation, exchange.request.clone()) };
    let body = dialect.read(incoming).ok()?;
    let id = CallId::from_uuid(Default::default());
    let mut call = Call::new(id, Target::Name(Name::new("a").unwrap()), Principal::local(), body);
    call.stream = exchange.is_stream();
    if let Body::Wire(wire) = &call.body {
        call.stream |= wire.stream;
    }
    let usage = if exchange.is_stream() {
        streamed(dialect, &call, exchange)
    } else {
        whole(dialect, &call, exchange)
    };
    // What answered, where that is said.
    let said = exchange.response_json().and_then(|answer| answer["model"].as_str().map(str::to_owned));
    Some((said.unwrap_or(model), usage?))
}

fn whole(dialect: &dyn Dialect, call: &Call, exchange: &Exchange) -> Option<Usage> {
    serde_json::from_slice::<Value>(&exchange.response).ok()?;
    dialect.decode(call, Content::json(exchange.response.clone())).ok()?.usage
}

fn streamed(dialect: &dyn Dialect, call: &Call, exchange: &Exchange) -> Option<Usage> {
    let (mut events, mut decoder, mut fold) = (Events::new(1 << 20), dialect.decoder(call), Fold::default());
    events.push(&exchange.response);
    let mut frames = Vec::new();
    while let Some(frame) = events.next().ok()? {
        frames.push(frame);
    }
    frames.extend(events.rest());
    let mut read = Vec::new();
    for frame in frames {
        read.extend(decoder.frame(frame.name.as_deref(), &frame.data, frame.raw).ok()?);
    }
    read.extend(decoder.close().ok()?);
    read.iter().flat_map(|event| &event.deltas).try_for_each(|delta| fold.push(delta.clone())).ok()?;
    fold.finish().usage
}
