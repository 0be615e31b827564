//! What models answer, told apart by its shape.

use maof_core::media::TranscribeAnswer;
use maof_core::{
    Answer, ChatAnswer, Choice, Content, EmbedAnswer, Error, Finish, Message, Operation, Response, Result,
    Speaker,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::dialect::picture::{self, malformed};
use crate::dialect::said;

/// Members in which tasks that write give their text.
const TEXTS: [&str; 3] = ["generated_text", "summary_text", "translation_text"];

pub(super) fn decode(operation: Operation, content: &Content) -> Result<Response> {
    if operation == Operation::Image && content.content_type.starts_with("image/") {
        return Ok(picture::made(&content.content_type, &picture::base64(&content.bytes)));
    }
    let body: Value = serde_json::from_slice(&content.bytes).map_err(malformed)?;
    if let Some(error) = body.get("error").filter(|error| !error.is_null()) {
        return Err(said::inside(&error.to_string()));
    }
    match operation {
        Operation::Chat => Ok(Response::chat(written(&body))),
        Operation::Embed => vectors(body).map(|answer| Response::typed(Answer::Embed(answer))),
        Operation::Transcribe => heard(body).map(|answer| Response::typed(Answer::Transcribe(answer))),
        _ => Err(malformed("there is no picture")),
    }
}

/// The text of each answer; what is neither a text nor a classification is told as the JSON that it is.
fn written(body: &Value) -> ChatAnswer {
    if let Some(classes) = classes(body) {
        return ChatAnswer::text(classes.to_string());
    }
    let items = body.as_array().map_or_else(|| std::slice::from_ref(body), Vec::as_slice);
    let choices: Option<Vec<Choice>> = items.iter().map(choice).collect();
    match choices {
        Some(choices) if !choices.is_empty() => ChatAnswer { choices, ..ChatAnswer::default() },
        _ => ChatAnswer::text(body.to_string()),
    }
}

fn choice(item: &Value) -> Option<Choice> {
    let text = TEXTS.iter().find_map(|name| item[*name].as_str())?;
    // Text generation says why it stopped, where a caller asks for `parameters.details`.
    let finish = match item["details"]["finish_reason"].as_str() {
        Some("length") => Finish::Length,
        _ => Finish::Stop,
    };
    let message = Message::text(Speaker::Assistant, text);
    Some(Choice { message, finish: Some(finish), rest: Map::new() })
}

#[derive(Deserialize)]
struct Class {
    label: String,
    score: f64,
}

/// The best class, and each with its score, best first. One text was asked about, so there is one list, bare or in a list.
fn classes(body: &Value) -> Option<Value> {
    let list = match body {
        Value::Array(outer) if matches!(outer.as_slice(), [Value::Array(_)]) => &outer[0],
        other => other,
    };
    let mut classes = Vec::<Class>::deserialize(list).ok()?;
    classes.sort_by(|a, b| b.score.total_cmp(&a.score));
    let best = classes.first()?;
    let scores: Vec<Value> =
        classes.iter().map(|class| json!({"label": class.label, "score": class.score})).collect();
    Some(json!({"label": best.label, "score": best.score, "scores": scores}))
}

fn vectors(body: Value) -> Result<EmbedAnswer> {
    match Vec::<Vec<f32>>::deserialize(&body) {
        Ok(vectors) => Ok(EmbedAnswer { vectors }),
        Err(_) if body[0][0].is_array() => {
            let why =
                "the model gives a vector for each token, not for each text; use a sentence-embedding model";
            Err(Error::protocol(why))
        }
        Err(e) => Err(malformed(e)),
    }
}

fn heard(body: Value) -> Result<TranscribeAnswer> {
    let Value::Object(mut rest) = body else { return Err(malformed("there is no text")) };
    match rest.remove("text") {
        Some(Value::String(text)) => Ok(TranscribeAnswer { text, duration_ms: None, rest }),
        _ => Err(malformed("there is no text")),
    }
}
