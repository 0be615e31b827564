//! What upstreams are asked: a caller's own bytes, patched in a few places, or a request written anew.

use bytes::Bytes;
use maof_core::{
    Body, Call, ChatRequest, EmbedRequest, Error, Message, Operation, Outgoing, OutputFormat, Result,
    Speaker, ToolChoice, ToolSpec, Wire,
};
use serde_json::{Map, Value, json};

use super::object::{Object, quoted};
use super::wire::NAME;
use super::{message, wire};

pub(super) fn encode(call: &Call, model: &str, limit: &str) -> Result<Outgoing> {
    let body = match (&call.body, call.operation()) {
        (Body::Wire(wire), _) if wire.dialect.name() == NAME => patched(wire, call, model)?,
        (body, Operation::Chat) => chat(&*body.chat()?, call, model, limit)?,
        (body, Operation::Embed) => embed(&*body.embed()?, model),
    };
    let path = match call.operation() {
        Operation::Chat => "/chat/completions",
        Operation::Embed => "/embeddings",
    };
    Ok(Outgoing { path: path.to_owned(), body })
}

/// The caller's bytes, but for the model's name, usage in streams, and the agent's instructions.
fn patched(wire: &Wire, call: &Call, model: &str) -> Result<Bytes> {
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

fn chat(chat: &ChatRequest, call: &Call, model: &str, limit: &str) -> Result<Bytes> {
    // What only the dialect knows goes first, so that it can override nothing.
    let mut body = chat.rest.clone();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    put("model", model.into());
    let standing = instructions(call).map(|text| Message::text(Speaker::System, text));
    let messages = standing.iter().chain(&chat.messages).map(message::encode).map(serde_json::to_value);
    let messages: Vec<Value> = messages
        .collect::<Result<_, _>>()
        .map_err(|e| Error::internal("a message cannot be written as JSON").because(e))?;
    put("messages", messages.into());
    if !chat.tools.is_empty() {
        put("tools", chat.tools.iter().map(tool).collect());
    }
    if let Some(choice) = &chat.tool_choice {
        put("tool_choice", tool_choice(choice));
    }
    if let Some(output) = &chat.output {
        put("response_format", format(output));
    }
    if let Some(most) = chat.max_tokens {
        put(limit, most.into());
    }
    if let Some(temperature) = chat.temperature {
        put("temperature", temperature.into());
    }
    if let Some(top_p) = chat.top_p {
        put("top_p", top_p.into());
    }
    if !chat.stop.is_empty() {
        put("stop", json!(chat.stop));
    }
    if let Some(choices) = chat.choices {
        put("n", choices.into());
    }
    if let Some(seed) = chat.seed {
        put("seed", seed.into());
    }
    if call.stream {
        put("stream", true.into());
        put("stream_options", json!({"include_usage": true}));
    }
    Ok(Value::Object(body).to_string().into())
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

fn format(output: &OutputFormat) -> Value {
    match output {
        OutputFormat::Text => json!({"type": "text"}),
        OutputFormat::Json => json!({"type": "json_object"}),
        OutputFormat::JsonSchema { name, schema, strict } => {
            let schema = wire::Schema { name: name.clone(), schema: schema.clone(), strict: *strict };
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
