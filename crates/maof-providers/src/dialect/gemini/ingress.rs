//! What callers ask: read far enough to be routed, and in full where somebody needs the conversation.

use std::sync::Arc;

use maof_core::{
    Body, ChatRequest, Dialect, EmbedRequest, Error, Incoming, Message, Operation, OutputFormat, Result,
    Speaker, Thinking, ToolChoice, ToolSpec, Wire,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::part;
use super::schema::plain;
use super::wire::{NAME, get, take};
use crate::dialect::field::{object, unambiguous, wrong};

pub(super) fn read(dialect: &'static dyn Dialect, incoming: Incoming) -> Result<Body> {
    let operation = incoming.operation;
    if !matches!(operation, Operation::Chat | Operation::CountTokens | Operation::Embed) {
        return Err(Error::invalid_request(format!("this dialect has no words for `{operation}`")));
    }
    let model = incoming.model.clone().filter(|model| !model.is_empty());
    let model =
        model.ok_or_else(|| wrong("model", "the path must name a model: `/models/NAME:generateContent`"))?;
    let body = incoming.body.clone();
    let object = object(&body)?;
    if let Some(body) = unambiguous(&object, &body)? {
        return read(dialect, Incoming { body, ..incoming });
    }
    let mut wire = Wire::new(dialect, operation, body.clone(), model);
    wire.max_output = Some(0);
    if operation == Operation::Chat {
        contents(object.get("contents"))?;
        let config = object.get("generationConfig").or_else(|| object.get("generation_config"));
        let mut config: Value = config.and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default();
        wire.output = config.as_object_mut().and_then(shape);
        wire.choices = number(&config, "candidateCount")?.and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
        let each = number(&config, "maxOutputTokens")?;
        wire.max_output = each.map(|most| most.saturating_mul(u64::from(wire.choices)));
    }
    wire.stream = incoming.stream.unwrap_or(false);
    wire.include_usage = true;
    Ok(Body::Wire(Arc::new(wire)))
}

fn contents(raw: Option<&str>) -> Result<Vec<&RawValue>> {
    let empty = || wrong("contents", "`contents` must be an array with at least one content");
    let contents: Vec<&RawValue> = serde_json::from_str(raw.ok_or_else(empty)?).map_err(|_| empty())?;
    match contents.is_empty() {
        true => Err(empty()),
        false => Ok(contents),
    }
}

fn number(config: &Value, name: &'static str) -> Result<Option<u64>> {
    match get(config, name) {
        Value::Null => Ok(None),
        value => match value.as_u64().filter(|n| *n > 0) {
            Some(number) => Ok(Some(number)),
            None => Err(wrong(
                format!("generationConfig.{name}"),
                format!("`{name}` must be a whole number of at least 1"),
            )),
        },
    }
}

/// A request in MAOF's words.
pub(super) fn body(wire: &Wire) -> Result<Body> {
    let malformed =
        |e: serde_json::Error| Error::invalid_request(format!("the body must be a JSON object: {e}"));
    let mut body: Map<String, Value> = serde_json::from_slice(&wire.bytes).map_err(malformed)?;
    match wire.operation {
        Operation::Embed => embed(&body).map(Body::from),
        Operation::CountTokens => {
            if let Some(Value::Object(inner)) = take(&mut body, "generateContentRequest") {
                body = inner;
            }
            body.remove("model");
            Ok(Body::CountTokens(Arc::new(chat(body)?)))
        }
        _ => chat(body).map(Body::from),
    }
}

fn chat(mut body: Map<String, Value>) -> Result<ChatRequest> {
    let mut chat = ChatRequest { spoken: Some(NAME), ..ChatRequest::default() };
    if let Some(system) = take(&mut body, "systemInstruction") {
        // It may be a text alone.
        let parts = match &system {
            Value::String(text) => vec![maof_core::Part::text(text)],
            system => parts(system, "systemInstruction")?,
        };
        // Some SDKs send an empty one, which others would refuse.
        if !parts.iter().all(|part| matches!(part, maof_core::Part::Text { text } if text.is_empty())) {
            chat.messages.push(Message::of(Speaker::System, parts));
        }
    }
    if let Some(settings) = take(&mut body, "safetySettings") {
        // Without a filter, there is nothing that another provider would have to do.
        let off = |setting: &Value| matches!(setting["threshold"].as_str(), Some("OFF" | "BLOCK_NONE"));
        match settings.as_array().is_some_and(|settings| settings.iter().all(off)) {
            true => chat.unspoken.push("safetySettings".to_owned()),
            false => drop(body.insert("safetySettings".to_owned(), settings)),
        }
    }
    let contents = match take(&mut body, "contents") {
        Some(Value::Array(contents)) => contents,
        Some(one @ Value::Object(_)) => vec![one],
        _ => return Err(wrong("contents", "`contents` must be an array with at least one content")),
    };
    for (at, content) in contents.iter().enumerate() {
        turn(content, at, &mut chat.messages)?;
    }
    if let Some(tools) = take(&mut body, "tools") {
        match functions(&tools) {
            Some(functions) => chat.tools = functions,
            None => drop(body.insert("tools".to_owned(), tools)),
        }
    }
    if let Some(config) = take(&mut body, "toolConfig") {
        match choice(&config) {
            Some(choice) => chat.tool_choice = choice,
            None => drop(body.insert("toolConfig".to_owned(), config)),
        }
    }
    if let Some(Value::Object(mut config)) = take(&mut body, "generationConfig") {
        generation(&mut config, &mut chat)?;
        config.retain(|_, value| !value.is_null());
        if !config.is_empty() {
            body.insert("generationConfig".to_owned(), Value::Object(config));
        }
    }
    body.retain(|_, value| !value.is_null());
    chat.rest = body;
    Ok(chat)
}

fn parts(content: &Value, at: &str) -> Result<Vec<maof_core::Part>> {
    let parts = content["parts"].as_array();
    let parts = parts
        .ok_or_else(|| wrong(format!("{at}.parts"), format!("`{at}.parts` must be an array of parts")))?;
    let one = |(place, value): (usize, &Value)| part::decode(value, || part::own_id(at, place));
    Ok(parts.iter().enumerate().flat_map(one).collect())
}

/// One content: the results of functions are messages of their own.
fn turn(content: &Value, index: usize, messages: &mut Vec<Message>) -> Result<()> {
    let at = format!("contents[{index}]");
    let speaker = match content["role"].as_str() {
        Some("user" | "function") | None => Speaker::User,
        Some("model") => Speaker::Assistant,
        Some("system") => Speaker::System,
        Some(_) => return Err(wrong(format!("{at}.role"), "the role must be user or model")),
    };
    let parts = content["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut open = false;
    for (place, value) in parts.iter().enumerate() {
        let response = get(value, "functionResponse");
        if response["name"].is_string() {
            messages.push(result(response, messages));
            open = false;
            continue;
        }
        if !open {
            messages.push(Message::of(speaker, Vec::new()));
            open = true;
        }
        if let Some(last) = messages.last_mut() {
            last.parts.extend(part::decode(value, || part::own_id(&index.to_string(), place)));
        }
    }
    Ok(())
}

/// A function's result; without an id it answers the first call of that function that has no answer yet.
fn result(response: &Value, messages: &[Message]) -> Message {
    let name = response["name"].as_str().unwrap_or_default();
    let answered = |id: &str| messages.iter().any(|message| message.tool_call_id.as_deref() == Some(id));
    let calls = messages.iter().flat_map(Message::tool_calls);
    let mut calls = calls.filter(|call| call.name == name && !answered(&call.id));
    let id = response["id"].as_str().map(str::to_owned).or_else(|| calls.next().map(|call| call.id.clone()));
    let said = &response["response"];
    let only = |name: &str| {
        said.as_object().filter(|o| o.len() == 1).and_then(|o| o.get(name)).and_then(Value::as_str)
    };
    let is_error = only("error").is_some();
    let text = only("error").or_else(|| only("output")).map_or_else(|| said.to_string(), str::to_owned);
    let mut message = Message::text(Speaker::Tool, text);
    message.tool_call_id = id;
    message.name = Some(name.to_owned());
    message.is_error = is_error;
    message
}

/// What a function may say of itself. What it answers is advice to the model, and not carried.
const FUNCTION: [&str; 8] = [
    "name",
    "description",
    "parameters",
    "parametersJsonSchema",
    "parameters_json_schema",
    "response",
    "responseJsonSchema",
    "response_json_schema",
];

/// The functions on offer, if nothing else is.
fn functions(tools: &Value) -> Option<Vec<ToolSpec>> {
    let mut specs = Vec::new();
    for tool in tools.as_array()? {
        let only = tool.as_object()?.iter().filter(|(_, value)| !value.is_null()).count() == 1;
        let functions = get(tool, "functionDeclarations").as_array().filter(|_| only)?;
        for function in functions {
            if !function.as_object()?.keys().all(|key| FUNCTION.contains(&key.as_str())) {
                return None;
            }
            let schema = match get(function, "parametersJsonSchema") {
                Value::Null => plain(&function["parameters"]),
                schema => schema.clone(),
            };
            specs.push(ToolSpec {
                name: function["name"].as_str()?.to_owned(),
                description: function["description"].as_str().map(str::to_owned),
                parameters: schema,
                strict: None,
            });
        }
    }
    Some(specs)
}

/// Which function must be used, if it can be said in MAOF's words.
fn choice(config: &Value) -> Option<Option<ToolChoice>> {
    let only = config.as_object()?.iter().filter(|(_, value)| !value.is_null()).count() == 1;
    let calling = Some(get(config, "functionCallingConfig")).filter(|calling| only && calling.is_object())?;
    let names = get(calling, "allowedFunctionNames").as_array().map(Vec::as_slice).unwrap_or_default();
    match (calling["mode"].as_str()?, names) {
        ("AUTO", []) => Some(Some(ToolChoice::Auto)),
        ("NONE", []) => Some(Some(ToolChoice::None)),
        ("ANY", []) => Some(Some(ToolChoice::Required)),
        ("ANY", [Value::String(name)]) => Some(Some(ToolChoice::Tool(name.clone()))),
        _ => None,
    }
}

fn generation(config: &mut Map<String, Value>, chat: &mut ChatRequest) -> Result<()> {
    chat.max_tokens = number(&Value::Object(config.clone()), "maxOutputTokens")?;
    take(config, "maxOutputTokens");
    chat.choices = take(config, "candidateCount").and_then(|n| u32::try_from(n.as_u64()?).ok());
    let mut float = |name: &str| take(config, name).and_then(|n| n.as_f64());
    chat.temperature = float("temperature");
    chat.top_p = float("topP");
    chat.presence_penalty = float("presencePenalty");
    chat.frequency_penalty = float("frequencyPenalty");
    // Written as a float by some SDKs.
    chat.top_k = float("topK").map(|k| k as u64);
    chat.seed = take(config, "seed").and_then(|n| n.as_i64());
    let stop = take(config, "stopSequences").and_then(|stop| serde_json::from_value(stop).ok());
    chat.stop = stop.unwrap_or_default();
    match take(config, "responseModalities") {
        // What every model does by itself.
        Some(text) if text == serde_json::json!(["TEXT"]) => {
            chat.unspoken.push("generationConfig.responseModalities".to_owned());
        }
        Some(others) => drop(config.insert("responseModalities".to_owned(), others)),
        None => {}
    }
    if let Some(Value::Object(mut thinking)) = take(config, "thinkingConfig") {
        let level =
            take(&mut thinking, "thinkingLevel").and_then(|level| level.as_str().map(str::to_lowercase));
        let budget = take(&mut thinking, "thinkingBudget").and_then(|budget| budget.as_u64());
        let told = take(&mut thinking, "includeThoughts").and_then(|told| told.as_bool());
        chat.thinking = Some(Thinking { effort: level, budget_tokens: budget, told });
    }
    chat.output = shape(config);
    Ok(())
}

/// Takes the shape of the answer out of `generationConfig`, if it is of a common kind.
fn shape(config: &mut Map<String, Value>) -> Option<OutputFormat> {
    let kind = take(config, "responseMimeType")?;
    match kind.as_str() {
        Some("application/json") => {
            let schema = take(config, "responseJsonSchema");
            let schema = schema.or_else(|| take(config, "responseSchema").map(|schema| plain(&schema)));
            Some(match schema {
                Some(schema) => {
                    OutputFormat::JsonSchema { name: "answer".to_owned(), schema, strict: Some(true) }
                }
                None => OutputFormat::Json,
            })
        }
        Some("text/plain") => Some(OutputFormat::Text),
        _ => {
            config.insert("responseMimeType".to_owned(), kind);
            None
        }
    }
}

/// The texts to embed: one, or a batch.
fn embed(body: &Map<String, Value>) -> Result<EmbedRequest> {
    let body = Value::Object(body.clone());
    let one = [body.clone()];
    let requests = body["requests"].as_array().map_or(&one[..], Vec::as_slice);
    let text = |request: &Value| {
        let parts = parts(&request["content"], "content")?;
        Ok(Message::of(Speaker::User, parts).plain_text())
    };
    let dimensions = requests.first().and_then(|first| get(first, "outputDimensionality").as_u64());
    Ok(EmbedRequest {
        input: requests.iter().map(text).collect::<Result<_>>()?,
        dimensions: dimensions.and_then(|n| u32::try_from(n).ok()),
        rest: Map::new(),
    })
}
