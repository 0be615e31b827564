//! What upstreams answer as a whole: checked and measured at once, understood when somebody asks.

use maof_core::{
    Answer, ChatAnswer, Choice, Content, Error, Message, Operation, Response, Result, Speaker, Unit, Usage,
};
use serde_json::value::RawValue;

use super::wire::{self, NAME, UsageCounts};
use super::{ANTHROPIC, block};
use crate::dialect::field::rest;
use crate::dialect::object::Object;
use crate::dialect::said;

/// Checks an answer and takes from it what is routed, billed and logged; the bytes stay as they came.
pub(super) fn decode(operation: Operation, content: Content) -> Result<Response> {
    let object = Object::parse(&content.bytes).map_err(malformed)?;
    if let Some(raw) = object.get("error") {
        return Err(said::inside(raw));
    }
    if operation == Operation::CountTokens {
        count(&object)?;
        let mut response = Response::wire(operation, &ANTHROPIC, content);
        response.usage = Some(Usage::default().with(Unit::Request, 1));
        return Ok(response);
    }
    object.read::<Vec<&RawValue>>("content").ok_or_else(|| malformed("there is no content"))?;
    let usage = object.read::<UsageCounts>("usage").map(|counts| counts.usage());
    let finish = object.text("stop_reason").as_deref().map(wire::stop_of);
    let (id, model) = (object.text("id"), object.text("model"));
    let mut response = Response::wire(operation, &ANTHROPIC, content);
    response.usage = usage;
    response.finish = finish;
    response.id = id;
    response.model = model;
    Ok(response)
}

pub(super) fn malformed(cause: impl std::fmt::Display) -> Error {
    Error::protocol("the upstream's answer is not what its API promises").because(cause.to_string())
}

fn count(object: &Object<'_>) -> Result<u64> {
    object.read("input_tokens").ok_or_else(|| malformed("there is no count"))
}

/// The typed answer.
pub(super) fn answer(operation: Operation, body: &[u8]) -> Result<Answer> {
    let object = Object::parse(body).map_err(malformed)?;
    if operation == Operation::CountTokens {
        return count(&object).map(Answer::CountTokens);
    }
    let blocks: Vec<&RawValue> = object.read("content").ok_or_else(|| malformed("there is no content"))?;
    let mut message = Message::of(Speaker::Assistant, Vec::new());
    for raw in blocks {
        message.parts.extend(block::decode(raw, "content", &mut Vec::new()).map_err(malformed)?);
    }
    let finish = object.text("stop_reason").as_deref().map(wire::stop_of);
    let known = ["id", "type", "role", "model", "content", "stop_reason", "usage"];
    let rest = rest(&object, &known).map_err(malformed)?;
    let choice = Choice { message, finish, rest };
    Ok(Answer::Chat(ChatAnswer { choices: vec![choice], spoken: Some(NAME), ..ChatAnswer::default() }))
}
