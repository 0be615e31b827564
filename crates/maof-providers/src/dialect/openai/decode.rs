//! What upstreams answer as a whole: checked and measured at once, understood when somebody asks.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maof_core::{
    Answer, Call, ChatAnswer, Choice, Content, Dialect, EmbedAnswer, Error, Operation, Response, Result,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::wire::{self, NAME, UsageCounts};
use super::{media, message};
use crate::dialect::object::{Object, elements_at, members_at, plain};
use crate::dialect::{said, scan};

/// Checks an answer and takes from it what is routed, billed and logged; the bytes stay as they came.
pub(super) fn decode(dialect: &'static dyn Dialect, call: &Call, content: Content) -> Result<Response> {
    let operation = call.operation();
    if !matches!(operation, Operation::Chat | Operation::Embed) {
        return media::decode(dialect, call, content);
    }
    let object = Object::parse(&content.bytes).map_err(malformed)?;
    if let Some(raw) = object.get("error") {
        return Err(said::inside(raw));
    }
    let finish = match operation {
        Operation::Chat => first_finish(&object)?,
        _ => {
            check_vectors(&object)?;
            None
        }
    };
    let finish = finish.as_deref().map(wire::finish_of);
    let usage = object.read::<UsageCounts>("usage").map(|counts| counts.usage());
    let (id, model) = (object.text("id"), object.text("model"));
    let mut response = Response::wire(operation, dialect, content);
    response.usage = usage;
    response.finish = finish;
    response.id = id;
    response.model = model;
    Ok(response)
}

fn malformed(cause: impl std::fmt::Display) -> Error {
    Error::protocol("the upstream's answer is not what its API promises").because(cause.to_string())
}

fn first_finish<'a>(object: &Object<'a>) -> Result<Option<Cow<'a, str>>> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(rename = "message")]
        _message: IgnoredAny,
        #[serde(borrow, default)]
        finish_reason: Option<Cow<'a, str>>,
    }
    let raw = object.get("choices").ok_or_else(|| malformed("there are no choices"))?;
    // Two ways to read: quickly, and so that it is said what is wrong.
    if let Some(first) = quick_finish(raw) {
        return Ok(first);
    }
    let mut heads: Vec<Head<'a>> = serde_json::from_str(raw).map_err(malformed)?;
    match heads.is_empty() {
        true => Err(malformed("there are no choices")),
        false => Ok(heads.swap_remove(0).finish_reason),
    }
}

/// Why the first of these choices has ended, if that is said; none when one of them is no choice, or unusual.
fn quick_finish(raw: &str) -> Option<Option<Cow<'_, str>>> {
    let mut first = None;
    let end = elements_at(raw, 0, |at| {
        let (mut message, mut reason) = (None, None);
        let end = members_at(raw, at, |name, at| {
            let end = scan::value(raw.as_bytes(), at)?;
            let place = match name {
                r#""message""# => &mut message,
                r#""finish_reason""# => &mut reason,
                other => return (!other.contains('\\')).then_some(end),
            };
            place.replace(raw.get(at..end)?).is_none().then_some(end)
        })?;
        message?;
        let reason = match reason.filter(|reason| *reason != "null") {
            Some(word) => Some(plain(word)?),
            None => None,
        };
        first.get_or_insert(reason);
        Some(end)
    })?;
    first.filter(|_| end == raw.len())
}

fn check_vectors(object: &Object<'_>) -> Result<()> {
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "embedding")]
        _embedding: IgnoredAny,
    }
    let raw = object.get("data").ok_or_else(|| malformed("there is no data"))?;
    serde_json::from_str::<Vec<Head>>(raw).map(drop).map_err(malformed)
}

/// The typed answer.
pub(super) fn answer(operation: Operation, content: &Content) -> Result<Answer> {
    match operation {
        Operation::Chat => chat(&content.bytes).map(Answer::Chat),
        Operation::Embed => embed(&content.bytes).map(Answer::Embed),
        _ => media::answer(operation, content),
    }
}

#[derive(Deserialize)]
struct ChatBody {
    choices: Vec<ChoiceBody>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize)]
struct ChoiceBody {
    #[serde(default)]
    index: Option<u64>,
    message: wire::Message,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

fn chat(body: &[u8]) -> Result<ChatAnswer> {
    let mut body: ChatBody = serde_json::from_slice(body).map_err(malformed)?;
    body.choices.sort_by_key(|choice| choice.index.unwrap_or(0));
    for known in ["id", "model", "usage", "object", "created"] {
        body.rest.remove(known);
    }
    let choice = |choice: ChoiceBody| {
        Ok(Choice {
            message: message::decode(choice.message, |why| malformed(why))?,
            finish: choice.finish_reason.as_deref().map(wire::finish_of),
            rest: choice.rest,
        })
    };
    let choices = body.choices.into_iter().map(choice).collect::<Result<_>>()?;
    Ok(ChatAnswer { choices, rest: body.rest, spoken: Some(NAME) })
}

#[derive(Deserialize)]
struct EmbedBody {
    data: Vec<VectorBody>,
}

#[derive(Deserialize)]
struct VectorBody {
    #[serde(default)]
    index: u64,
    embedding: Vector,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Vector {
    Plain(Vec<f32>),
    Base64(String),
}

fn embed(body: &[u8]) -> Result<EmbedAnswer> {
    let mut body: EmbedBody = serde_json::from_slice(body).map_err(malformed)?;
    body.data.sort_by_key(|vector| vector.index);
    let vectors = body.data.into_iter().map(|vector| match vector.embedding {
        Vector::Plain(numbers) => Ok(numbers),
        Vector::Base64(text) => from_base64(&text),
    });
    Ok(EmbedAnswer { vectors: vectors.collect::<Result<_>>()? })
}

/// Little-endian 32-bit floats.
fn from_base64(text: &str) -> Result<Vec<f32>> {
    let bytes = STANDARD.decode(text).map_err(malformed)?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    match rest {
        [] => Ok(numbers.iter().map(|four| f32::from_le_bytes(*four)).collect()),
        _ => Err(malformed("a vector's bytes are no multiple of four")),
    }
}
