//! What upstreams answer as a whole: checked and measured at once, understood when somebody asks.

use maof_core::{
    Answer, ChatAnswer, Choice, Content, EmbedAnswer, Error, Finish, Message, Operation, Response, Result,
    Speaker, Unit, Usage,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::GEMINI;
use super::part;
use super::wire::{self, NAME, UsageCounts};
use crate::dialect::object::Object;
use crate::dialect::said;

/// Checks an answer and takes from it what is routed, billed and logged; the bytes stay as they came.
pub(super) fn decode(operation: Operation, content: Content) -> Result<Response> {
    let object = Object::parse(&content.bytes).map_err(malformed)?;
    if let Some(raw) = object.get("error") {
        return Err(said::inside(raw));
    }
    let wanted = match operation {
        Operation::CountTokens => "totalTokens",
        Operation::Embed => "embeddings",
        // A prompt that was blocked has no candidates.
        _ if object.get("promptFeedback").is_some() => "promptFeedback",
        _ => "candidates",
    };
    if object.get(wanted).is_none() {
        return Err(malformed(format!("there is no `{wanted}`")));
    }
    let finish = match operation {
        Operation::Chat => finish(&object),
        _ => None,
    };
    let usage = match operation {
        Operation::CountTokens => Some(Usage::default().with(Unit::Request, 1)),
        _ => object.read::<UsageCounts>("usageMetadata").map(|counts| counts.usage()),
    };
    let (id, model) = (object.text("responseId"), object.text("modelVersion"));
    let mut response = Response::wire(operation, &GEMINI, content);
    response.usage = usage;
    response.finish = finish;
    response.id = id;
    response.model = model;
    Ok(response)
}

pub(super) fn malformed(cause: impl std::fmt::Display) -> Error {
    Error::protocol("the upstream's answer is not what its API promises").because(cause.to_string())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate {
    #[serde(default)]
    pub(super) index: Option<u32>,
    #[serde(default)]
    pub(super) content: Option<Parts>,
    #[serde(default)]
    pub(super) finish_reason: Option<String>,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct Parts {
    #[serde(default)]
    pub(super) parts: Vec<Value>,
}

fn finish(object: &Object<'_>) -> Option<Finish> {
    let candidates: Vec<Candidate> = object.read("candidates").unwrap_or_default();
    let Some(first) = candidates.first() else { return Some(Finish::ContentFilter) };
    let parts = first.content.as_ref().map(|content| content.parts.as_slice()).unwrap_or_default();
    let calls = parts.iter().any(|part| part["functionCall"].is_object());
    first.finish_reason.as_deref().map(|word| wire::finish_of(word, calls))
}

/// The typed answer.
pub(super) fn answer(operation: Operation, body: &[u8]) -> Result<Answer> {
    let object = Object::parse(body).map_err(malformed)?;
    match operation {
        Operation::CountTokens => {
            let count = object.read("totalTokens").ok_or_else(|| malformed("there is no count"))?;
            Ok(Answer::CountTokens(count))
        }
        Operation::Embed => {
            #[derive(Deserialize)]
            struct Vector {
                #[serde(default)]
                values: Vec<f32>,
            }
            let vectors: Option<Vec<Vector>> = object.read("embeddings");
            let vectors = vectors.ok_or_else(|| malformed("there are no embeddings"))?;
            Ok(Answer::Embed(EmbedAnswer { vectors: vectors.into_iter().map(|v| v.values).collect() }))
        }
        _ => chat(&object).map(Answer::Chat),
    }
}

fn chat(object: &Object<'_>) -> Result<ChatAnswer> {
    let raw = object.get("candidates").unwrap_or("[]");
    let candidates: Vec<Candidate> = serde_json::from_str(raw).map_err(malformed)?;
    let id = object.text("responseId").unwrap_or_default();
    let choice = |candidate: Candidate| {
        let parts = candidate.content.map(|content| content.parts).unwrap_or_default();
        let mut message = Message::of(Speaker::Assistant, Vec::new());
        let mut calls = 0;
        for value in &parts {
            let made = part::decode(value, || part::own_id(&id, calls));
            calls += made.iter().filter(|part| matches!(part, maof_core::Part::ToolCall(_))).count();
            message.parts.extend(made);
        }
        let finish = candidate.finish_reason.as_deref().map(|word| wire::finish_of(word, calls > 0));
        Choice { message, finish, rest: candidate.rest }
    };
    let mut choices: Vec<Choice> = candidates.into_iter().map(choice).collect();
    if choices.is_empty() {
        let message = Message::of(Speaker::Assistant, Vec::new());
        choices.push(Choice { message, finish: Some(Finish::ContentFilter), rest: Map::new() });
    }
    let mut rest = Map::new();
    if let Some(feedback) = object.read("promptFeedback") {
        rest.insert("promptFeedback".to_owned(), feedback);
    }
    Ok(ChatAnswer { choices, rest, spoken: Some(NAME) })
}
