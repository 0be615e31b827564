//! What upstreams are asked: a caller's own bytes, patched in a few places, or a request written anew.

use bytes::Bytes;
use maof_core::{
    Ask, Body, Call, ChatRequest, EmbedRequest, Error, Message, Operation, Outgoing, OutputFormat, Result,
    Speaker, ToolChoice, ToolSpec, Wire,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::message::{self, Manner};
use super::wire::NAME;
use super::{OpenAi, media, wire};
use crate::dialect::gate::{Gate, is_foreign};
use crate::dialect::object::{Object, quoted};
use crate::dialect::{sealed, strict, thinking};

pub(super) fn encode(call: &Call, ask: Ask<'_>, dialect: &OpenAi) -> Result<Outgoing> {
    let gate = Gate::new(NAME, ask.unsupported);
    match (&call.body, call.operation()) {
        (_, Operation::Image | Operation::Transcribe | Operation::Speech) => {
            media::encode(call, ask.model, gate)
        }
        (_, Operation::CountTokens) => {
            Err(Error::invalid_request("the upstream that was chosen has no request that counts tokens"))
        }
        (Body::Wire(wire), operation) if passes(wire) => {
            let mut outgoing = Outgoing::json(path(operation), patched(wire, call, ask.model)?);
            outgoing.headers.clone_from(&wire.headers);
            Ok(outgoing)
        }
        (body, Operation::Chat) => chat(&*body.chat()?, call, ask.model, dialect, gate),
        (body, Operation::Embed) => {
            Ok(Outgoing::json(path(Operation::Embed), embed(&*body.embed()?, ask.model)))
        }
    }
}

const fn path(operation: Operation) -> &'static str {
    match operation {
        Operation::Embed => "/embeddings",
        _ => "/chat/completions",
    }
}

/// Whether a caller's own bytes can go to an upstream.
fn passes(wire: &Wire) -> bool {
    wire.dialect.name() == NAME && !sealed::carries_anothers(NAME, &wire.bytes)
}

/// The caller's bytes, but for the model's name, usage in streams, and the agent's instructions.
fn patched(wire: &Wire, call: &Call, model: &str) -> Result<Bytes> {
    if let Some(place) = wire.model_at.clone()
        && call.stream == wire.stream
        && instructions(call).is_none()
        && let (Some(before), Some(after)) = (wire.bytes.get(..place.start), wire.bytes.get(place.end..))
    {
        return Ok([before, quoted(model).as_bytes(), after].concat().into());
    }
    let object = Object::parse(&wire.bytes)
        .map_err(|e| Error::invalid_request(format!("the body must be a well-formed JSON object: {e}")))?;
    let mut patch = object.patch();
    patch.set("model", quoted(model));
    if wire.operation == Operation::Chat {
        if call.stream != wire.stream {
            patch.set("stream", call.stream.to_string());
        }
        if call.stream {
            let mut options: Map<String, Value> = object.read("stream_options").unwrap_or_default();
            // Usage is always asked for; the encoder takes it out again for callers who did not ask.
            if options.insert("include_usage".to_owned(), true.into()) != Some(Value::Bool(true)) {
                patch.set("stream_options", Value::Object(options).to_string());
            }
        } else if object.get("stream_options").is_some() {
            patch.set("stream_options", "null".to_owned());
        }
        if let Some(text) = instructions(call) {
            let message = json!({"role": "system", "content": text});
            patch.insert_first("messages", format!("{message},"));
        }
    }
    Ok(patch.finish())
}

fn instructions(call: &Call) -> Option<&str> {
    call.chosen.as_ref().and_then(|chosen| chosen.instructions.as_deref())
}

fn chat(chat: &ChatRequest, call: &Call, model: &str, dialect: &OpenAi, mut gate: Gate) -> Result<Outgoing> {
    let foreign = is_foreign(chat.spoken, NAME);
    // What only the dialect knows goes first, so that it can override nothing.
    let mut body = match foreign {
        true => Map::new(),
        false => chat.rest.clone(),
    };
    if foreign {
        gate.conversation(chat)?;
    }
    put(&mut body, "model", Some(model));
    let manner = Manner { foreign, told: false };
    let mut messages = Vec::with_capacity(chat.messages.len() + 1);
    if let Some(text) = instructions(call) {
        let standing = Message::text(Speaker::System, text);
        messages.push(message::encode(&standing, manner, "", &mut gate)?);
    }
    for (at, one) in chat.messages.iter().enumerate() {
        messages.push(message::encode(one, manner, &format!("messages[{at}]"), &mut gate)?);
    }
    put(&mut body, "messages", Some(messages));
    if !chat.tools.is_empty() {
        put(&mut body, "tools", Some(chat.tools.iter().map(tool).collect::<Vec<_>>()));
    }
    put(&mut body, "tool_choice", chat.tool_choice.as_ref().map(tool_choice));
    put(&mut body, "parallel_tool_calls", chat.parallel_tool_calls);
    put(&mut body, "response_format", chat.output.as_ref().map(|output| format(output, foreign)));
    put(&mut body, dialect.limit, chat.max_tokens);
    put(&mut body, "temperature", chat.temperature);
    put(&mut body, "top_p", chat.top_p);
    match dialect.strict && foreign && chat.top_k.is_some() {
        true => gate.cannot("top_k")?,
        false => put(&mut body, "top_k", chat.top_k),
    }
    put(&mut body, "stop", (!chat.stop.is_empty()).then_some(&chat.stop));
    put(&mut body, "n", chat.choices);
    put(&mut body, "seed", chat.seed);
    put(&mut body, "presence_penalty", chat.presence_penalty);
    put(&mut body, "frequency_penalty", chat.frequency_penalty);
    put(&mut body, "reasoning_effort", chat.thinking.as_ref().and_then(thinking::effort));
    put(&mut body, "user", chat.user.as_ref());
    if call.stream {
        put(&mut body, "stream", Some(true));
        put(&mut body, "stream_options", Some(json!({"include_usage": true})));
    }
    let body = Value::Object(body).to_string();
    Ok(Outgoing { dropped: gate.dropped(), ..Outgoing::json(path(Operation::Chat), body) })
}

/// Sets a field, unless there is nothing to set.
fn put<T: Serialize>(body: &mut Map<String, Value>, name: &str, value: Option<T>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), json!(value));
    }
}

fn tool(tool: &ToolSpec) -> Value {
    let function = wire::ToolFunction {
        name: tool.name.clone(),
        description: tool.description.clone(),
        parameters: tool.parameters.clone(),
        strict: tool.strict,
    };
    json!({"type": "function", "function": function})
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::None => "none".into(),
        ToolChoice::Auto => "auto".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Tool(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

fn format(output: &OutputFormat, foreign: bool) -> Value {
    match output {
        OutputFormat::Text => json!({"type": "text"}),
        OutputFormat::Json => json!({"type": "json_object"}),
        OutputFormat::JsonSchema { name, schema, strict } => {
            let schema = wire::Schema {
                name: name.clone(),
                schema: schema.clone(),
                description: None,
                strict: strict::fits(foreign, *strict, schema),
            };
            json!({"type": "json_schema", "json_schema": schema})
        }
    }
}

fn embed(embed: &EmbedRequest, model: &str) -> Bytes {
    let mut body = embed.rest.clone();
    body.insert("model".to_owned(), model.into());
    body.insert("input".to_owned(), json!(embed.input));
    if let Some(dimensions) = embed.dimensions {
        body.insert("dimensions".to_owned(), dimensions.into());
    }
    Value::Object(body).to_string().into()
}
