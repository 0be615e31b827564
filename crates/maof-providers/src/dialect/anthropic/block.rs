//! Content blocks, from the dialect and into it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maof_core::{Part, Result, ToolCall};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::wire::NAME;
use crate::dialect::gate::{Gate, kind_of};
use crate::dialect::object::Object;
use crate::dialect::sealed::{self, seal};

/// What follows a text that has citations: each in a part of its own.
const CITATION: &str = "citation";

/// One block in MAOF's words; what they cannot say stays as it came. A text with citations is several parts.
/// Hints that are not carried are named in `unspoken`; `at` is the block's place.
pub(super) fn decode(
    raw: &RawValue,
    at: &str,
    unspoken: &mut Vec<String>,
) -> Result<Vec<Part>, serde_json::Error> {
    let object = Object::parse(raw.get().as_bytes())?;
    if object.get("cache_control").is_some() {
        unspoken.push(format!("{at}.cache_control"));
    }
    let part = match object.text("type").as_deref() {
        Some("text") => return text(&object),
        Some("thinking") => object.text("thinking").map(|text| Part::Reasoning {
            text,
            signature: object.text("signature").filter(|s| !s.is_empty()).map(|s| seal(NAME, &s)),
        }),
        Some("redacted_thinking") => {
            object.text("data").map(|data| Part::Redacted { data: seal(NAME, &data) })
        }
        Some("tool_use") => object.text("id").zip(object.text("name")).map(|(id, name)| {
            let arguments = object.get("input").unwrap_or("{}").to_owned();
            Part::ToolCall(ToolCall { id, name, arguments, signature: None })
        }),
        Some("image") => source(&object).map(|url| Part::Image { url, detail: None }),
        // Its text is context of its own, and citations change the answer.
        Some("document") if object.get("context").is_none() && !cites(&object) => {
            source(&object).map(|url| Part::File { url, name: object.text("title") })
        }
        _ => None,
    };
    match part {
        Some(part) => Ok(vec![part]),
        None => Ok(vec![Part::Other { value: serde_json::from_str(raw.get())? }]),
    }
}

fn text(object: &Object<'_>) -> Result<Vec<Part>, serde_json::Error> {
    let mut parts = vec![Part::text(object.text("text").unwrap_or_default())];
    let citations: Vec<Value> = object.read("citations").unwrap_or_default();
    parts.extend(citations.into_iter().map(citation));
    Ok(parts)
}

/// A citation of the text before it.
pub(super) fn citation(citation: Value) -> Part {
    Part::Other { value: json!({"type": CITATION, "citation": citation}) }
}

fn cites(document: &Object<'_>) -> bool {
    document.read::<Value>("citations").is_some_and(|citations| citations["enabled"] == true)
}

/// Where a picture or a document is, if MAOF's words can say it.
fn source(object: &Object<'_>) -> Option<String> {
    let source: Value = object.read("source")?;
    let text = |name: &str| source[name].as_str();
    match text("type")? {
        "url" => text("url").map(str::to_owned),
        "base64" => Some(format!("data:{};base64,{}", text("media_type")?, text("data")?)),
        "text" => Some(format!("data:{};base64,{}", text("media_type")?, STANDARD.encode(text("data")?))),
        _ => None,
    }
}

/// How blocks are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Whether parts that only a dialect knows are another's.
    pub(super) foreign: bool,
    /// Whether they are told to a caller, rather than asked of an upstream.
    pub(super) told: bool,
}

/// The blocks of a message's parts. What has no words is judged by `gate`; `at` is the message's place.
pub(super) fn encode(parts: &[Part], manner: Manner, at: &str, gate: &mut Gate) -> Result<Vec<Value>> {
    let Manner { foreign, told } = manner;
    let read = |kept, told| if told { Some(sealed::told(NAME, kept)) } else { sealed::open(NAME, kept) };
    let mut blocks: Vec<Value> = Vec::with_capacity(parts.len());
    for (place, part) in parts.iter().enumerate() {
        let block = match part {
            // Empty texts are refused by Anthropic.
            Part::Text { text } | Part::Refusal { text } if text.is_empty() => continue,
            Part::Text { text } | Part::Refusal { text } => json!({"type": "text", "text": text}),
            Part::Reasoning { text, signature } => match signature.as_deref().and_then(|s| read(s, told)) {
                Some(signature) => json!({"type": "thinking", "thinking": text, "signature": signature}),
                None if told => json!({"type": "thinking", "thinking": text, "signature": ""}),
                // Only thoughts that Anthropic has signed are taken back.
                None => {
                    gate.without(format!("{at}.content[{place}] (reasoning that is not signed)"));
                    continue;
                }
            },
            Part::Redacted { data } => match read(data, told) {
                Some(data) => json!({"type": "redacted_thinking", "data": data}),
                None => {
                    gate.without(format!("{at}.content[{place}] (reasoning of another provider)"));
                    continue;
                }
            },
            Part::ToolCall(call) => {
                // A call has no place for a signature here; who gave it knows it ahead of the call.
                let signature = call.signature.as_ref().filter(|_| told);
                blocks.extend(signature.map(|data| json!({"type": "redacted_thinking", "data": data})));
                tool_use(call, at, gate)?
            }
            Part::Image { url, detail } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    gate.without(format!("{at}.content[{place}].detail"));
                }
                json!({"type": "image", "source": source_of(url)})
            }
            Part::File { url, name } => {
                let mut block = json!({"type": "document", "source": source_of(url)});
                if let Some(name) = name {
                    block["title"] = json!(name);
                }
                block
            }
            Part::Other { value } if !foreign && value["type"] == CITATION => {
                cite(&mut blocks, value["citation"].clone());
                continue;
            }
            Part::Other { value } if !foreign => value.clone(),
            other => {
                gate.cannot(format!("{at}.content[{place}] ({})", kind_of(other)))?;
                continue;
            }
        };
        blocks.push(block);
    }
    Ok(blocks)
}

/// Adds a citation to the text before it.
fn cite(blocks: &mut [Value], citation: Value) {
    if let Some(text) = blocks.last_mut().and_then(Value::as_object_mut) {
        let citations = text.entry("citations").or_insert_with(|| json!([]));
        if let Some(citations) = citations.as_array_mut() {
            citations.push(citation);
        }
    }
}

/// Arguments must be an object here; a model's that are none are shown as what they are.
fn tool_use(call: &ToolCall, at: &str, gate: &mut Gate) -> Result<Value> {
    let arguments = if call.arguments.trim().is_empty() { "{}" } else { call.arguments.as_str() };
    let input = match serde_json::from_str::<Value>(arguments) {
        Ok(input @ Value::Object(_)) => input,
        _ => {
            gate.cannot(format!("{at}.tool_calls.{}.arguments (no JSON object)", call.name))?;
            json!({"arguments": call.arguments})
        }
    };
    Ok(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input}))
}

fn source_of(url: &str) -> Value {
    let data = url.strip_prefix("data:").and_then(|data| data.split_once(";base64,"));
    let Some((media_type, data)) = data else { return json!({"type": "url", "url": url}) };
    let text = (media_type == "text/plain").then(|| STANDARD.decode(data).ok()).flatten();
    match text.and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(text) => json!({"type": "text", "media_type": media_type, "data": text}),
        None => json!({"type": "base64", "media_type": media_type, "data": data}),
    }
}

/// Whether a citation's word is meant for the dialect `NAME` alone.
pub(super) const fn spoken() -> Option<&'static str> {
    Some(NAME)
}
