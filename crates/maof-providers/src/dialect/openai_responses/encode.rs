//! What upstreams are asked: a caller's own bytes, patched in two places, or a request written anew.

use bytes::Bytes;
use maof_core::{
    Ask, Body, Call, ChatRequest, Error, Operation, Outgoing, OutputFormat, Part, Result, Speaker,
    ToolChoice, Wire,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::item::{self, Manner};
use super::wire::NAME;
use crate::dialect::field::object;
use crate::dialect::gate::{Gate, is_foreign};
use crate::dialect::object::quoted;
use crate::dialect::{sealed, strict, thinking};

pub(super) fn encode(call: &Call, ask: Ask<'_>) -> Result<Outgoing> {
    let operation = call.operation();
    if operation != Operation::Chat {
        let why = format!("the upstream that was chosen has no words for `{operation}`");
        return Err(Error::invalid_request(why));
    }
    match &call.body {
        Body::Wire(wire) if passes(wire) => {
            let mut outgoing = Outgoing::json("/responses", patched(wire, call, ask.model)?);
            outgoing.headers.clone_from(&wire.headers);
            Ok(outgoing)
        }
        body => {
            let mut gate = Gate::new(NAME, ask.unsupported);
            let body = written(&*body.chat()?, call, ask.model, &mut gate)?;
            Ok(Outgoing { dropped: gate.dropped(), ..Outgoing::json("/responses", body.to_string()) })
        }
    }
}

/// Whether a caller's own bytes can go to an upstream.
fn passes(wire: &Wire) -> bool {
    wire.dialect.name() == NAME && !sealed::carries_anothers(NAME, &wire.bytes)
}

/// The caller's bytes, but for the model's name and the agent's instructions.
fn patched(wire: &Wire, call: &Call, model: &str) -> Result<Bytes> {
    let object = object(&wire.bytes)?;
    let mut patch = object.patch();
    patch.set("model", quoted(model));
    if call.stream != wire.stream {
        patch.set("stream", call.stream.to_string());
    }
    if let Some(text) = instructions(call) {
        let all = match object.text("instructions") {
            Some(own) => format!("{text}\n\n{own}"),
            None => text.to_owned(),
        };
        patch.set("instructions", quoted(&all));
    }
    Ok(patch.finish())
}

fn instructions(call: &Call) -> Option<&str> {
    call.chosen.as_ref().and_then(|chosen| chosen.instructions.as_deref())
}

fn put<T: Serialize>(body: &mut Map<String, Value>, name: &str, value: Option<T>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), json!(value));
    }
}

fn written(chat: &ChatRequest, call: &Call, model: &str, gate: &mut Gate) -> Result<Value> {
    let foreign = is_foreign(chat.spoken, NAME);
    // What only the dialect knows goes first, so that it can override nothing.
    let mut body = match foreign {
        true => Map::new(),
        false => chat.rest.clone(),
    };
    if foreign {
        gate.conversation(chat)?;
        // Nothing is left with the provider that its caller did not ask to leave there.
        put(&mut body, "store", Some(false));
    }
    put(&mut body, "model", Some(model));
    let mut input = Vec::new();
    let mut standing: Vec<String> = instructions(call).map(str::to_owned).into_iter().collect();
    for (at, message) in chat.messages.iter().enumerate() {
        if at == 0 && message.speaker == Speaker::System && is_plain(&message.parts) {
            standing.push(message.plain_text());
            continue;
        }
        let manner = Manner { foreign, told: false };
        input.append(&mut item::encode(message, manner, &format!("messages[{at}]"), gate)?);
    }
    put(&mut body, "instructions", (!standing.is_empty()).then(|| standing.join("\n\n")));
    put(&mut body, "input", Some(input));
    if !chat.tools.is_empty() {
        put(&mut body, "tools", Some(chat.tools.iter().map(tool).collect::<Vec<_>>()));
    }
    put(&mut body, "tool_choice", chat.tool_choice.as_ref().map(tool_choice));
    put(&mut body, "parallel_tool_calls", chat.parallel_tool_calls);
    shape(chat, foreign, &mut body);
    put(&mut body, "max_output_tokens", chat.max_tokens);
    put(&mut body, "temperature", chat.temperature);
    put(&mut body, "top_p", chat.top_p);
    put(&mut body, "user", chat.user.as_ref());
    think(chat, foreign, &mut body);
    put(&mut body, "stream", call.stream.then_some(true));
    unsayable(chat, gate)?;
    Ok(Value::Object(body))
}

fn is_plain(parts: &[Part]) -> bool {
    parts.iter().all(|part| matches!(part, Part::Text { .. }))
}

/// What the dialect has no words for.
fn unsayable(chat: &ChatRequest, gate: &mut Gate) -> Result<()> {
    let said = [
        ("n", chat.choices.is_some_and(|n| n > 1)),
        ("stop", !chat.stop.is_empty()),
        ("top_k", chat.top_k.is_some()),
        ("presence_penalty", chat.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("frequency_penalty", chat.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
    ];
    for (field, _) in said.into_iter().filter(|(_, said)| *said) {
        gate.cannot(field)?;
    }
    if chat.seed.is_some() {
        gate.without("seed");
    }
    Ok(())
}

fn tool(tool: &maof_core::ToolSpec) -> Value {
    let mut body = Map::new();
    put(&mut body, "type", Some("function"));
    put(&mut body, "name", Some(&tool.name));
    put(&mut body, "description", tool.description.as_ref());
    put(&mut body, "parameters", (!tool.parameters.is_null()).then_some(&tool.parameters));
    // The dialect takes a function that says nothing of it for strict; every other takes it for lax.
    put(&mut body, "strict", Some(tool.strict.unwrap_or(false)));
    Value::Object(body)
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::None => "none".into(),
        ToolChoice::Auto => "auto".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Tool(name) => json!({"type": "function", "name": name}),
    }
}

fn shape(chat: &ChatRequest, foreign: bool, body: &mut Map<String, Value>) {
    let format = match &chat.output {
        None => return,
        Some(OutputFormat::Text) => json!({"type": "text"}),
        Some(OutputFormat::Json) => json!({"type": "json_object"}),
        Some(OutputFormat::JsonSchema { name, schema, strict }) => {
            let mut format = json!({"type": "json_schema", "name": name, "schema": schema});
            if let Some(strict) = strict::fits(foreign, *strict, schema) {
                format["strict"] = strict.into();
            }
            format
        }
    };
    let text = body.entry("text").or_insert_with(|| json!({}));
    text["format"] = format;
}

fn think(chat: &ChatRequest, foreign: bool, body: &mut Map<String, Value>) {
    let thinks = chat.messages.iter().flat_map(|m| &m.parts).any(|p| matches!(p, Part::Reasoning { .. }));
    if foreign && (thinks || chat.thinking.is_some()) {
        // Without the provider's memory, thoughts travel with the conversation.
        put(body, "include", Some(json!(["reasoning.encrypted_content"])));
    }
    let Some(asked) = chat.thinking.as_ref().filter(|_| foreign || !body.contains_key("reasoning")) else {
        return;
    };
    let mut reasoning = Map::new();
    put(&mut reasoning, "effort", thinking::effort(asked));
    put(&mut reasoning, "summary", asked.told.filter(|told| *told).map(|_| "auto"));
    put(body, "reasoning", (!reasoning.is_empty()).then_some(reasoning));
}
