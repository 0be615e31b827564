//! What upstreams are asked: a caller's own bytes, with an agent's instructions, or a request written anew.

use bytes::Bytes;
use maof_core::{
    Ask, Body, Call, ChatRequest, EmbedRequest, Message, Operation, Outgoing, OutputFormat, Result, Speaker,
    ToolChoice, Wire,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::part;
use super::wire::{NAME, get};
use crate::dialect::field::object;
use crate::dialect::gate::{Gate, is_foreign};
use crate::dialect::{sealed, thinking};

pub(super) fn encode(call: &Call, ask: Ask<'_>) -> Result<Outgoing> {
    let verb = match call.operation() {
        Operation::CountTokens => "countTokens",
        Operation::Embed => "batchEmbedContents",
        _ if call.stream => "streamGenerateContent?alt=sse",
        _ => "generateContent",
    };
    let path = format!("/models/{}:{verb}", ask.model);
    match (&call.body, call.operation()) {
        (Body::Wire(wire), operation) if passes(wire) && operation != Operation::Embed => {
            Ok(Outgoing::json(path, patched(wire, call)?))
        }
        (body, Operation::Embed) => Ok(Outgoing::json(path, embed(&*body.embed()?, ask.model))),
        (body, operation) => {
            let mut gate = Gate::new(NAME, ask.unsupported);
            let mut written = written(&*body.chat()?, call, &mut gate)?;
            if operation == Operation::CountTokens {
                written["model"] = format!("models/{}", ask.model).into();
                written = json!({"generateContentRequest": written});
            }
            Ok(Outgoing { dropped: gate.dropped(), ..Outgoing::json(path, written.to_string()) })
        }
    }
}

/// Whether a caller's own bytes can go to an upstream.
fn passes(wire: &Wire) -> bool {
    wire.dialect.name() == NAME && !sealed::carries_anothers(NAME, &wire.bytes)
}

/// The caller's bytes, but for the agent's instructions.
fn patched(wire: &Wire, call: &Call) -> Result<Bytes> {
    let Some(text) = instructions(call) else { return Ok(wire.bytes.clone()) };
    let object = object(&wire.bytes)?;
    let name =
        if object.raw("system_instruction").is_some() { "system_instruction" } else { "systemInstruction" };
    let mut parts = vec![json!({"text": text})];
    match object.read::<Value>(name) {
        Some(Value::String(own)) => parts.push(json!({"text": own})),
        Some(own) => parts.extend(get(&own, "parts").as_array().cloned().unwrap_or_default()),
        None => {}
    }
    let mut patch = object.patch();
    patch.set(name, json!({"parts": parts}).to_string());
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

fn written(chat: &ChatRequest, call: &Call, gate: &mut Gate) -> Result<Value> {
    let foreign = is_foreign(chat.spoken, NAME);
    // What only the dialect knows goes first, so that it can override nothing.
    let mut body = match foreign {
        true => Map::new(),
        false => chat.rest.clone(),
    };
    if foreign {
        gate.conversation(chat)?;
    }
    let (system, contents) = conversation(chat, instructions(call), foreign, gate)?;
    put(&mut body, "systemInstruction", (!system.is_empty()).then(|| json!({"parts": system})));
    put(&mut body, "contents", Some(contents));
    if !chat.tools.is_empty() {
        put(&mut body, "tools", Some(json!([{"functionDeclarations": functions(chat)}])));
    }
    put(&mut body, "toolConfig", chat.tool_choice.as_ref().map(choice));
    if chat.parallel_tool_calls == Some(false) {
        // Of one tool hardly ever two calls are wanted; of several the field would change the answer.
        match chat.tools.len() < 2 || matches!(chat.tool_choice, Some(ToolChoice::Tool(_))) {
            true => gate.without("parallel_tool_calls"),
            false => gate.cannot("parallel_tool_calls")?,
        }
    }
    if chat.user.is_some() {
        gate.without("user");
    }
    let mut config = match body.remove("generationConfig") {
        Some(Value::Object(config)) => config,
        _ => Map::new(),
    };
    generation(chat, &mut config);
    put(&mut body, "generationConfig", (!config.is_empty()).then_some(config));
    Ok(Value::Object(body))
}

/// The standing instructions, and the contents. Turns of one speaker that follow one another are one.
fn conversation(
    chat: &ChatRequest,
    instructions: Option<&str>,
    foreign: bool,
    gate: &mut Gate,
) -> Result<(Vec<Value>, Vec<Value>)> {
    let mut system: Vec<Value> = instructions.map(|text| json!({"text": text})).into_iter().collect();
    let mut turns: Vec<(&'static str, Vec<Value>)> = Vec::new();
    for (at, message) in chat.messages.iter().enumerate() {
        let place = format!("messages[{at}]");
        if message.name.is_some() && message.speaker != Speaker::Tool {
            gate.without(format!("{place}.name"));
        }
        let mut parts = part::encode(&message.parts, foreign, false, &place, gate)?;
        let role = match message.speaker {
            Speaker::System | Speaker::Developer => {
                system.append(&mut parts);
                continue;
            }
            Speaker::Assistant => "model",
            Speaker::User => "user",
            Speaker::Tool => {
                let name = tool_name(message, chat.messages.get(..at).unwrap_or_default());
                parts = vec![part::function_response(message, name, parts)];
                "user"
            }
        };
        match turns.last_mut() {
            Some((last, said)) if *last == role => said.append(&mut parts),
            _ => turns.push((role, parts)),
        }
    }
    let turn = |(role, parts): (&str, Vec<Value>)| json!({"role": role, "parts": parts});
    Ok((system, turns.into_iter().map(turn).collect()))
}

/// The tool whose result a message is: by its own word, or by the call that it answers.
fn tool_name<'a>(message: &'a Message, before: &'a [Message]) -> &'a str {
    let id = message.tool_call_id.as_deref();
    let call = || before.iter().rev().flat_map(Message::tool_calls).find(|call| Some(call.id.as_str()) == id);
    message.name.as_deref().or_else(|| call().map(|call| call.name.as_str())).unwrap_or("unknown")
}

fn functions(chat: &ChatRequest) -> Vec<Value> {
    let function = |tool: &maof_core::ToolSpec| {
        let mut body = Map::new();
        put(&mut body, "name", Some(&tool.name));
        put(&mut body, "description", tool.description.as_ref());
        put(&mut body, "parametersJsonSchema", (!tool.parameters.is_null()).then_some(&tool.parameters));
        Value::Object(body)
    };
    chat.tools.iter().map(function).collect()
}

fn choice(choice: &ToolChoice) -> Value {
    let calling = match choice {
        ToolChoice::None => json!({"mode": "NONE"}),
        ToolChoice::Auto => json!({"mode": "AUTO"}),
        ToolChoice::Required => json!({"mode": "ANY"}),
        ToolChoice::Tool(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    };
    json!({"functionCallingConfig": calling})
}

fn generation(chat: &ChatRequest, config: &mut Map<String, Value>) {
    put(config, "temperature", chat.temperature);
    put(config, "topP", chat.top_p);
    put(config, "topK", chat.top_k);
    put(config, "maxOutputTokens", chat.max_tokens);
    put(config, "stopSequences", (!chat.stop.is_empty()).then_some(&chat.stop));
    put(config, "candidateCount", chat.choices);
    put(config, "seed", chat.seed);
    put(config, "presencePenalty", chat.presence_penalty);
    put(config, "frequencyPenalty", chat.frequency_penalty);
    match &chat.output {
        None => {}
        Some(OutputFormat::Text) => put(config, "responseMimeType", Some("text/plain")),
        Some(OutputFormat::Json) => put(config, "responseMimeType", Some("application/json")),
        Some(OutputFormat::JsonSchema { schema, .. }) => {
            put(config, "responseMimeType", Some("application/json"));
            put(config, "responseJsonSchema", Some(schema));
        }
    }
    let Some(asked) = &chat.thinking else { return };
    let mut how = Map::new();
    put(&mut how, "includeThoughts", asked.told);
    // Levels and amounts exclude one another. The levels are four; other words are said in tokens.
    let level = asked.effort.as_deref().filter(|word| ["minimal", "low", "medium", "high"].contains(word));
    match (chat.spoken == Some(NAME), level) {
        (true, Some(level)) => put(&mut how, "thinkingLevel", Some(level)),
        _ => put(&mut how, "thinkingBudget", thinking::budget(asked)),
    }
    if !how.is_empty() {
        put(config, "thinkingConfig", Some(how));
    }
}

fn embed(embed: &EmbedRequest, model: &str) -> Bytes {
    let request = |text: &String| {
        let mut body = json!({"model": format!("models/{model}"), "content": {"parts": [{"text": text}]}});
        if let Some(dimensions) = embed.dimensions {
            body["outputDimensionality"] = dimensions.into();
        }
        body
    };
    json!({"requests": embed.input.iter().map(request).collect::<Vec<_>>()}).to_string().into()
}
