//! What callers ask: read far enough to be routed, and in full where somebody needs the conversation.

use std::sync::Arc;

use bytes::Bytes;
use maof_core::{
    Body, ChatRequest, Dialect, EmbedRequest, Error, Operation, OutputFormat, Result, ToolChoice, ToolSpec,
    Wire,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::check::{self, field, wrong};
use super::message;
use super::object::Object;
use super::wire::{self, OneOrMany};

/// The fields that are about the exchange, or have a noun of their own. The others go into `rest`.
const CHAT: [&str; 14] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "n",
    "seed",
    "tools",
    "tool_choice",
    "response_format",
];

pub(super) fn read(dialect: &'static dyn Dialect, operation: Operation, body: Bytes) -> Result<Body> {
    let body = unambiguous(body)?;
    let object = object(&body)?;
    let model = check::model(&object)?;
    let chat = match operation {
        Operation::Chat => Some(check::chat(&object)?),
        Operation::Embed => {
            check::embed(&object)?;
            None
        }
    };
    let mut wire = Wire::new(dialect, operation, body.clone(), model);
    match chat {
        Some(chat) => {
            wire.stream = chat.stream;
            wire.include_usage = chat.include_usage;
            wire.max_output = chat.max_output;
            wire.choices = chat.choices;
        }
        None => wire.max_output = Some(0),
    }
    Ok(Body::Wire(Arc::new(wire)))
}

fn object(body: &[u8]) -> Result<Object<'_>> {
    Object::parse(body)
        .map_err(|e| Error::invalid_request(format!("the body must be a well-formed JSON object: {e}")))
}

/// The same body without any name twice: otherwise we might check one value and the upstream obey the other.
fn unambiguous(body: Bytes) -> Result<Bytes> {
    if !object(&body)?.is_ambiguous() {
        return Ok(body);
    }
    let value: Value = serde_json::from_slice(&body)
        .map_err(|e| Error::invalid_request(format!("the body must be a well-formed JSON object: {e}")))?;
    Ok(value.to_string().into())
}

/// The conversation in full.
pub(super) fn chat(body: &[u8]) -> Result<ChatRequest> {
    let object = object(body)?;
    check::chat(&object)?;
    let messages: Vec<&RawValue> = field(&object, "messages", "an array")?.unwrap_or_default();
    let messages = messages.iter().enumerate().map(|(at, raw)| {
        let at = format!("messages[{at}]");
        let message: wire::Message = serde_json::from_str(raw.get())
            .map_err(|e| wrong(at.clone(), format!("`{at}` is malformed: {e}")))?;
        message::decode(message, |why| wrong(at.clone(), why.to_owned()))
    });
    let mut chat = ChatRequest { messages: messages.collect::<Result<_>>()?, ..ChatRequest::default() };
    let limit = "a whole number of at least 1";
    chat.max_tokens = match field(&object, "max_completion_tokens", limit)? {
        Some(most) => Some(most),
        None => field(&object, "max_tokens", limit)?,
    };
    chat.temperature = field(&object, "temperature", "a number")?;
    chat.top_p = field(&object, "top_p", "a number")?;
    chat.choices = field(&object, "n", limit)?;
    chat.seed = field(&object, "seed", "a whole number")?;
    let stop: Option<OneOrMany> = field(&object, "stop", "a text or an array of texts")?;
    chat.stop = stop.map(OneOrMany::into_vec).unwrap_or_default();
    chat.rest = rest(&object, &CHAT)?;
    tools(&object, &mut chat)?;
    Ok(chat)
}

/// Tools, their choice and the output's shape; what is not of the common kind stays as it came.
fn tools(object: &Object<'_>, chat: &mut ChatRequest) -> Result<()> {
    if let Some(raw) = object.get("tools") {
        match serde_json::from_str::<Vec<wire::Tool>>(raw) {
            Ok(tools) if tools.iter().all(|tool| tool.kind == "function") => {
                chat.tools = tools.into_iter().map(tool).collect();
            }
            _ => keep(object, "tools", &mut chat.rest)?,
        }
    }
    if let Some(raw) = object.get("tool_choice") {
        chat.tool_choice = match raw {
            "\"none\"" => Some(ToolChoice::None),
            "\"auto\"" => Some(ToolChoice::Auto),
            "\"required\"" => Some(ToolChoice::Required),
            _ => match serde_json::from_str::<wire::NamedTool>(raw) {
                Ok(named) if named.kind == "function" => Some(ToolChoice::Tool(named.function.name)),
                _ => {
                    keep(object, "tool_choice", &mut chat.rest)?;
                    None
                }
            },
        };
    }
    if let Some(raw) = object.get("response_format") {
        match serde_json::from_str::<wire::Format>(raw) {
            Ok(format) => chat.output = Some(output(format)),
            Err(_) => keep(object, "response_format", &mut chat.rest)?,
        }
    }
    Ok(())
}

fn tool(tool: wire::Tool) -> ToolSpec {
    let wire::ToolFunction { name, description, parameters, strict } = tool.function;
    ToolSpec { name, description, parameters, strict }
}

fn output(format: wire::Format) -> OutputFormat {
    match format {
        wire::Format::Text => OutputFormat::Text,
        wire::Format::JsonObject => OutputFormat::Json,
        wire::Format::JsonSchema { json_schema: wire::Schema { name, schema, strict } } => {
            OutputFormat::JsonSchema { name, schema, strict }
        }
    }
}

/// The texts to embed.
pub(super) fn embed(body: &[u8]) -> Result<EmbedRequest> {
    let object = object(body)?;
    check::embed(&object)?;
    let input: Option<OneOrMany> =
        field(&object, "input", "a text or an array of texts; tokens can only be embedded by a provider")?;
    Ok(EmbedRequest {
        input: input.map(OneOrMany::into_vec).unwrap_or_default(),
        dimensions: field(&object, "dimensions", "a whole number of at least 1")?,
        rest: rest(&object, &["model", "input", "dimensions"])?,
    })
}

fn rest(object: &Object<'_>, known: &[&str]) -> Result<Map<String, Value>> {
    let mut rest = Map::new();
    for name in object.names().filter(|name| !known.contains(name)) {
        keep(object, name, &mut rest)?;
    }
    Ok(rest)
}

fn keep(object: &Object<'_>, name: &str, rest: &mut Map<String, Value>) -> Result<()> {
    if let Some(raw) = object.raw(name) {
        let value = serde_json::from_str(raw)
            .map_err(|e| wrong(name.to_owned(), format!("`{name}` cannot be read: {e}")))?;
        rest.insert(name.to_owned(), value);
    }
    Ok(())
}
