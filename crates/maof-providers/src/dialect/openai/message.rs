//! Messages, from the dialect and into it.

use maof_core::{Error, Message, Part, Result, Speaker, ToolCall};
use serde_json::{Value, json};

use super::wire::{self, Content};

/// A message in MAOF's words. `wrong` makes the error for the side that sent it.
pub(super) fn decode(message: wire::Message, wrong: impl Fn(&str) -> Error) -> Result<Message> {
    let role = message.role.as_deref().unwrap_or("assistant");
    let speaker = wire::speaker_of(role).ok_or_else(|| {
        wrong(&format!("the role `{role}` is not known; it is system, developer, user, assistant or tool"))
    })?;
    let mut rest = message.rest;
    let mut parts = Vec::new();
    let thought = message.reasoning_content.or_else(|| match rest.remove("reasoning") {
        Some(Value::String(text)) => Some(text),
        Some(other) => {
            rest.insert("reasoning".to_owned(), other);
            None
        }
        None => None,
    });
    if let Some(text) = thought.filter(|text| !text.is_empty()) {
        parts.push(Part::Reasoning { text, signature: None });
    }
    match message.content {
        Some(Content::Text(text)) => parts.push(Part::Text { text }),
        Some(Content::Parts(values)) => parts.extend(values.into_iter().map(decode_part)),
        None => {}
    }
    if let Some(text) = message.refusal {
        parts.push(Part::Refusal { text });
    }
    let mut tool_calls = Vec::new();
    if let Some(value) = message.tool_calls {
        match functions(&value) {
            Some(calls) => tool_calls = calls,
            None => drop(rest.insert("tool_calls".to_owned(), value)),
        }
    }
    Ok(Message { speaker, parts, tool_calls, tool_call_id: message.tool_call_id, name: message.name, rest })
}

/// The calls, if all of them are of functions.
fn functions(value: &Value) -> Option<Vec<ToolCall>> {
    let calls: Vec<wire::ToolCall> = serde::Deserialize::deserialize(value).ok()?;
    let call = |call: wire::ToolCall| {
        let arguments = match call.function.arguments {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        };
        ToolCall { id: call.id.unwrap_or_default(), name: call.function.name, arguments }
    };
    calls.iter().all(|c| c.kind == "function").then(|| calls.into_iter().map(call).collect())
}

fn decode_part(value: Value) -> Part {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let part = match value["type"].as_str() {
        Some("text") => text("text").map(|text| Part::Text { text }),
        Some("refusal") => text("refusal").map(|text| Part::Refusal { text }),
        Some("image_url") => value["image_url"]["url"].as_str().map(|url| Part::Image {
            url: url.to_owned(),
            detail: value["image_url"]["detail"].as_str().map(str::to_owned),
        }),
        _ => None,
    };
    part.unwrap_or(Part::Other { value })
}

/// A message in the dialect's words.
pub(super) fn encode(message: &Message) -> wire::Message {
    let mut reasoning = String::new();
    let mut refusal = None;
    let mut content = Vec::new();
    for part in &message.parts {
        match part {
            Part::Reasoning { text, .. } => reasoning.push_str(text),
            // An assistant's refusal has a place of its own when it stands alone.
            Part::Refusal { text } if refusal.is_none() => refusal = Some(text.clone()),
            other => content.push(other),
        }
    }
    wire::Message {
        role: Some(wire::role_word(message.speaker).to_owned()),
        content: encode_content(&content, message.speaker),
        refusal,
        reasoning_content: (!reasoning.is_empty()).then_some(reasoning),
        tool_calls: (!message.tool_calls.is_empty())
            .then(|| message.tool_calls.iter().map(encode_call).collect()),
        tool_call_id: message.tool_call_id.clone(),
        name: message.name.clone(),
        rest: message.rest.clone(),
    }
}

fn encode_content(parts: &[&Part], speaker: Speaker) -> Option<Content> {
    match parts {
        [] if speaker == Speaker::Assistant => None,
        [] => Some(Content::Text(String::new())),
        [Part::Text { text }] => Some(Content::Text(text.clone())),
        several => Some(Content::Parts(several.iter().map(|part| encode_part(part)).collect())),
    }
}

fn encode_part(part: &Part) -> Value {
    match part {
        Part::Text { text } | Part::Reasoning { text, .. } => json!({"type": "text", "text": text}),
        Part::Refusal { text } => json!({"type": "refusal", "refusal": text}),
        Part::Image { url, detail: None } => json!({"type": "image_url", "image_url": {"url": url}}),
        Part::Image { url, detail } => {
            json!({"type": "image_url", "image_url": {"url": url, "detail": detail}})
        }
        Part::Other { value } => value.clone(),
    }
}

fn encode_call(call: &ToolCall) -> Value {
    json!({
        "id": call.id, "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    })
}
