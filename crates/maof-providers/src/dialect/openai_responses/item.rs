//! Items, from the dialect and into it.

use maof_core::{Message, Part, Result, Speaker, ToolCall};
use serde_json::{Value, json};

use super::wire::NAME;
use crate::dialect::gate::{Gate, kind_of};
use crate::dialect::sealed::{self, seal};

/// What follows a text that has annotations: each in a part of its own.
const ANNOTATION: &str = "annotation";

/// Between two summaries of one thought.
pub(super) const BETWEEN: &str = "\n\n";

/// The parts of an item that the model's side says; what MAOF's words cannot say stays as it came.
pub(super) fn decode(item: &Value) -> Vec<Part> {
    let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    match item["type"].as_str() {
        Some("function_call") => vec![Part::ToolCall(ToolCall {
            id: text("call_id"),
            name: text("name"),
            arguments: text("arguments"),
            signature: None,
        })],
        Some("reasoning") => vec![reasoning(item)],
        // A thought that its provider has kept: it means something to that provider alone.
        Some("item_reference") if item["id"].as_str().is_some_and(|id| id.starts_with("rs_")) => {
            vec![Part::Reasoning { text: String::new(), signature: Some(seal(NAME, &item.to_string())) }]
        }
        Some("message") | None => content(&item["content"]),
        _ => vec![Part::Other { value: item.clone() }],
    }
}

/// A thought. The item itself is its seal: its provider wants it back as it was.
fn reasoning(item: &Value) -> Part {
    let texts = |name: &str| -> Vec<&str> {
        item[name].as_array().into_iter().flatten().filter_map(|part| part["text"].as_str()).collect()
    };
    let told = [texts("summary"), texts("content")].into_iter().find(|texts| !texts.is_empty());
    let text = told.unwrap_or_default().join(BETWEEN);
    let sealed = item["encrypted_content"].as_str().filter(|sealed| sealed::open(NAME, sealed).is_none());
    // A thought of another provider, as we told it.
    let signature = sealed.map_or_else(|| seal(NAME, &item.to_string()), str::to_owned);
    Part::Reasoning { text, signature: Some(signature) }
}

/// The seal of a thought that came as `item`.
pub(super) fn seal_of(item: &Value) -> Option<String> {
    match reasoning(item) {
        Part::Reasoning { signature, .. } => signature,
        _ => None,
    }
}

/// The parts of a message's content.
pub(super) fn content(content: &Value) -> Vec<Part> {
    if let Some(text) = content.as_str() {
        return vec![Part::text(text)];
    }
    content.as_array().into_iter().flatten().flat_map(part).collect()
}

fn part(value: &Value) -> Vec<Part> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let one = match value["type"].as_str() {
        Some("input_text" | "output_text" | "text") => {
            let mut parts = vec![Part::text(text("text").unwrap_or_default())];
            let annotations = value["annotations"].as_array().into_iter().flatten();
            parts.extend(annotations.cloned().map(annotation));
            return parts;
        }
        Some("refusal") => text("refusal").map(|text| Part::Refusal { text }),
        Some("input_image") => text("image_url").map(|url| Part::Image { url, detail: text("detail") }),
        Some("input_file") => text("file_data")
            .or_else(|| text("file_url"))
            .map(|url| Part::File { url, name: text("filename") }),
        Some("input_audio") => {
            let audio = &value["input_audio"];
            let data = audio["data"].as_str().zip(audio["format"].as_str());
            data.map(|(data, format)| Part::Audio {
                data: data.to_owned(),
                media_type: format!("audio/{format}"),
            })
        }
        _ => None,
    };
    vec![one.unwrap_or_else(|| Part::Other { value: value.clone() })]
}

/// An annotation of the text before it.
pub(super) fn annotation(annotation: Value) -> Part {
    Part::Other { value: json!({"type": ANNOTATION, "annotation": annotation}) }
}

/// How items are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Whether parts that only a dialect knows are another's.
    pub(super) foreign: bool,
    /// Whether they are told to a caller, rather than asked of an upstream.
    pub(super) told: bool,
}

/// The items of a message. What has no words is judged by `gate`; `at` is the message's place.
pub(super) fn encode(message: &Message, manner: Manner, at: &str, gate: &mut Gate) -> Result<Vec<Value>> {
    let Manner { foreign, told } = manner;
    if message.is_error {
        gate.without(format!("{at}.is_error"));
    }
    let mut items = Vec::new();
    let mut said: Vec<Value> = Vec::new();
    for (place, part) in message.parts.iter().enumerate() {
        let item = match part {
            Part::Other { value } if !foreign && value["type"] == ANNOTATION => {
                annotate(&mut said, value["annotation"].clone());
                continue;
            }
            Part::Other { value } if !foreign && is_content(value) => {
                said.push(value.clone());
                continue;
            }
            Part::Other { value } if !foreign => value.clone(),
            Part::ToolCall(call) => {
                flush(&mut said, message, &mut items);
                items.extend(call.signature.as_ref().filter(|_| told).map(|kept| sealed_item(kept)));
                function_call(call, told)
            }
            Part::Reasoning { text, signature } => match thought(text, signature.as_deref(), told) {
                Some(item) => item,
                None => {
                    gate.without(format!("{at}.content[{place}] (reasoning of another provider)"));
                    continue;
                }
            },
            Part::Redacted { data } if told => sealed_item(data),
            Part::Redacted { .. } => {
                gate.without(format!("{at}.content[{place}] (reasoning of another provider)"));
                continue;
            }
            part => {
                match encode_part(part, message.speaker) {
                    Some(value) => said.push(value),
                    None => gate.cannot(format!("{at}.content[{place}] ({})", kind_of(part)))?,
                }
                continue;
            }
        };
        flush(&mut said, message, &mut items);
        items.push(item);
    }
    if message.speaker == Speaker::Tool {
        let output = match &said[..] {
            [] => json!(""),
            [only] if only["type"] == "input_text" => only["text"].clone(),
            _ => said.into(),
        };
        return Ok(vec![
            json!({"type": "function_call_output", "call_id": message.tool_call_id, "output": output}),
        ]);
    }
    flush(&mut said, message, &mut items);
    Ok(items)
}

/// Whether a part that only the dialect knows stands in a message, rather than being an item.
fn is_content(value: &Value) -> bool {
    value["type"].as_str().is_some_and(|kind| kind.starts_with("input_") || kind.starts_with("output_"))
}

fn flush(said: &mut Vec<Value>, message: &Message, items: &mut Vec<Value>) {
    if said.is_empty() {
        return;
    }
    let role = match message.speaker {
        Speaker::System => "system",
        Speaker::Developer => "developer",
        Speaker::Assistant => "assistant",
        Speaker::User | Speaker::Tool => "user",
    };
    items.push(json!({"type": "message", "role": role, "content": std::mem::take(said)}));
}

fn annotate(said: &mut [Value], annotation: Value) {
    if let Some(text) = said.last_mut().and_then(Value::as_object_mut) {
        let annotations = text.entry("annotations").or_insert_with(|| json!([]));
        if let Some(annotations) = annotations.as_array_mut() {
            annotations.push(annotation);
        }
    }
}

/// What a caller keeps without reading it: a thought that is not shown, or what a call was signed with, for which
/// the call has no place.
pub(super) fn sealed_item(kept: &str) -> Value {
    json!({"type": "reasoning", "summary": [], "encrypted_content": sealed::told(NAME, kept)})
}

fn function_call(call: &ToolCall, told: bool) -> Value {
    let mut item = json!({
        "type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments,
    });
    if told {
        item["id"] = format!("fc_{}", call.id).into();
        item["status"] = "completed".into();
    }
    item
}

/// The item of a thought: its provider's own, or for a caller one that carries another's seal.
pub(super) fn thought(text: &str, signature: Option<&str>, told: bool) -> Option<Value> {
    let own = signature.and_then(|kept| sealed::open(NAME, kept));
    if let Some(item @ Value::Object(_)) = own.and_then(|own| serde_json::from_str(own).ok()) {
        return Some(item);
    }
    let summary = if text.is_empty() { json!([]) } else { json!([{"type": "summary_text", "text": text}]) };
    told.then(|| json!({"type": "reasoning", "summary": summary, "encrypted_content": signature}))
}

fn encode_part(part: &Part, speaker: Speaker) -> Option<Value> {
    Some(match part {
        Part::Text { text } if speaker == Speaker::Assistant => {
            json!({"type": "output_text", "text": text, "annotations": []})
        }
        Part::Text { text } => json!({"type": "input_text", "text": text}),
        Part::Refusal { text } => json!({"type": "refusal", "refusal": text}),
        Part::Image { url, detail } => {
            json!({"type": "input_image", "image_url": url, "detail": detail.as_deref().unwrap_or("auto")})
        }
        Part::File { url, name } if url.starts_with("data:") => {
            json!({"type": "input_file", "file_data": url, "filename": name.as_deref().unwrap_or("document")})
        }
        Part::File { url, .. } => json!({"type": "input_file", "file_url": url}),
        Part::Audio { data, media_type } => {
            let format = media_type.strip_prefix("audio/").unwrap_or(media_type);
            json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
        }
        _ => return None,
    })
}
