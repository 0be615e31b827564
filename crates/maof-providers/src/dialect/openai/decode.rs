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

use super::usage::UsageCounts;
use super::wire::{self, NAME};
use super::{media, message};
use crate::dialect::object::{Object, elements_at, members_at, plain};
use crate::dialect::{said, scan};

/// Checks an answer and takes from it what is routed, billed and logged; the bytes stay as they came.
pub(super) fn decode(dialect: &'static dyn Dialect, call: &Call, content: Content) -> Result<Response> {
    let operation = call.operation();
    if !matches!(operation, Operation::Chat | Operation::Embed) {
        return media::decode(dialect, call, content);
    }
    let facts = match (operation, std::str::from_utf8(&content.bytes)) {
        (Operation::Chat, Ok(text)) => quick_facts(text),
        _ => None,
    };
    // Two ways to read: quickly, and so that it is said what is wrong.
    let facts = match facts {
        Some(facts) => facts,
        None => facts_of(operation, &Object::parse(&content.bytes).map_err(malformed)?)?,
    };
    let text = |raw: Option<&str>| raw.and_then(plain).map(Cow::into_owned);
    let finish = facts.finish.map(|word| wire::finish_of(&word));
    let (id, model) = (text(facts.id), text(facts.model));
    let usage = facts.usage.map(|counts| counts.usage());
    let mut response = Response::wire(operation, dialect, content);
    response.usage = usage;
    response.finish = finish;
    response.id = id;
    response.model = model;
    Ok(response)
}

/// What is routed, billed and logged of an answer, as it stands there.
struct Facts<'a> {
    id: Option<&'a str>,
    model: Option<&'a str>,
    usage: Option<UsageCounts>,
    /// Why the first choice ended.
    finish: Option<Cow<'a, str>>,
}

fn facts_of<'a>(operation: Operation, object: &Object<'a>) -> Result<Facts<'a>> {
    if let Some(raw) = object.get("error") {
        return Err(said::inside(raw));
    }
    let finish = match operation {
        Operation::Chat => first_finish(object)?,
        _ => {
            check_vectors(object)?;
            None
        }
    };
    let usage = object.get("usage").and_then(UsageCounts::read);
    Ok(Facts { id: object.get("id"), model: object.get("model"), usage, finish })
}

/// The facts of a conversation's answer that is as answers are: no error, each member once, names without escapes. None
/// for any other, well-formed or not.
fn quick_facts(text: &str) -> Option<Facts<'_>> {
    let bytes = text.as_bytes();
    let (mut id, mut model, mut usage, mut finish) = (None, None, None, None);
    let end = members_at(text, scan::blank(bytes, 0), |name, at| {
        let member = match name {
            r#""choices""# => {
                let (first, end) = quick_finish(text, at)?;
                return finish.replace(first).is_none().then_some(end);
            }
            r#""id""# => &mut id,
            r#""model""# => &mut model,
            r#""usage""# => {
                let (counts, end) = UsageCounts::quick(text, at)?;
                return usage.replace(counts).is_none().then_some(end);
            }
            r#""error""# => return text.get(at..)?.starts_with("null").then_some(at + 4),
            name if name.contains('\\') => return None,
            _ => return scan::value(bytes, at),
        };
        let end = scan::value(bytes, at)?;
        member.replace(text.get(at..end)?).is_none().then_some(end)
    })?;
    let said = |raw: Option<_>| raw.filter(|raw| *raw != "null");
    let whole = scan::blank(bytes, end) == bytes.len();
    whole.then_some(Facts { id: said(id), model: said(model), usage, finish: finish? })
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
    let mut heads: Vec<Head<'a>> = serde_json::from_str(raw).map_err(malformed)?;
    match heads.is_empty() {
        true => Err(malformed("there are no choices")),
        false => Ok(heads.swap_remove(0).finish_reason),
    }
}

/// Why the first of the choices that begin at `at` has ended, if that is said, and where they end; none when one of them
/// is no choice, or unusual.
fn quick_finish(text: &str, at: usize) -> Option<(Option<Cow<'_, str>>, usize)> {
    let mut first = None;
    let end = elements_at(text, at, |at| {
        let (mut message, mut reason) = (None, None);
        let end = members_at(text, at, |name, at| {
            let end = scan::value(text.as_bytes(), at)?;
            let place = match name {
                r#""message""# => &mut message,
                r#""finish_reason""# => &mut reason,
                other => return (!other.contains('\\')).then_some(end),
            };
            place.replace(text.get(at..end)?).is_none().then_some(end)
        })?;
        message?;
        let reason = match reason.filter(|reason| *reason != "null") {
            Some(word) => Some(plain(word)?),
            None => None,
        };
        first.get_or_insert(reason);
        Some(end)
    })?;
    Some((first?, end))
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
