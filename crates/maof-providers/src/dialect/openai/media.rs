//! Pictures and sound: `/images/generations`, `/audio/transcriptions` and `/audio/speech`.
//!
//! The shapes are those of OpenAI's API reference (<https://platform.openai.com/docs/api-reference>, read
//! November 2026).

use std::sync::Arc;

use bytes::Bytes;
use maof_core::media::{
    ImageAnswer, ImageRequest, Picture, SpeechAnswer, SpeechRequest, TranscribeAnswer, TranscribeRequest,
};
use maof_core::{
    Answer, Body, Call, Content, Dialect, Envelope, Error, Operation, Outgoing, Response, Result, Unit,
    Usage, Wire,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::wire::NAME;
use crate::dialect::field::{field, model, object, positive, required_text, rest, unambiguous, wrong};
use crate::dialect::gate::{Gate, is_foreign};
use crate::dialect::multipart::{self, Entry, Form};
use crate::dialect::object::Object;
use crate::sound::characters;

/// The most characters of a text to say and of a prompt, so that a hold is bounded.
const MOST_CHARS: usize = 100_000;

fn malformed(cause: impl std::fmt::Display) -> Error {
    Error::protocol("the upstream's answer is not what its API promises").because(cause.to_string())
}

/// Reads what is routed on.
pub(super) fn read(dialect: &'static dyn Dialect, operation: Operation, body: Bytes) -> Result<Wire> {
    let object = object(&body)?;
    if let Some(body) = unambiguous(&object, &body)? {
        return read(dialect, operation, body);
    }
    let model = model(&object)?;
    if field::<bool>(&object, "stream", "true or false")? == Some(true) {
        let how = match operation {
            Operation::Speech => "say `stream_format` for events; sound comes as it is made in any case",
            _ => "leave it out",
        };
        return Err(wrong("stream", format!("`stream` is not offered for `{operation}`; {how}")));
    }
    let text = match operation {
        Operation::Image => {
            positive(&object, "n")?;
            required_text(&object, "prompt", "say what the picture shall show")?
        }
        _ => required_text(&object, "input", "say what shall be spoken")?,
    };
    if text.chars().count() > MOST_CHARS {
        return Err(Error::too_large(format!("the text has more than {MOST_CHARS} characters")));
    }
    let mut wire = Wire::new(dialect, operation, body.clone(), model);
    // Sound passes as it is made, whether as events or as a file's bytes.
    wire.stream = operation == Operation::Speech;
    wire.choices = positive(&object, "n")?.and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
    Ok(wire)
}

/// Reads what is routed on of a form with sound.
pub(super) fn read_form(
    dialect: &'static dyn Dialect,
    content_type: Option<String>,
    body: Bytes,
) -> Result<Wire> {
    let form = Form::parse(content_type.as_deref(), body.clone())?;
    let model = form.text("model")?.map(str::trim).filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| wrong("model", "`model` is missing: name an agent or an endpoint"))?;
    if form.field("file").is_none_or(|file| file.place.is_empty()) {
        return Err(wrong("file", "`file` is missing: send the sound as a file of the form"));
    }
    let stream = match form.text("stream")?.map(str::trim) {
        None | Some("" | "false" | "False") => false,
        Some("true" | "True") => true,
        Some(_) => return Err(wrong("stream", "`stream` must be true or false")),
    };
    let mut wire = Wire::new(dialect, Operation::Transcribe, body, model.to_owned());
    wire.stream = stream;
    wire.content_type = content_type;
    Ok(wire)
}

/// A request in MAOF's words.
pub(super) fn decode_body(wire: &Wire) -> Result<Body> {
    if wire.operation == Operation::Transcribe {
        return transcribe_of(wire).map(|ask| Body::Transcribe(Arc::new(ask)));
    }
    let object = object(&wire.bytes)?;
    if wire.operation == Operation::Image {
        let known = ["model", "prompt", "n", "size", "quality", "output_format"];
        return Ok(Body::Image(Arc::new(ImageRequest {
            prompt: required_text(&object, "prompt", "say what the picture shall show")?,
            count: field(&object, "n", "a whole number of at least 1")?,
            size: field(&object, "size", "a string")?,
            quality: field(&object, "quality", "a string")?,
            format: field(&object, "output_format", "a string")?,
            seed: None,
            rest: rest(&object, &known)?,
            spoken: Some(NAME),
        })));
    }
    let known = ["model", "input", "voice", "response_format", "speed", "instructions"];
    Ok(Body::Speech(Arc::new(SpeechRequest {
        input: required_text(&object, "input", "say what shall be spoken")?,
        voice: field(&object, "voice", "a string")?.unwrap_or_default(),
        format: field(&object, "response_format", "a string")?,
        speed: field(&object, "speed", "a number")?,
        instructions: field(&object, "instructions", "a string")?,
        rest: rest(&object, &known)?,
    })))
}

fn transcribe_of(wire: &Wire) -> Result<TranscribeRequest> {
    let form = Form::parse(wire.content_type.as_deref(), wire.bytes.clone())?;
    let text = |name| form.text(name).map(|text| text.map(str::to_owned));
    let file = form.field("file").ok_or_else(|| wrong("file", "`file` is missing"))?;
    let temperature = match form.text("temperature")? {
        Some(number) => {
            Some(number.trim().parse().map_err(|_| wrong("temperature", "`temperature` must be a number"))?)
        }
        None => None,
    };
    const KNOWN: [&str; 6] = ["file", "model", "language", "prompt", "response_format", "temperature"];
    let rest = form.fields().filter(|field| !KNOWN.contains(&field.name.as_str()));
    Ok(TranscribeRequest {
        audio: form.bytes(file),
        file_name: file.file_name.clone().unwrap_or_default(),
        media_type: file.media_type.clone(),
        language: text("language")?,
        prompt: text("prompt")?,
        format: text("response_format")?,
        temperature,
        rest: rest
            .map(|field| (field.name.clone(), String::from_utf8_lossy(&form.bytes(field)).into_owned()))
            .collect(),
    })
}

/// The request for an upstream.
pub(super) fn encode(call: &Call, model: &str, mut gate: Gate) -> Result<Outgoing> {
    let path = match call.operation() {
        Operation::Image => "/images/generations",
        Operation::Transcribe => "/audio/transcriptions",
        _ => "/audio/speech",
    };
    if let Body::Wire(wire) = &call.body
        && wire.dialect.name() == NAME
    {
        return patched(wire, model, path);
    }
    let body = match call.body.typed()? {
        Body::Image(ask) => image(ask, model, &mut gate)?,
        Body::Speech(ask) => speech(ask, model),
        Body::Transcribe(ask) => return Ok(transcribe(ask, model, path)),
        other => return Err(other.unexpected(call.operation())),
    };
    Ok(Outgoing { dropped: gate.dropped(), ..Outgoing::json(path, body.to_string()) })
}

fn patched(wire: &Wire, model: &str, path: &'static str) -> Result<Outgoing> {
    if wire.operation == Operation::Transcribe {
        let form = Form::parse(wire.content_type.as_deref(), wire.bytes.clone())?;
        let content_type = wire.content_type.clone();
        return Ok(Outgoing { content_type, ..Outgoing::json(path, form.with("model", model)) });
    }
    let object = object(&wire.bytes)?;
    let mut patch = object.patch();
    patch.set("model", Value::from(model).to_string());
    Ok(Outgoing::json(path, patch.finish()))
}

fn put<T: serde::Serialize>(body: &mut Map<String, Value>, name: &str, value: Option<T>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), json!(value));
    }
}

fn image(ask: &ImageRequest, model: &str, gate: &mut Gate) -> Result<Value> {
    let mut body = Map::new();
    match is_foreign(ask.spoken, NAME) {
        true => gate.foreign("", &ask.rest)?,
        false => body.clone_from(&ask.rest),
    }
    put(&mut body, "model", Some(model));
    put(&mut body, "prompt", Some(&ask.prompt));
    put(&mut body, "n", ask.count);
    put(&mut body, "size", ask.size.as_ref());
    put(&mut body, "quality", ask.quality.as_ref());
    put(&mut body, "output_format", ask.format.as_ref());
    if ask.seed.is_some() {
        gate.cannot("seed")?;
    }
    Ok(Value::Object(body))
}

fn speech(ask: &SpeechRequest, model: &str) -> Value {
    let mut body = ask.rest.clone();
    put(&mut body, "model", Some(model));
    put(&mut body, "input", Some(&ask.input));
    put(&mut body, "voice", (!ask.voice.is_empty()).then_some(&ask.voice));
    put(&mut body, "response_format", ask.format.as_ref());
    put(&mut body, "speed", ask.speed);
    put(&mut body, "instructions", ask.instructions.as_ref());
    Value::Object(body)
}

fn transcribe(ask: &TranscribeRequest, model: &str, path: &'static str) -> Outgoing {
    let media_type = ask.media_type.as_deref().unwrap_or("application/octet-stream");
    let temperature = ask.temperature.map(|t| t.to_string());
    let known = [
        ("model", Some(model)),
        ("language", ask.language.as_deref()),
        ("prompt", ask.prompt.as_deref()),
        ("response_format", ask.format.as_deref()),
        ("temperature", temperature.as_deref()),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let rest = ask.rest.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let file = Entry { name: "file", file: Some((&ask.file_name, media_type)), bytes: &ask.audio };
    let texts = known.chain(rest).map(|(name, value)| Entry { name, file: None, bytes: value.as_bytes() });
    let fields: Vec<Entry<'_>> = std::iter::once(file).chain(texts).collect();
    let (content_type, body) = multipart::write(&fields);
    Outgoing { content_type: Some(content_type), ..Outgoing::json(path, body) }
}

/// Checks an answer, and takes what it used.
pub(super) fn decode(dialect: &'static dyn Dialect, call: &Call, content: Content) -> Result<Response> {
    let operation = call.operation();
    let usage = match operation {
        // The answer is sound and says nothing of usage; the price is by characters.
        Operation::Speech => characters(call),
        Operation::Transcribe if !is_json(&content) => None,
        _ => {
            let object = Object::parse(&content.bytes).map_err(malformed)?;
            if let Some(raw) = object.get("error") {
                return Err(crate::dialect::said::inside(raw));
            }
            counted(operation, &object)?
        }
    };
    let mut response = Response::wire(operation, dialect, content);
    response.usage = usage;
    Ok(response)
}

fn is_json(content: &Content) -> bool {
    content.content_type.starts_with("application/json")
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Counts {
    input_tokens: u64,
    output_tokens: u64,
    #[serde(alias = "input_token_details")]
    input_tokens_details: Details,
    output_tokens_details: Details,
    seconds: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    image_tokens: u64,
    audio_tokens: u64,
}

fn counted(operation: Operation, object: &Object<'_>) -> Result<Option<Usage>> {
    let counts = object.read::<Counts>("usage");
    if operation == Operation::Image {
        let data = object.read::<Vec<serde::de::IgnoredAny>>("data");
        let pictures = data.ok_or_else(|| malformed("there is no data"))?.len() as u64;
        let counts = counts.unwrap_or_default();
        let seen = counts.input_tokens_details.image_tokens.min(counts.input_tokens);
        // Without details all output is picture.
        let told = counts.output_tokens_details.image_tokens;
        let made = if told == 0 { counts.output_tokens } else { told.min(counts.output_tokens) };
        let usage = Usage::default()
            .with(Unit::Input, counts.input_tokens - seen)
            .with(Unit::ImageInput, seen)
            .with(Unit::Output, counts.output_tokens - made)
            .with(Unit::ImageOutput, made);
        return Ok(Some(usage.with(Unit::Image, pictures)));
    }
    heard(object)
}

/// What a transcript says that it used.
pub(super) fn heard(object: &Object<'_>) -> Result<Option<Usage>> {
    if object.get("text").is_none() {
        return Err(malformed("there is no text"));
    }
    let counts = object.read::<Counts>("usage");
    let seconds = counts.as_ref().map(|c| c.seconds).filter(|s| *s > 0.0).or_else(|| object.read("duration"));
    let heard = counts.as_ref().map_or(0, |c| c.input_tokens_details.audio_tokens.min(c.input_tokens));
    let counts = counts.unwrap_or_default();
    let usage = Usage::default()
        .with(Unit::Input, counts.input_tokens - heard)
        .with(Unit::AudioInput, heard)
        .with(Unit::Output, counts.output_tokens)
        .with(Unit::AudioMs, millis(seconds.unwrap_or(0.0)));
    Ok((!usage.is_zero()).then_some(usage))
}

/// What a speech says that it used, beside its characters: text in, sound out.
pub(super) fn spoken(object: &Object<'_>, characters: Usage) -> Usage {
    let counts = object.read::<Counts>("usage").unwrap_or_default();
    characters.with(Unit::Input, counts.input_tokens).with(Unit::AudioOutput, counts.output_tokens)
}

fn millis(seconds: f64) -> u64 {
    // A float that is out of range becomes the nearest number.
    (seconds * 1000.0).round() as u64
}

/// The typed answer.
pub(super) fn answer(operation: Operation, content: &Content) -> Result<Answer> {
    match operation {
        Operation::Speech => Ok(Answer::Speech(SpeechAnswer {
            audio: content.bytes.clone(),
            media_type: content.content_type.clone().into_owned(),
        })),
        Operation::Transcribe if !is_json(content) => {
            let text = std::str::from_utf8(&content.bytes).map_err(malformed)?.to_owned();
            Ok(Answer::Transcribe(TranscribeAnswer { text, ..TranscribeAnswer::default() }))
        }
        Operation::Transcribe => {
            let object = Object::parse(&content.bytes).map_err(malformed)?;
            let seconds = object.read::<f64>("duration");
            Ok(Answer::Transcribe(TranscribeAnswer {
                text: object.text("text").unwrap_or_default(),
                duration_ms: seconds.map(millis),
                rest: rest(&object, &["text", "duration", "usage"])?,
            }))
        }
        _ => pictures(&content.bytes).map(Answer::Image),
    }
}

fn pictures(body: &[u8]) -> Result<ImageAnswer> {
    #[derive(Deserialize)]
    struct Made {
        data: Vec<One>,
        #[serde(default)]
        output_format: Option<String>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        url: Option<String>,
        #[serde(default)]
        b64_json: Option<String>,
        #[serde(default)]
        revised_prompt: Option<String>,
    }
    let made: Made = serde_json::from_slice(body).map_err(malformed)?;
    let format = made.output_format.as_deref().unwrap_or("png");
    let picture = |one: One| {
        let data = one.b64_json.map(|data| format!("data:image/{format};base64,{data}"));
        Picture { url: data.or(one.url).unwrap_or_default(), revised_prompt: one.revised_prompt }
    };
    Ok(ImageAnswer { pictures: made.data.into_iter().map(picture).collect() })
}

/// A whole reply for a caller, of an answer that came in another dialect.
pub(super) fn encode_reply(answer: &Answer, reply: &Response, envelope: &Envelope) -> Result<Content> {
    match answer {
        Answer::Speech(speech) => {
            Ok(Content { content_type: speech.media_type.clone().into(), bytes: speech.audio.clone() })
        }
        Answer::Transcribe(said) => {
            let mut body = said.rest.clone();
            put(&mut body, "text", Some(&said.text));
            put(&mut body, "duration", said.duration_ms.map(|ms| ms as f64 / 1000.0));
            Ok(Content::json(Value::Object(body).to_string()))
        }
        Answer::Image(made) => {
            let data: Vec<Value> = made.pictures.iter().map(picture).collect();
            let mut body = json!({"created": envelope.created, "data": data});
            if let Some(usage) = reply.usage.filter(|usage| usage.total_tokens() > 0) {
                body["usage"] = json!({
                    "input_tokens": usage.input_tokens(), "output_tokens": usage.output_tokens(),
                    "total_tokens": usage.total_tokens(),
                });
            }
            Ok(Content::json(body.to_string()))
        }
        other => Err(Error::internal(format!("an answer to `{}` has no words here", other.operation()))),
    }
}

fn picture(picture: &Picture) -> Value {
    let mut body = Map::new();
    match picture.url.strip_prefix("data:").and_then(|data| data.split_once(";base64,")) {
        Some((_, data)) => put(&mut body, "b64_json", Some(data)),
        None => put(&mut body, "url", Some(&picture.url)),
    }
    put(&mut body, "revised_prompt", picture.revised_prompt.as_ref());
    Value::Object(body)
}
