//! What upstreams answer as a whole: checked and measured at once, understood when somebody asks.

use maof_core::{
    Answer, ChatAnswer, Choice, Content, Error, Message, Operation, Response, Result, Speaker, Unit,
};
use serde_json::{Map, Value};

use super::wire::{self, NAME, UsageCounts};
use super::{RESPONSES, item};
use crate::dialect::object::Object;
use crate::dialect::said;

/// Checks an answer and takes from it what is routed, billed and logged; the bytes stay as they came.
pub(super) fn decode(content: Content) -> Result<Response> {
    let object = Object::parse(&content.bytes).map_err(malformed)?;
    if let Some(raw) = object.get("error") {
        return Err(said::inside(raw));
    }
    let output: Vec<Value> = object.read("output").ok_or_else(|| malformed("there is no output"))?;
    let status = serde_json::json!({
        "status": object.text("status"), "incomplete_details": object.read::<Value>("incomplete_details"),
    });
    let finish = wire::finish_of(&status, wants_tools(&output));
    let searches = wire::searches(&object.read("tool_usage").unwrap_or_default(), &output);
    let usage =
        object.read::<UsageCounts>("usage").map(|counts| counts.usage().with(Unit::ServerTool, searches));
    let (id, model) = (object.text("id"), object.text("model"));
    let mut response = Response::wire(Operation::Chat, &RESPONSES, content);
    response.usage = usage;
    response.finish = finish;
    response.id = id;
    response.model = model;
    Ok(response)
}

pub(super) fn malformed(cause: impl std::fmt::Display) -> Error {
    Error::protocol("the upstream's answer is not what its API promises").because(cause.to_string())
}

pub(super) fn wants_tools(output: &[Value]) -> bool {
    output.iter().any(|item| item["type"] == "function_call")
}

/// The typed answer.
pub(super) fn answer(body: &[u8]) -> Result<Answer> {
    let body: Value = serde_json::from_slice(body).map_err(malformed)?;
    let output = body["output"].as_array().ok_or_else(|| malformed("there is no output"))?;
    let message = Message::of(Speaker::Assistant, output.iter().flat_map(item::decode).collect());
    let finish = wire::finish_of(&body, wants_tools(output));
    let choice = Choice { message, finish, rest: Map::new() };
    Ok(Answer::Chat(ChatAnswer { choices: vec![choice], spoken: Some(NAME), ..ChatAnswer::default() }))
}
