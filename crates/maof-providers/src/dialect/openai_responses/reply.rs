//! What callers receive as a whole: bytes of the dialect as they came, everything else written in its words.

use maof_core::{Answer, Body, Call, Content, Envelope, Error, Response, Result};
use serde_json::{Map, Value, json};

use super::item::{self, Manner};
use super::wire::{self, NAME};
use crate::dialect::gate::{Gate, is_foreign};

/// A whole reply.
pub(super) fn encode(call: &Call, reply: &Response, envelope: &Envelope) -> Result<Content> {
    if let Some(content) = reply.content_of(NAME) {
        return Ok(content.clone());
    }
    let Answer::Chat(answer) = reply.answer()? else {
        return Err(Error::internal("the answer is no conversation's and has no words here"));
    };
    let named = |given: &Option<String>, own: &str| match given {
        Some(given) if !given.is_empty() => given.clone(),
        _ => own.to_owned(),
    };
    let envelope = Envelope {
        id: named(&reply.id, &envelope.id),
        model: named(&reply.model, &envelope.model),
        ..envelope.clone()
    };
    let mut response = opening(call, &envelope);
    let manner = Manner { foreign: is_foreign(answer.spoken, NAME), told: true };
    // The dialect has one choice.
    if let Some(choice) = answer.choices.first() {
        let mut items = item::encode(&choice.message, manner, "", &mut Gate::of_answer(NAME))?;
        for (at, item) in items.iter_mut().enumerate() {
            complete(item, at, &envelope.id);
        }
        response["output"] = items.into();
        let (status, incomplete) = wire::status_of(choice.finish.as_ref());
        response["status"] = status.into();
        response["incomplete_details"] = incomplete;
    }
    response["usage"] = wire::counts(&reply.usage.unwrap_or_default());
    Ok(Content::json(response.to_string()))
}

/// Gives an item of an answer what it must have: an id, and for what was said that it is complete.
pub(super) fn complete(item: &mut Value, at: usize, answer: &str) {
    let kind = match item["type"].as_str() {
        Some("message") => "msg",
        Some("reasoning") => "rs",
        Some("function_call") => "fc",
        _ => return,
    };
    if item["id"].is_null() {
        item["id"] = format!("{kind}_{at}_{}", answer.trim_start_matches("resp_")).into();
    }
    if kind != "rs" && item["status"].is_null() {
        item["status"] = "completed".into();
    }
}

/// A response that has said nothing yet: what the caller asked for is told back, as the API does.
pub(super) fn opening(call: &Call, envelope: &Envelope) -> Value {
    let asked: Map<String, Value> = match &call.body {
        Body::Wire(wire) if wire.dialect.name() == NAME => {
            serde_json::from_slice(&wire.bytes).unwrap_or_default()
        }
        _ => Map::new(),
    };
    let said = |name: &str, otherwise: Value| match asked.get(name) {
        Some(value) if !value.is_null() => value.clone(),
        _ => otherwise,
    };
    json!({
        "id": envelope.id, "object": "response", "created_at": envelope.created, "status": "in_progress",
        "error": null, "incomplete_details": null, "instructions": said("instructions", Value::Null),
        "max_output_tokens": said("max_output_tokens", Value::Null), "model": envelope.model, "output": [],
        "parallel_tool_calls": said("parallel_tool_calls", true.into()), "previous_response_id": null,
        "reasoning": said("reasoning", json!({"effort": null, "summary": null})), "store": false,
        "temperature": said("temperature", json!(1.0)), "text": said("text", json!({"format": {"type": "text"}})),
        "tool_choice": said("tool_choice", "auto".into()), "tools": said("tools", json!([])),
        "top_p": said("top_p", json!(1.0)), "truncation": "disabled", "usage": null,
        "user": said("user", Value::Null), "metadata": said("metadata", json!({})),
    })
}
