//! What callers ask: read far enough to be routed, and in full where somebody needs the conversation.

use std::sync::Arc;

use maof_core::{
    Body, ChatRequest, Dialect, Error, Incoming, Message, Operation, OutputFormat, Result, Speaker, Thinking,
    ToolChoice, ToolSpec, Wire,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::block;
use crate::dialect::field::{between, field, keep, model, object, positive, rest, unambiguous, wrong};
use crate::dialect::object::Object;

/// The fields that are about the exchange, or have a noun of their own. The others go into `rest`.
const KNOWN: [&str; 12] = [
    "model",
    "messages",
    "system",
    "max_tokens",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "tools",
    "tool_choice",
    "thinking",
];

#[derive(Deserialize)]
struct Turn<'a> {
    role: String,
    #[serde(borrow)]
    content: &'a RawValue,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

pub(super) fn read(dialect: &'static dyn Dialect, incoming: Incoming) -> Result<Body> {
    let operation = incoming.operation;
    if !matches!(operation, Operation::Chat | Operation::CountTokens) {
        return Err(Error::invalid_request(format!("this dialect has no words for `{operation}`")));
    }
    let body = incoming.body.clone();
    let object = object(&body)?;
    if let Some(body) = unambiguous(&object, &body)? {
        return read(dialect, Incoming { body, ..incoming });
    }
    let mut wire = Wire::new(dialect, operation, body.clone(), model(&object)?);
    turns(&object)?;
    between(&object, "temperature", 1.0)?;
    between(&object, "top_p", 1.0)?;
    wire.max_output = match positive(&object, "max_tokens")? {
        None if operation == Operation::Chat => {
            return Err(wrong("max_tokens", "`max_tokens` is missing: say how long the answer may be"));
        }
        most => Some(most.unwrap_or(0)),
    };
    wire.stream = operation == Operation::Chat && field(&object, "stream", "true or false")?.unwrap_or(false);
    wire.output = object.read("output_config").and_then(|mut config| format(&mut config));
    wire.include_usage = true;
    wire.headers = incoming.headers;
    Ok(Body::Wire(Arc::new(wire)))
}

fn turns<'a>(object: &Object<'a>) -> Result<Vec<&'a RawValue>> {
    let empty = || wrong("messages", "`messages` must be an array with at least one message");
    let raw = object.get("messages").ok_or_else(empty)?;
    let turns: Vec<&RawValue> = serde_json::from_str(raw).map_err(|_| empty())?;
    match turns.is_empty() {
        true => Err(empty()),
        false => Ok(turns),
    }
}

/// A request in MAOF's words.
pub(super) fn body(wire: &Wire) -> Result<Body> {
    let chat = Arc::new(chat(&wire.bytes)?);
    Ok(match wire.operation {
        Operation::CountTokens => Body::CountTokens(chat),
        _ => Body::Chat(chat),
    })
}

fn chat(body: &[u8]) -> Result<ChatRequest> {
    let object = object(body)?;
    let mut chat = ChatRequest { spoken: block::spoken(), ..ChatRequest::default() };
    if let Some(raw) = object.get("system") {
        let message = said(Speaker::System, raw, "system", &mut chat.unspoken)?;
        chat.messages.extend(message);
    }
    for (at, raw) in turns(&object)?.into_iter().enumerate() {
        turn(raw, &format!("messages[{at}]"), &mut chat)?;
    }
    chat.max_tokens = positive(&object, "max_tokens")?;
    chat.temperature = between(&object, "temperature", 1.0)?;
    chat.top_p = between(&object, "top_p", 1.0)?;
    chat.top_k = field(&object, "top_k", "a whole number")?;
    chat.stop = field(&object, "stop_sequences", "an array of texts")?.unwrap_or_default();
    chat.rest = rest(&object, &KNOWN)?;
    tools(&object, &mut chat)?;
    thinking(&object, &mut chat)?;
    shape(&mut chat);
    let user = chat.rest.get("metadata").filter(|m| m.as_object().is_some_and(|m| m.len() == 1));
    if let Some(user) = user.and_then(|metadata| metadata["user_id"].as_str()) {
        chat.user = Some(user.to_owned());
        chat.rest.remove("metadata");
    }
    Ok(chat)
}

fn turn(raw: &RawValue, at: &str, chat: &mut ChatRequest) -> Result<()> {
    let malformed = |why: String| wrong(at.to_owned(), format!("`{at}` is malformed: {why}"));
    let turn: Turn<'_> = serde_json::from_str(raw.get()).map_err(|e| malformed(e.to_string()))?;
    let speaker = match turn.role.as_str() {
        "user" => Speaker::User,
        "assistant" => Speaker::Assistant,
        "system" => Speaker::System,
        _ => return Err(wrong(format!("{at}.role"), "the role must be user, assistant or system")),
    };
    let mut messages = said(speaker, turn.content.get(), &format!("{at}.content"), &mut chat.unspoken)?;
    if let Some(last) = messages.last_mut() {
        last.rest = turn.rest;
    }
    chat.messages.extend(messages);
    Ok(())
}

/// What one turn says: the results of tools are messages of their own.
fn said(speaker: Speaker, raw: &str, at: &str, unspoken: &mut Vec<String>) -> Result<Vec<Message>> {
    let malformed = |why: serde_json::Error| wrong(at.to_owned(), format!("`{at}` is malformed: {why}"));
    if raw.starts_with('"') {
        let text: String = serde_json::from_str(raw).map_err(malformed)?;
        return Ok(vec![Message::text(speaker, text)]);
    }
    let blocks: Vec<&RawValue> = serde_json::from_str(raw)
        .map_err(|_| wrong(at.to_owned(), format!("`{at}` must be a text or an array of blocks")))?;
    let mut messages: Vec<Message> = Vec::new();
    let mut open = false;
    for (place, block) in blocks.into_iter().enumerate() {
        let at = format!("{at}[{place}]");
        let object = Object::parse(block.get().as_bytes()).map_err(malformed)?;
        if speaker == Speaker::User && object.text("type").as_deref() == Some("tool_result") {
            messages.push(result(&object, &at, unspoken)?);
            open = false;
            continue;
        }
        let parts = block::decode(block, &at, unspoken).map_err(malformed)?;
        if !open {
            messages.push(Message::of(speaker, Vec::new()));
            open = true;
        }
        if let Some(last) = messages.last_mut() {
            last.parts.extend(parts);
        }
    }
    Ok(messages)
}

/// A tool's result.
fn result(object: &Object<'_>, at: &str, unspoken: &mut Vec<String>) -> Result<Message> {
    if object.get("cache_control").is_some() {
        unspoken.push(format!("{at}.cache_control"));
    }
    let mut message = Message::of(Speaker::Tool, Vec::new());
    if let Some(raw) = object.get("content") {
        let said = said(Speaker::Tool, raw, &format!("{at}.content"), unspoken)?;
        message.parts = said.into_iter().flat_map(|message| message.parts).collect();
    }
    message.tool_call_id = object.text("tool_use_id");
    message.is_error = object.read("is_error").unwrap_or(false);
    Ok(message)
}

fn tools(object: &Object<'_>, chat: &mut ChatRequest) -> Result<()> {
    /// A tool of the caller's own; what does not fit is the provider's.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Tool {
        #[serde(default, rename = "type")]
        kind: Option<String>,
        name: String,
        #[serde(default)]
        description: Option<String>,
        input_schema: Value,
        #[serde(default)]
        strict: Option<bool>,
        #[serde(default)]
        cache_control: Option<Value>,
        /// How finely arguments are streamed, which others do as they like.
        #[serde(default, rename = "eager_input_streaming")]
        _eager: Option<Value>,
        #[serde(default)]
        defer_loading: Option<bool>,
        #[serde(default)]
        allowed_callers: Option<Vec<String>>,
    }
    impl Tool {
        /// Whether it is a function that the model itself calls, as other dialects have them.
        fn is_plain(&self) -> bool {
            self.kind.as_deref().is_none_or(|kind| kind == "custom")
                && self.defer_loading != Some(true)
                && self.allowed_callers.as_ref().is_none_or(|callers| callers == &["direct"])
        }
    }
    if let Some(raw) = object.get("tools") {
        match serde_json::from_str::<Vec<Tool>>(raw) {
            Ok(tools) if tools.iter().all(Tool::is_plain) => {
                for (at, tool) in tools.iter().enumerate().filter(|(_, tool)| tool.cache_control.is_some()) {
                    chat.unspoken.push(format!("tools[{at}].cache_control ({})", tool.name));
                }
                let spec = |Tool { name, description, input_schema: parameters, strict, .. }| ToolSpec {
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
    chat.tool_choice = match (choice["type"].as_str(), choice["name"].as_str()) {
        (Some("auto"), _) => Some(ToolChoice::Auto),
        (Some("any"), _) => Some(ToolChoice::Required),
        (Some("none"), _) => Some(ToolChoice::None),
        (Some("tool"), Some(name)) => Some(ToolChoice::Tool(name.to_owned())),
        _ => return keep(object, "tool_choice", &mut chat.rest),
    };
    chat.parallel_tool_calls = choice["disable_parallel_tool_use"].as_bool().map(|alone| !alone);
    Ok(())
}

fn thinking(object: &Object<'_>, chat: &mut ChatRequest) -> Result<()> {
    let Some(value) = object.read::<Value>("thinking") else { return Ok(()) };
    let effort =
        chat.rest.get("output_config").and_then(|config| config["effort"].as_str()).map(str::to_owned);
    let told = value["display"].as_str().map(|display| display != "omitted");
    let thinking = match value["type"].as_str() {
        // Thoughts are told unless it says otherwise.
        Some("enabled") => {
            Thinking { budget_tokens: value["budget_tokens"].as_u64(), effort, told: told.or(Some(true)) }
        }
        Some("disabled") => Thinking { budget_tokens: Some(0), ..Thinking::default() },
        // As the model likes, which other dialects do by themselves; the word itself stays for this one.
        Some("adaptive") => {
            keep(object, "thinking", &mut chat.rest)?;
            Thinking { effort, budget_tokens: None, told }
        }
        _ => return keep(object, "thinking", &mut chat.rest),
    };
    chat.thinking = Some(thinking);
    Ok(())
}

/// The answer's shape, out of `output_config`, where nothing else is left in it.
fn shape(chat: &mut ChatRequest) {
    let Some(Value::Object(mut config)) = chat.rest.remove("output_config") else { return };
    chat.output = format(&mut config);
    if let Some(Value::String(effort)) = config.remove("effort") {
        chat.thinking.get_or_insert_default().effort = Some(effort);
    }
    if !config.is_empty() {
        chat.rest.insert("output_config".to_owned(), Value::Object(config));
    }
}

/// Takes the shape out of `output_config`, if it is a schema.
fn format(config: &mut Map<String, Value>) -> Option<OutputFormat> {
    let mut format = config.remove("format")?;
    if format["type"] == "json_schema" && !format["schema"].is_null() {
        let schema = format["schema"].take();
        return Some(OutputFormat::JsonSchema { name: "answer".to_owned(), schema, strict: Some(true) });
    }
    config.insert("format".to_owned(), format);
    None
}
