//! A whole answer as a caller of each dialect reads it.

use serde_json::Value;

use super::Tongue;

/// What an answer says in the words that all dialects have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// What was thought aloud.
    pub thought: String,
    /// What was said.
    pub text: String,
    /// Tools and their arguments.
    pub calls: Vec<(String, Value)>,
    /// What the dialect says the thoughts are signed with, in order.
    pub signatures: Vec<String>,
    /// Why it ended, in the dialect's word.
    pub finish: String,
    /// Tokens that went in and came out, all classes.
    pub tokens: (u64, u64),
}

pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Arguments as JSON; what is no JSON stays a text.
pub(super) fn arguments(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

impl Heard {
    /// Reads a whole answer.
    pub fn whole(tongue: Tongue, answer: &Value) -> Heard {
        match tongue {
            Tongue::Chat => chat(answer),
            Tongue::Responses => response(answer),
            Tongue::Messages => message(answer),
            Tongue::Contents => contents(std::slice::from_ref(answer)),
        }
    }
}

fn chat(answer: &Value) -> Heard {
    let choice = &answer["choices"][0];
    let message = &choice["message"];
    let calls = items(&message["tool_calls"]).iter().map(|call| {
        let function = &call["function"];
        (text(&function["name"]), arguments(function["arguments"].as_str().unwrap_or_default()))
    });
    Heard {
        thought: text(&message["reasoning_content"]),
        text: text(&message["content"]) + &text(&message["refusal"]),
        calls: calls.collect(),
        signatures: Vec::new(),
        finish: text(&choice["finish_reason"]),
        tokens: chat_tokens(&answer["usage"]),
    }
}

pub(super) fn chat_tokens(usage: &Value) -> (u64, u64) {
    let count = |key: &str| usage[key].as_u64().unwrap_or_default();
    (count("prompt_tokens"), count("completion_tokens"))
}

pub(super) fn response(answer: &Value) -> Heard {
    let mut heard = Heard::default();
    for item in items(&answer["output"]) {
        match item["type"].as_str() {
            Some("reasoning") => {
                let summary = items(&item["summary"]).iter().chain(items(&item["content"]));
                heard.thought.extend(summary.map(|part| text(&part["text"])));
                heard.signatures.extend(item["encrypted_content"].as_str().map(str::to_owned));
            }
            Some("message") => {
                let parts = items(&item["content"]).iter();
                heard.text.extend(parts.map(|part| text(&part["text"]) + &text(&part["refusal"])));
            }
            Some("function_call") => {
                let arguments = arguments(item["arguments"].as_str().unwrap_or_default());
                heard.calls.push((text(&item["name"]), arguments));
            }
            _ => {}
        }
    }
    heard.finish = text(&answer["status"]) + &text(&answer["incomplete_details"]["reason"]);
    let count = |key: &str| answer["usage"][key].as_u64().unwrap_or_default();
    heard.tokens = (count("input_tokens"), count("output_tokens"));
    heard
}

fn message(answer: &Value) -> Heard {
    let mut heard = Heard::default();
    for block in items(&answer["content"]) {
        match block["type"].as_str() {
            Some("thinking") => {
                heard.thought.push_str(&text(&block["thinking"]));
                heard.signatures.extend(block["signature"].as_str().map(str::to_owned));
            }
            Some("redacted_thinking") => heard.signatures.push(text(&block["data"])),
            Some("text") => heard.text.push_str(&text(&block["text"])),
            Some("tool_use") => heard.calls.push((text(&block["name"]), block["input"].clone())),
            _ => {}
        }
    }
    heard.signatures.retain(|signature| !signature.is_empty());
    heard.finish = text(&answer["stop_reason"]);
    heard.tokens = message_tokens(&answer["usage"]);
    heard
}

pub(super) fn message_tokens(usage: &Value) -> (u64, u64) {
    let count = |key: &str| usage[key].as_u64().unwrap_or_default();
    let input =
        count("input_tokens") + count("cache_creation_input_tokens") + count("cache_read_input_tokens");
    (input, count("output_tokens"))
}

/// A whole answer, or the chunks of a stream: the dialect has one shape for both.
pub(super) fn contents(chunks: &[Value]) -> Heard {
    let mut heard = Heard::default();
    for chunk in chunks {
        let first = |candidate: &&Value| candidate["index"].as_u64().unwrap_or(0) == 0;
        let candidate = items(&chunk["candidates"]).iter().find(first).unwrap_or(&Value::Null);
        for part in items(&candidate["content"]["parts"]) {
            match (part["functionCall"].as_object(), part["thought"] == Value::Bool(true)) {
                (Some(call), _) => {
                    let input = call.get("args").cloned().unwrap_or_else(|| serde_json::json!({}));
                    heard.calls.push((text(&call["name"]), input));
                }
                (None, true) => heard.thought.push_str(&text(&part["text"])),
                (None, false) => heard.text.push_str(&text(&part["text"])),
            }
            heard.signatures.extend(part["thoughtSignature"].as_str().map(str::to_owned));
        }
        if let Some(finish) = candidate["finishReason"].as_str() {
            finish.clone_into(&mut heard.finish);
        }
        let usage = &chunk["usageMetadata"];
        if usage.is_object() {
            let count = |key: &str| usage[key].as_u64().unwrap_or_default();
            let input = count("promptTokenCount") + count("toolUsePromptTokenCount");
            heard.tokens = (input, count("candidatesTokenCount") + count("thoughtsTokenCount"));
        }
    }
    heard
}
