//! Messages, from the dialect and into it.

use maof_core::{Error, Message, Part, Result, Speaker, ToolCall};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::wire::{self, Content, NAME};
use crate::dialect::gate::{Gate, kind_of};
use crate::dialect::sealed::{self, seal};

/// A message in MAOF's words. `wrong` makes the error for the side that sent it.
pub(super) fn decode(message: wire::Message, wrong: impl Fn(&str) -> Error) -> Result<Message> {
    let role = message.role.as_deref().unwrap_or("assistant");
    let speaker = wire::speaker_of(role).ok_or_else(|| {
        wrong(&format!("the role `{role}` is not known; it is system, developer, user, assistant or tool"))
    })?;
    let mut rest = message.rest;
    let mut parts = thoughts(&mut rest).unwrap_or_default();
    let thought = message.reasoning_content.or_else(|| match rest.remove("reasoning") {
        Some(Value::String(text)) => Some(text),
        Some(other) => {
            rest.insert("reasoning".to_owned(), other);
            None
        }
        None => None,
    });
    if let Some(text) = thought.filter(|text| parts.is_empty() && !text.is_empty()) {
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
    if let Some(value) = message.tool_calls {
        match functions(&value) {
            Some(calls) => parts.extend(calls.into_iter().map(Part::ToolCall)),
            None => drop(rest.insert("tool_calls".to_owned(), value)),
        }
    }
    Ok(Message {
        speaker,
        parts,
        tool_call_id: message.tool_call_id,
        is_error: false,
        name: message.name,
        rest,
    })
}

/// Signed and sealed thoughts, in the field that OpenRouter made known (`reasoning_details`), if all of them
/// are of the shape that we write ourselves.
fn thoughts(rest: &mut Map<String, Value>) -> Option<Vec<Part>> {
    #[derive(Deserialize)]
    #[serde(tag = "type", deny_unknown_fields)]
    enum Detail {
        #[serde(rename = "reasoning.text")]
        Text {
            text: String,
            #[serde(default)]
            signature: Option<String>,
        },
        #[serde(rename = "reasoning.encrypted")]
        Encrypted { data: String },
    }
    let details: Vec<Detail> = Vec::deserialize(rest.get("reasoning_details")?).ok()?;
    rest.remove("reasoning_details");
    let part = |detail| match detail {
        Detail::Text { text, signature } => {
            Part::Reasoning { text, signature: signature.map(|signature| seal(NAME, &signature)) }
        }
        Detail::Encrypted { data } => Part::Redacted { data: seal(NAME, &data) },
    };
    Some(details.into_iter().map(part).collect())
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
        let signature = call.extra_content.pointer("/google/thought_signature").and_then(Value::as_str);
        ToolCall {
            id: call.id.unwrap_or_default(),
            name: call.function.name,
            arguments,
            signature: signature.map(|signature| seal(NAME, signature)),
        }
    };
    calls.iter().all(|c| c.kind == "function").then(|| calls.into_iter().map(call).collect())
}

fn decode_part(value: Value) -> Part {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let part = match value["type"].as_str() {
        Some("text") => text("text").map(|text| Part::Text { text }),
        Some("refusal") => text("refusal").map(|text| Part::Refusal { text }),
        Some("input_audio") => {
            let audio = &value["input_audio"];
            let data = audio["data"].as_str();
            data.zip(audio["format"].as_str()).map(|(data, format)| Part::Audio {
                data: data.to_owned(),
                media_type: format!("audio/{format}"),
            })
        }
        Some("file") if value["file"]["file_id"].is_null() => {
            value["file"]["file_data"].as_str().map(|url| Part::File {
                url: url.to_owned(),
                name: value["file"]["filename"].as_str().map(str::to_owned),
            })
        }
        Some("image_url") => value["image_url"]["url"].as_str().map(|url| Part::Image {
            url: url.to_owned(),
            detail: value["image_url"]["detail"].as_str().map(str::to_owned),
        }),
        _ => None,
    };
    part.unwrap_or(Part::Other { value })
}

/// How a message is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Whether fields and parts that only a dialect knows are another's.
    pub(super) foreign: bool,
    /// Whether it is told to a caller, rather than asked of an upstream.
    pub(super) told: bool,
}

/// A message in the dialect's words. What has none is judged by `gate`; `at` is the message's place.
pub(super) fn encode(message: &Message, manner: Manner, at: &str, gate: &mut Gate) -> Result<wire::Message> {
    let Manner { foreign, told } = manner;
    let mut thoughts = Vec::new();
    let mut refusal = None;
    let mut content = Vec::new();
    let mut calls = Vec::new();
    for (place, part) in message.parts.iter().enumerate() {
        match part {
            Part::Reasoning { signature: Some(kept), .. } | Part::Redacted { data: kept }
                if !told && sealed::open(NAME, kept).is_none() =>
            {
                gate.without(format!("{at}.content[{place}] (reasoning of another provider)"));
            }
            Part::Reasoning { .. } | Part::Redacted { .. } => thoughts.push(part),
            Part::ToolCall(call) => calls.push(encode_call(call)),
            // An assistant's refusal has a place of its own when it stands alone.
            Part::Refusal { text } if refusal.is_none() => refusal = Some(text.clone()),
            Part::Other { .. } if foreign => {
                gate.cannot(format!("{at}.content[{place}] ({})", kind_of(part)))?;
            }
            Part::File { url, .. } if !url.starts_with("data:") => {
                gate.cannot(format!("{at}.content[{place}] (a file by URL)"))?;
            }
            other => content.push(other),
        }
    }
    if message.is_error {
        gate.without(format!("{at}.is_error"));
    }
    let mut rest = match foreign {
        true => Map::new(),
        false => message.rest.clone(),
    };
    let reasoning: String = thoughts
        .iter()
        .filter_map(|part| match part {
            Part::Reasoning { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    if let Some(details) = details(&thoughts) {
        rest.insert("reasoning_details".to_owned(), details);
    }
    Ok(wire::Message {
        role: Some(wire::role_word(message.speaker).to_owned()),
        content: encode_content(&content, message, told),
        refusal,
        reasoning_content: (!reasoning.is_empty()).then_some(reasoning),
        tool_calls: (!calls.is_empty()).then(|| calls.into()),
        tool_call_id: message.tool_call_id.clone(),
        // A tool's result is known by its id.
        name: message.name.clone().filter(|_| !(foreign && message.speaker == Speaker::Tool)),
        rest,
    })
}

/// Thoughts that are signed or sealed, so that they can be sent back.
pub(super) fn details(thoughts: &[&Part]) -> Option<Value> {
    let sealed = thoughts
        .iter()
        .any(|part| matches!(part, Part::Reasoning { signature: Some(_), .. } | Part::Redacted { .. }));
    let detail = |part: &&Part| match part {
        Part::Reasoning { text, signature: None } => json!({"type": "reasoning.text", "text": text}),
        Part::Reasoning { text, signature: Some(signature) } => {
            json!({"type": "reasoning.text", "text": text, "signature": sealed::told(NAME, signature)})
        }
        Part::Redacted { data } => json!({"type": "reasoning.encrypted", "data": sealed::told(NAME, data)}),
        _ => Value::Null,
    };
    sealed.then(|| thoughts.iter().map(detail).collect())
}

/// An answer's texts are one text for its caller; an upstream is told of parts.
fn encode_content(parts: &[&Part], message: &Message, told: bool) -> Option<Content> {
    match parts {
        [] if message.speaker == Speaker::Assistant => None,
        [] => Some(Content::Text(String::new())),
        [Part::Text { text }] => Some(Content::Text(text.clone())),
        several if told && several.iter().all(|part| matches!(part, Part::Text { .. })) => {
            Some(Content::Text(message.plain_text()))
        }
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
        Part::Audio { data, media_type } => {
            let format = match media_type.strip_prefix("audio/").unwrap_or(media_type) {
                "mpeg" => "mp3",
                "x-wav" | "wave" => "wav",
                format => format,
            };
            json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
        }
        Part::File { url, name } => {
            let name = name.as_deref().unwrap_or("document");
            json!({"type": "file", "file": {"file_data": url, "filename": name}})
        }
        Part::Redacted { data } => json!({"type": "reasoning.encrypted", "data": data}),
        Part::ToolCall(call) => encode_call(call),
        Part::Other { value } => value.clone(),
    }
}

pub(super) fn encode_call(call: &ToolCall) -> Value {
    let mut body = json!({
        "id": call.id, "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    });
    // As Google's own endpoint of this dialect carries it.
    if let Some(signature) = &call.signature {
        body["extra_content"] = json!({"google": {"thought_signature": sealed::told(NAME, signature)}});
    }
    body
}
