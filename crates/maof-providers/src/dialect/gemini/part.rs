//! Parts of contents, from the dialect and into it.

use std::borrow::Cow;

use maof_core::{Message, Part, Result, ToolCall};
use serde_json::{Map, Value, json};

use super::wire::{NAME, get};
use crate::dialect::gate::{Gate, kind_of};
use crate::dialect::sealed::{self, seal_base64};

/// What ids of tool calls begin with that came without one; they are not sent back.
const OWN_ID: &str = "call_maof_";

/// An id for a tool call that came without one.
pub(super) fn own_id(answer: &str, index: usize) -> String {
    format!("{OWN_ID}{answer}_{index}")
}

/// One part in MAOF's words; what they cannot say stays as it came. `id` makes the id of a tool call.
pub(super) fn decode(value: &Value, id: impl FnOnce() -> String) -> Vec<Part> {
    let signature = get(value, "thoughtSignature").as_str().map(|signature| seal_base64(NAME, signature));
    if let Some(text) = value["text"].as_str() {
        if value["thought"] == true {
            return vec![Part::Reasoning { text: text.to_owned(), signature }];
        }
        let mut parts = vec![Part::text(text)];
        if signature.is_some() {
            parts.push(Part::Reasoning { text: String::new(), signature });
        }
        return parts;
    }
    let call = get(value, "functionCall");
    if let Some(name) = call["name"].as_str() {
        let arguments = if call["args"].is_null() { "{}".to_owned() } else { call["args"].to_string() };
        let id = call["id"].as_str().map_or_else(id, str::to_owned);
        return vec![Part::ToolCall(ToolCall { id, name: name.to_owned(), arguments, signature })];
    }
    let media = |at: &str, field: &str| {
        let object = get(value, at);
        let kind = get(object, "mimeType").as_str()?;
        Some((kind.to_owned(), get(object, field).as_str()?.to_owned(), get(object, "displayName").as_str()))
    };
    let part = match (media("inlineData", "data"), media("fileData", "fileUri")) {
        // What a model drew may be signed as well; then it must go back as it came.
        _ if signature.is_some() => None,
        (Some((kind, data, _)), _) if kind.starts_with("image/") => {
            Some(Part::Image { url: format!("data:{kind};base64,{data}"), detail: None })
        }
        (Some((media_type, data, _)), _) if media_type.starts_with("audio/") => {
            Some(Part::Audio { data, media_type })
        }
        (Some((kind, data, name)), _) => {
            Some(Part::File { url: format!("data:{kind};base64,{data}"), name: name.map(str::to_owned) })
        }
        // Where a file's kind is not part of its address, only the dialect can say it.
        _ => None,
    };
    vec![part.unwrap_or_else(|| Part::Other { value: value.clone() })]
}

/// The parts of a message. What has no words is judged by `gate`; `at` is the message's place, `told` whether a
/// caller is told rather than an upstream asked.
pub(super) fn encode(
    parts: &[Part],
    foreign: bool,
    told: bool,
    at: &str,
    gate: &mut Gate,
) -> Result<Vec<Value>> {
    let read = |kept| match told {
        true => Some(sealed::told_base64(NAME, kept)),
        false => sealed::open(NAME, kept).map(Cow::Borrowed),
    };
    let mut ahead = None;
    let mut out: Vec<Value> = Vec::with_capacity(parts.len());
    for (place, part) in parts.iter().enumerate() {
        let part = match part {
            Part::Text { text } | Part::Refusal { text } => json!({"text": text}),
            // What a door without a place for it told ahead of the call.
            Part::Redacted { data: kept } | Part::Reasoning { signature: Some(kept), text: _ }
                if !told && is_lone(part) && unsigned(parts.get(place + 1)).is_some() =>
            {
                ahead = read(kept);
                continue;
            }
            // A signature that stands alone belongs to what is before it.
            Part::Reasoning { text, signature: Some(kept) } if text.is_empty() => {
                let Some(signature) = read(kept) else { continue };
                if let Some(last) = out.last_mut().filter(|last| last.get("thoughtSignature").is_none()) {
                    last["thoughtSignature"] = signature.into();
                    continue;
                }
                json!({"text": "", "thoughtSignature": signature})
            }
            Part::Reasoning { text, signature } => match signature.as_deref().map(read) {
                // Another provider's thoughts are told to callers, and not sent to Google.
                Some(None) => {
                    gate.without(format!("{at}.parts[{place}] (reasoning of another provider)"));
                    continue;
                }
                Some(Some(signature)) => {
                    json!({"text": text, "thought": true, "thoughtSignature": signature})
                }
                None => json!({"text": text, "thought": true}),
            },
            Part::Redacted { .. } => {
                gate.without(format!("{at}.parts[{place}] (reasoning of another provider)"));
                continue;
            }
            Part::ToolCall(call) => {
                function_call(call, call.signature.as_deref().and_then(read).or_else(|| ahead.take()))
            }
            Part::Image { url, detail } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    gate.without(format!("{at}.parts[{place}].detail"));
                }
                media(url, None, "image/jpeg")
            }
            Part::File { url, name } => media(url, name.as_deref(), "application/pdf"),
            Part::Audio { data, media_type } => json!({"inlineData": {"mimeType": media_type, "data": data}}),
            Part::Other { value } if !foreign => value.clone(),
            other => {
                gate.cannot(format!("{at}.parts[{place}] ({})", kind_of(other)))?;
                continue;
            }
        };
        out.push(part);
    }
    Ok(out)
}

/// A signature without a thought.
fn is_lone(part: &Part) -> bool {
    match part {
        Part::Reasoning { text, .. } => text.is_empty(),
        part => matches!(part, Part::Redacted { .. }),
    }
}

/// A call that bears no signature of its own.
fn unsigned(part: Option<&Part>) -> Option<&ToolCall> {
    match part {
        Some(Part::ToolCall(call)) if call.signature.is_none() => Some(call),
        _ => None,
    }
}

fn function_call(call: &ToolCall, signature: Option<Cow<'_, str>>) -> Value {
    let args: Value = match call.arguments.trim() {
        "" => json!({}),
        text => serde_json::from_str(text).unwrap_or_else(|_| json!({"arguments": text})),
    };
    let mut function = Map::new();
    if !call.id.is_empty() && !call.id.starts_with(OWN_ID) {
        function.insert("id".to_owned(), call.id.clone().into());
    }
    function.insert("name".to_owned(), call.name.clone().into());
    function.insert("args".to_owned(), args);
    let mut part = json!({"functionCall": function});
    if let Some(signature) = signature {
        part["thoughtSignature"] = signature.into();
    }
    part
}

/// A tool's result, which must name the tool.
pub(super) fn function_response(message: &Message, name: &str, parts: Vec<Value>) -> Value {
    let text: String = parts.iter().filter_map(|part| part["text"].as_str()).collect();
    let response = match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(object)) if !message.is_error => Value::Object(object),
        _ if message.is_error => json!({"error": text}),
        _ => json!({"output": text}),
    };
    let mut function = json!({"name": name, "response": response});
    if let Some(id) = message.tool_call_id.as_deref().filter(|id| !id.starts_with(OWN_ID)) {
        function["id"] = id.into();
    }
    json!({"functionResponse": function})
}

fn media(url: &str, name: Option<&str>, otherwise: &str) -> Value {
    let data = url.strip_prefix("data:").and_then(|data| data.split_once(";base64,"));
    let Some((kind, data)) = data else {
        return json!({"fileData": {"mimeType": kind_by_name(url).unwrap_or(otherwise), "fileUri": url}});
    };
    let mut part = json!({"inlineData": {"mimeType": kind, "data": data}});
    if let Some(name) = name {
        part["inlineData"]["displayName"] = name.into();
    }
    part
}

/// A media type by the ending of a file's name.
fn kind_by_name(url: &str) -> Option<&'static str> {
    const ENDINGS: [(&str, &str); 8] = [
        (".png", "image/png"),
        (".jpg", "image/jpeg"),
        (".jpeg", "image/jpeg"),
        (".webp", "image/webp"),
        (".gif", "image/gif"),
        (".pdf", "application/pdf"),
        (".txt", "text/plain"),
        (".mp4", "video/mp4"),
    ];
    let path = url.split(['?', '#']).next().unwrap_or(url).to_ascii_lowercase();
    ENDINGS.iter().find(|(ending, _)| path.ends_with(ending)).map(|(_, kind)| *kind)
}
