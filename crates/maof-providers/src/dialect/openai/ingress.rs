//! What callers ask: read far enough to be routed, and in full where somebody needs the conversation.

use std::sync::Arc;

use maof_core::{
    Body, ChatRequest, Dialect, EmbedRequest, Error, Incoming, Operation, OutputFormat, Result, Thinking,
    ToolChoice, ToolSpec, Wire,
};
use serde_json::value::RawValue;

use super::wire::{self, NAME, OneOrMany};
use super::{check, media, message};
use crate::dialect::field::{self, field, keep, object, rest, unambiguous, wrong};
use crate::dialect::object::Object;

/// The fields that are about the exchange, or have a noun of their own. The others go into `rest`.
const CHAT: [&str; 20] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "n",
    "seed",
    "tools",
    "tool_choice",
    "response_format",
    "presence_penalty",
    "frequency_penalty",
    "parallel_tool_calls",
    "reasoning_effort",
    "user",
];

pub(super) fn read(dialect: &'static dyn Dialect, incoming: Incoming) -> Result<Body> {
    let Incoming { operation, ref content_type, ref body, .. } = incoming;
    let mut wire = match operation {
        Operation::Transcribe => media::read_form(dialect, content_type.clone(), body.clone())?,
        Operation::Image | Operation::Speech => media::read(dialect, operation, body.clone())?,
        Operation::Chat | Operation::Embed => {
            let object = object(body)?;
            if let Some(body) = unambiguous(&object, body)? {
                return read(dialect, Incoming { body, ..incoming });
            }
            let mut wire = Wire::new(dialect, operation, body.clone(), field::model(&object)?);
            let place = object.place("model");
            if operation == Operation::Embed {
                check::embed(&object)?;
                wire.max_output = Some(0);
                wire.model_at = place;
            } else {
                let chat = check::chat(&object)?;
                wire.stream = chat.stream;
                wire.include_usage = chat.include_usage;
                wire.max_output = chat.max_output;
                wire.choices = chat.choices;
                wire.output = shape(&object);
                // An upstream is asked for the usage of a stream, and only of a stream.
                let as_it_is = if chat.stream { chat.include_usage } else { !object.has("stream_options") };
                wire.model_at = place.filter(|_| as_it_is);
            }
            wire
        }
        Operation::CountTokens => {
            return Err(Error::invalid_request("this dialect has no request that counts tokens"));
        }
    };
    wire.headers = incoming.headers;
    Ok(Body::Wire(Arc::new(wire)))
}

/// A request in MAOF's words.
pub(super) fn body(wire: &Wire) -> Result<Body> {
    match wire.operation {
        Operation::Chat => chat(&wire.bytes).map(Body::from),
        Operation::Embed => embed(&wire.bytes).map(Body::from),
        _ => media::decode_body(wire),
    }
}

/// The conversation in full.
fn chat(body: &[u8]) -> Result<ChatRequest> {
    let object = object(body)?;
    check::chat(&object)?;
    let messages: Vec<&RawValue> = field(&object, "messages", "an array")?.unwrap_or_default();
    let messages = messages.iter().enumerate().map(|(at, raw)| {
        let at = format!("messages[{at}]");
        let message: wire::Message = serde_json::from_str(raw.get())
            .map_err(|e| wrong(at.clone(), format!("`{at}` is malformed: {e}")))?;
        message::decode(message, |why| wrong(at.clone(), why))
    });
    let mut chat = ChatRequest {
        messages: messages.collect::<Result<_>>()?,
        spoken: Some(NAME),
        ..ChatRequest::default()
    };
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
    chat.presence_penalty = field(&object, "presence_penalty", "a number")?;
    chat.frequency_penalty = field(&object, "frequency_penalty", "a number")?;
    chat.parallel_tool_calls = field(&object, "parallel_tool_calls", "true or false")?;
    chat.user = field(&object, "user", "a string")?;
    chat.rest = rest(&object, &CHAT)?;
    // Servers that know it take a whole number, some of them less than 0 for none.
    match object.read("top_k") {
        Some(top_k) => chat.top_k = Some(top_k),
        None => keep(&object, "top_k", &mut chat.rest)?,
    }
    if let Some(effort) = field(&object, "reasoning_effort", "a string")? {
        chat.thinking = Some(Thinking { effort: Some(effort), ..Thinking::default() });
    }
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
    chat.output = shape(object);
    if chat.output.is_none() && object.get("response_format").is_some() {
        keep(object, "response_format", &mut chat.rest)?;
    }
    Ok(())
}

/// The shape of the answer, if it is of a common kind.
fn shape(object: &Object<'_>) -> Option<OutputFormat> {
    serde_json::from_str(object.get("response_format")?).ok().map(output)
}

fn tool(tool: wire::Tool) -> ToolSpec {
    let wire::ToolFunction { name, description, parameters, strict } = tool.function;
    ToolSpec { name, description, parameters, strict }
}

fn output(format: wire::Format) -> OutputFormat {
    match format {
        wire::Format::Text => OutputFormat::Text,
        wire::Format::JsonObject => OutputFormat::Json,
        wire::Format::JsonSchema { json_schema: wire::Schema { name, mut schema, description, strict } } => {
            // What the schema is for, other dialects say within it.
            if let (Some(description), Some(object)) = (description, schema.as_object_mut()) {
                object.entry("description").or_insert_with(|| description.into());
            }
            OutputFormat::JsonSchema { name, schema, strict }
        }
    }
}

/// The texts to embed.
fn embed(body: &[u8]) -> Result<EmbedRequest> {
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
