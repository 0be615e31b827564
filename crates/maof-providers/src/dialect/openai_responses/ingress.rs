//! What callers ask: read far enough to be routed, and in full where somebody needs the conversation.

use std::sync::Arc;

use maof_core::{
    Body, ChatRequest, Dialect, Error, Incoming, Message, Operation, OutputFormat, Result, Speaker, Thinking,
    ToolChoice, ToolSpec, Wire,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::item;
use super::wire::NAME;
use crate::dialect::field::{between, field, keep, model, object, positive, rest, unambiguous, wrong};
use crate::dialect::object::Object;

/// The fields that are about the exchange, or have a noun of their own. The others go into `rest`.
const KNOWN: [&str; 12] = [
    "model",
    "input",
    "instructions",
    "stream",
    "max_output_tokens",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "user",
];

pub(super) fn read(dialect: &'static dyn Dialect, incoming: Incoming) -> Result<Body> {
    let operation = incoming.operation;
    if operation != Operation::Chat {
        return Err(Error::invalid_request(format!("this dialect has no words for `{operation}`")));
    }
    let body = incoming.body.clone();
    let object = object(&body)?;
    if let Some(body) = unambiguous(&object, &body)? {
        return read(dialect, Incoming { body, ..incoming });
    }
    let mut wire = Wire::new(dialect, operation, body.clone(), model(&object)?);
    between(&object, "temperature", 2.0)?;
    between(&object, "top_p", 1.0)?;
    let empty = object.get("input").is_none_or(|input| input.trim() == "[]");
    if empty
        && !["previous_response_id", "conversation", "prompt"].iter().any(|name| object.get(name).is_some())
    {
        return Err(wrong("input", "`input` is missing: send a text or an array of items"));
    }
    if field::<bool>(&object, "background", "true or false")? == Some(true) {
        let why =
            "`background` cannot be asked here: submit a task (`POST /tasks`), which outlives the connection";
        return Err(wrong("background", why));
    }
    wire.stream = field(&object, "stream", "true or false")?.unwrap_or(false);
    wire.max_output = positive(&object, "max_output_tokens")?;
    wire.output = object.read("text").and_then(|mut text| shape(&mut text));
    wire.include_usage = true;
    wire.headers = incoming.headers;
    Ok(Body::Wire(Arc::new(wire)))
}

/// The conversation in full.
pub(super) fn chat(body: &[u8]) -> Result<ChatRequest> {
    let object = object(body)?;
    let mut chat = ChatRequest { spoken: Some(NAME), ..ChatRequest::default() };
    if let Some(text) = field::<String>(&object, "instructions", "a string")? {
        chat.messages.push(Message::text(Speaker::System, text));
    }
    match object.read::<Value>("input") {
        Some(Value::String(text)) => chat.messages.push(Message::text(Speaker::User, text)),
        Some(Value::Array(items)) => {
            for (at, item) in items.iter().enumerate() {
                self::item(item, &format!("input[{at}]"), &mut chat.messages)?;
            }
        }
        Some(_) => return Err(wrong("input", "`input` must be a text or an array of items")),
        None => {}
    }
    chat.max_tokens = positive(&object, "max_output_tokens")?;
    chat.temperature = between(&object, "temperature", 2.0)?;
    chat.top_p = between(&object, "top_p", 1.0)?;
    chat.parallel_tool_calls = field(&object, "parallel_tool_calls", "true or false")?;
    chat.user = field(&object, "user", "a string")?;
    chat.rest = rest(&object, &KNOWN)?;
    chat.rest.retain(|_, value| !value.is_null());
    tools(&object, &mut chat)?;
    text(&object, &mut chat)?;
    thinking(&mut chat);
    Ok(chat)
}

/// An item: what the model's side says in a row is one message.
fn item(item: &Value, at: &str, messages: &mut Vec<Message>) -> Result<()> {
    let role = item["role"].as_str();
    let speaker = match (item["type"].as_str(), role) {
        (Some("function_call_output"), _) => {
            let mut message = Message::of(Speaker::Tool, item::content(&item["output"]));
            message.tool_call_id = item["call_id"].as_str().map(str::to_owned);
            messages.push(message);
            return Ok(());
        }
        (Some("message") | None, Some("system")) => Speaker::System,
        (Some("message") | None, Some("developer")) => Speaker::Developer,
        (Some("message") | None, Some("user")) => Speaker::User,
        (Some("message") | None, Some("assistant")) | (Some(_), None) => Speaker::Assistant,
        _ => {
            let why = "the role must be system, developer, user or assistant";
            return Err(wrong(format!("{at}.role"), why));
        }
    };
    let parts = item::decode(item);
    let last = messages.last_mut().filter(|last| {
        // A text after a text is a turn of its own; everything else of the model's side goes together.
        let says =
            |message: &Message| message.parts.iter().any(|part| matches!(part, maof_core::Part::Text { .. }));
        speaker == Speaker::Assistant
            && last.speaker == Speaker::Assistant
            && !(role.is_some() && (says(last) || last.tool_calls().next().is_some()))
    });
    match last {
        Some(last) => last.parts.extend(parts),
        None => messages.push(Message::of(speaker, parts)),
    }
    Ok(())
}

fn tools(object: &Object<'_>, chat: &mut ChatRequest) -> Result<()> {
    /// A function of the caller's own; what does not fit is the provider's.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Function {
        #[serde(rename = "type")]
        kind: String,
        name: String,
        #[serde(default)]
        description: Option<String>,
        #[serde(default)]
        parameters: Value,
        #[serde(default)]
        strict: Option<bool>,
    }
    if let Some(raw) = object.get("tools") {
        match serde_json::from_str::<Vec<Function>>(raw) {
            Ok(tools) if tools.iter().all(|tool| tool.kind == "function") => {
                let spec = |Function { name, description, parameters, strict, .. }| ToolSpec {
                    name,
                    description,
                    parameters,
                    strict,
                };
                chat.tools = tools.into_iter().map(spec).collect();
            }
            _ => keep(object, "tools", &mut chat.rest)?,
        }
    }
    let Some(choice) = object.read::<Value>("tool_choice") else { return Ok(()) };
    chat.tool_choice = match (choice.as_str(), choice["type"].as_str(), choice["name"].as_str()) {
        (Some("none"), ..) => Some(ToolChoice::None),
        (Some("auto"), ..) => Some(ToolChoice::Auto),
        (Some("required"), ..) => Some(ToolChoice::Required),
        (None, Some("function"), Some(name)) => Some(ToolChoice::Tool(name.to_owned())),
        _ => return keep(object, "tool_choice", &mut chat.rest),
    };
    Ok(())
}

/// The shape of the answer, out of `text`.
fn text(object: &Object<'_>, chat: &mut ChatRequest) -> Result<()> {
    let Some(mut text) = field::<Map<String, Value>>(object, "text", "an object")? else { return Ok(()) };
    chat.output = shape(&mut text);
    text.retain(|_, value| !value.is_null());
    if !text.is_empty() {
        chat.rest.insert("text".to_owned(), Value::Object(text));
    }
    Ok(())
}

/// Takes the shape of the answer out of `text`, if it is of a common kind.
fn shape(text: &mut Map<String, Value>) -> Option<OutputFormat> {
    let mut format = text.remove("format")?;
    match format["type"].as_str() {
        Some("text") => Some(OutputFormat::Text),
        Some("json_object") => Some(OutputFormat::Json),
        Some("json_schema") => {
            let mut schema = format["schema"].take();
            // What the schema is for, other dialects say within it.
            if let (Some(text), Some(object)) = (format["description"].as_str(), schema.as_object_mut()) {
                object.entry("description").or_insert_with(|| text.into());
            }
            let name = format["name"].as_str().unwrap_or("answer").to_owned();
            Some(OutputFormat::JsonSchema { name, schema, strict: format["strict"].as_bool() })
        }
        _ => {
            text.insert("format".to_owned(), format);
            None
        }
    }
}

/// How much to think. What other dialects cannot say of it stays in `rest` as well.
fn thinking(chat: &mut ChatRequest) {
    let Some(reasoning) = chat.rest.get("reasoning") else { return };
    let effort = reasoning["effort"].as_str().map(str::to_owned);
    let told = reasoning["summary"].is_string().then_some(true);
    chat.thinking = Some(Thinking { effort, budget_tokens: None, told });
}
