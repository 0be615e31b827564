//! What upstreams are asked: a caller's own bytes, patched in two places, or a request written anew.

use bytes::Bytes;
use maof_core::{
    Ask, Body, Call, ChatRequest, Message, Operation, Outgoing, OutputFormat, Result, Speaker, Thinking,
    ToolChoice, Wire,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::block::{self, Manner};
use super::schema::fitted;
use super::wire::NAME;
use crate::dialect::field::object;
use crate::dialect::gate::{Gate, is_foreign};
use crate::dialect::object::quoted;
use crate::dialect::{sealed, thinking};

/// The least that may be thought with.
const LEAST_THINKING: u64 = 1024;

pub(super) fn encode(call: &Call, ask: Ask<'_>) -> Result<Outgoing> {
    let path = match call.operation() {
        Operation::CountTokens => "/messages/count_tokens",
        _ => "/messages",
    };
    match &call.body {
        Body::Wire(wire) if passes(wire) => {
            let mut outgoing = Outgoing::json(path, patched(wire, call, ask.model)?);
            outgoing.headers.clone_from(&wire.headers);
            Ok(outgoing)
        }
        body => {
            let chat = body.chat()?;
            let mut gate = Gate::new(NAME, ask.unsupported);
            let body = written(&chat, call, ask, &mut gate)?;
            Ok(Outgoing { dropped: gate.dropped(), ..Outgoing::json(path, body.to_string()) })
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
    if wire.operation == Operation::Chat && call.stream != wire.stream {
        patch.set("stream", call.stream.to_string());
    }
    if let Some(text) = instructions(call) {
        let first = json!({"type": "text", "text": text});
        match object.get("system") {
            None => patch.set("system", quoted(text)),
            Some(own) if own.starts_with('"') => {
                patch.set("system", format!("[{first},{{\"type\":\"text\",\"text\":{own}}}]"));
            }
            Some(own) => {
                let empty = own.trim_start_matches('[').trim_start().starts_with(']');
                patch.insert_first("system", format!("{first}{}", if empty { "" } else { "," }));
            }
        }
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

fn written(chat: &ChatRequest, call: &Call, ask: Ask<'_>, gate: &mut Gate) -> Result<Value> {
    let foreign = is_foreign(chat.spoken, NAME);
    // What only the dialect knows goes first, so that it can override nothing.
    let mut body = match foreign {
        true => Map::new(),
        false => chat.rest.clone(),
    };
    if foreign {
        gate.conversation(chat)?;
    }
    put(&mut body, "model", Some(ask.model));
    let (system, messages) = conversation(chat, instructions(call), foreign, gate)?;
    put(&mut body, "system", (!system.is_empty()).then_some(system));
    put(&mut body, "messages", Some(messages));
    if !chat.tools.is_empty() {
        put(&mut body, "tools", Some(tools(chat)));
    }
    put(&mut body, "tool_choice", tool_choice(chat));
    shape(chat, &mut body, gate)?;
    if call.operation() == Operation::CountTokens {
        think(chat, ask.model, u64::MAX, &mut body, gate)?;
        return Ok(Value::Object(body));
    }
    let most = chat.max_tokens.unwrap_or(ask.max_output).max(1);
    put(&mut body, "max_tokens", Some(most));
    think(chat, ask.model, most, &mut body, gate)?;
    match chat.temperature {
        Some(temperature) if temperature > 1.0 => gate.cannot("temperature")?,
        temperature => put(&mut body, "temperature", temperature),
    }
    put(&mut body, "top_p", chat.top_p);
    put(&mut body, "top_k", chat.top_k);
    put(&mut body, "stop_sequences", (!chat.stop.is_empty()).then_some(&chat.stop));
    put(&mut body, "metadata", chat.user.as_ref().map(|user| json!({"user_id": user})));
    put(&mut body, "stream", call.stream.then_some(true));
    unsayable(chat, gate)?;
    Ok(Value::Object(body))
}

/// What the dialect has no words for.
fn unsayable(chat: &ChatRequest, gate: &mut Gate) -> Result<()> {
    if chat.choices.is_some_and(|n| n > 1) {
        gate.cannot("n")?;
    }
    if chat.seed.is_some() {
        // Sampling is best effort even where it can be seeded.
        gate.without("seed");
    }
    if chat.presence_penalty.is_some_and(|penalty| penalty != 0.0) {
        gate.cannot("presence_penalty")?;
    }
    if chat.frequency_penalty.is_some_and(|penalty| penalty != 0.0) {
        gate.cannot("frequency_penalty")?;
    }
    Ok(())
}

/// The standing instructions, and the turns. Turns of one speaker that follow one another are one.
fn conversation(
    chat: &ChatRequest,
    instructions: Option<&str>,
    foreign: bool,
    gate: &mut Gate,
) -> Result<(Vec<Value>, Vec<Value>)> {
    let mut system: Vec<Value> =
        instructions.map(|text| json!({"type": "text", "text": text})).into_iter().collect();
    let mut turns: Vec<(&'static str, Vec<Value>)> = Vec::new();
    for (at, message) in chat.messages.iter().enumerate() {
        let at = format!("messages[{at}]");
        if message.name.is_some() && message.speaker != Speaker::Tool {
            gate.without(format!("{at}.name"));
        }
        let mut blocks = block::encode(&message.parts, Manner { foreign, told: false }, &at, gate)?;
        let role = match message.speaker {
            // The dialect's own callers may instruct in the middle; for others all of it stands at the beginning.
            Speaker::System if !foreign && !turns.is_empty() => "system",
            Speaker::System | Speaker::Developer => {
                system.append(&mut blocks);
                continue;
            }
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
            Speaker::Tool => {
                blocks = vec![result(message, blocks)];
                "user"
            }
        };
        match turns.last_mut() {
            Some((last, said)) if *last == role => said.append(&mut blocks),
            _ => turns.push((role, blocks)),
        }
    }
    let turn = |(role, blocks): (&str, Vec<Value>)| json!({"role": role, "content": blocks});
    Ok((system, turns.into_iter().map(turn).collect()))
}

fn result(message: &Message, blocks: Vec<Value>) -> Value {
    let mut result = json!({"type": "tool_result", "tool_use_id": message.tool_call_id});
    if !blocks.is_empty() {
        result["content"] = blocks.into();
    }
    if message.is_error {
        result["is_error"] = true.into();
    }
    result
}

fn tools(chat: &ChatRequest) -> Vec<Value> {
    let tool = |tool: &maof_core::ToolSpec| {
        let schema = match &tool.parameters {
            Value::Null => json!({"type": "object", "properties": {}}),
            schema => schema.clone(),
        };
        let mut body = Map::new();
        put(&mut body, "name", Some(&tool.name));
        put(&mut body, "description", tool.description.as_ref());
        put(&mut body, "input_schema", Some(schema));
        put(&mut body, "strict", tool.strict);
        Value::Object(body)
    };
    chat.tools.iter().map(tool).collect()
}

fn tool_choice(chat: &ChatRequest) -> Option<Value> {
    let mut choice = match (&chat.tool_choice, chat.parallel_tool_calls) {
        (None, Some(_)) if !chat.tools.is_empty() => json!({"type": "auto"}),
        (None, _) => return None,
        (Some(ToolChoice::None), _) => return Some(json!({"type": "none"})),
        (Some(ToolChoice::Auto), _) => json!({"type": "auto"}),
        (Some(ToolChoice::Required), _) => json!({"type": "any"}),
        (Some(ToolChoice::Tool(name)), _) => json!({"type": "tool", "name": name}),
    };
    if let Some(parallel) = chat.parallel_tool_calls {
        choice["disable_parallel_tool_use"] = (!parallel).into();
    }
    Some(choice)
}

/// The shape of the answer.
fn shape(chat: &ChatRequest, body: &mut Map<String, Value>, gate: &mut Gate) -> Result<()> {
    match &chat.output {
        None | Some(OutputFormat::Text) => {}
        Some(OutputFormat::Json) => gate.cannot("response_format (any JSON object; give a schema)")?,
        Some(OutputFormat::JsonSchema { schema, .. }) => {
            // The dialect's own callers know what it takes.
            let schema = if chat.spoken == Some(NAME) { schema.clone() } else { fitted(schema) };
            set_config(body, "format", json!({"type": "json_schema", "schema": schema}));
        }
    }
    Ok(())
}

fn set_config(body: &mut Map<String, Value>, name: &str, value: Value) {
    let config = body.entry("output_config").or_insert_with(|| json!({}));
    config[name] = value;
}

/// How much to think: by tokens up to the models of version 4.5, by a word from 4.6 on (Anthropic's guide to
/// adaptive thinking, read November 2026).
fn think(
    chat: &ChatRequest,
    model: &str,
    most: u64,
    body: &mut Map<String, Value>,
    gate: &mut Gate,
) -> Result<()> {
    let Some(asked) = &chat.thinking else { return Ok(()) };
    let Thinking { effort, budget_tokens, told } = asked;
    let display = told.map(|told| if told { "summarized" } else { "omitted" });
    // With an amount, being told is what goes without saying.
    let display = display.filter(|display| budget_tokens.is_none() || *display != "summarized");
    let set = |body: &mut Map<String, Value>, mut thinking: Value| {
        if let Some(display) = display {
            thinking["display"] = display.into();
        }
        body.insert("thinking".to_owned(), thinking);
    };
    if thinking::budget(asked) == Some(0) {
        set(body, json!({"type": "disabled"}));
        return Ok(());
    }
    if let (Some(effort), true) = (effort, !is_before_words(model) || budget_tokens.is_some()) {
        set_config(body, "effort", effort.as_str().into());
    }
    let by_tokens = budget_tokens.is_some() || is_before_words(model);
    match thinking::budget(asked).filter(|_| by_tokens) {
        Some(budget) => {
            let budget = budget.min(most.saturating_sub(1));
            if budget < LEAST_THINKING {
                return gate.cannot("reasoning_effort (max_tokens leaves less than 1024 tokens to think)");
            }
            set(body, json!({"type": "enabled", "budget_tokens": budget}));
        }
        // The dialect's own callers say by themselves whether there shall be thoughts at all.
        None if chat.spoken == Some(NAME) => {}
        None => set(body, json!({"type": "adaptive"})),
    }
    Ok(())
}

/// Models that are told how much to think in tokens.
fn is_before_words(model: &str) -> bool {
    ["claude-3", "-4-0", "-4-1", "-4-5", "opus-4-2025", "sonnet-4-2025"]
        .iter()
        .any(|part| model.contains(part))
}
