//! What models are asked: one input, and parameters.

use maof_core::media::{ImageRequest, TranscribeRequest};
use maof_core::{Ask, Body, Call, ChatRequest, EmbedRequest, Error, Outgoing, Result};
use serde_json::{Map, Value, json};

use super::NAME;
use crate::dialect::gate::{Gate, unknown};
use crate::dialect::picture;
use crate::plain::Plain;

/// The field of a caller's that is passed on.
const PARAMETERS: &str = "parameters";
/// Fields of feature extraction beside its input.
const OF_VECTORS: [&str; 4] = ["normalize", "prompt_name", "truncate", "truncation_direction"];

pub(super) fn encode(call: &Call, ask: Ask<'_>) -> Result<Outgoing> {
    let mut gate = Gate::new(NAME, ask.unsupported);
    let path = format!("/models/{}", ask.model);
    let outgoing = match call.body.typed()? {
        Body::Chat(chat) => Outgoing::json(path, text(call, chat, &mut gate)?.to_string()),
        Body::Embed(embed) => {
            let path = format!("{path}/pipeline/feature-extraction");
            Outgoing::json(path, vectors(embed, &mut gate)?.to_string())
        }
        Body::Image(image) => Outgoing::json(path, pictures(image, &mut gate)?.to_string()),
        Body::Transcribe(sound) => heard(sound, path, &mut gate)?,
        _ => {
            let why = format!("`{NAME}` has no words for `{}`", call.operation());
            return Err(Error::invalid_request(why));
        }
    };
    Ok(Outgoing { dropped: gate.dropped(), ..outgoing })
}

/// The body of an input and its parameters.
fn body(inputs: impl Into<Value>, parameters: Map<String, Value>) -> Value {
    let inputs = inputs.into();
    match parameters.is_empty() {
        true => json!({"inputs": inputs}),
        false => json!({"inputs": inputs, "parameters": parameters}),
    }
}

/// What a caller gives as parameters.
fn given(rest: &Map<String, Value>) -> Result<Map<String, Value>> {
    match rest.get(PARAMETERS) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(parameters)) => Ok(parameters.clone()),
        Some(_) => Err(Error::invalid_request("`parameters` must be an object").param(PARAMETERS)),
    }
}

fn put<T: Into<Value>>(parameters: &mut Map<String, Value>, name: &str, value: Option<T>) {
    if let Some(value) = value {
        parameters.insert(name.to_owned(), value.into());
    }
}

fn text(call: &Call, chat: &ChatRequest, gate: &mut Gate) -> Result<Value> {
    gate.conversation_but(chat, &[PARAMETERS])?;
    gate.settings(
        chat,
        &["max_tokens", "temperature", "top_p", "top_k", "stop", "seed", "frequency_penalty"],
    )?;
    let plain = Plain::of(call, chat, gate)?;
    let turns = plain.turns().count();
    if turns > 1 {
        gate.cannot(format!("messages ({turns} turns; the model takes one)"))?;
    }
    let system = Some(plain.system()).filter(|system| !system.is_empty());
    let inputs = system.into_iter().chain([plain.text()]).collect::<Vec<_>>().join("\n");
    let mut parameters = given(&chat.rest)?;
    put(&mut parameters, "max_new_tokens", chat.max_tokens);
    put(&mut parameters, "temperature", chat.temperature);
    put(&mut parameters, "top_p", chat.top_p);
    put(&mut parameters, "top_k", chat.top_k);
    put(&mut parameters, "stop", (!chat.stop.is_empty()).then(|| chat.stop.clone()));
    put(&mut parameters, "seed", chat.seed);
    put(&mut parameters, "frequency_penalty", chat.frequency_penalty);
    Ok(body(inputs, parameters))
}

fn vectors(embed: &EmbedRequest, gate: &mut Gate) -> Result<Value> {
    if embed.dimensions.is_some() {
        gate.cannot("dimensions")?;
    }
    let mut rest = unknown(&embed.rest, &OF_VECTORS);
    // How a caller wants numbers written is between it and MAOF.
    rest.remove("encoding_format");
    gate.foreign("", &rest)?;
    let mut body = json!({"inputs": embed.input});
    for (name, value) in embed.rest.iter().filter(|(name, _)| OF_VECTORS.contains(&name.as_str())) {
        body[name] = value.clone();
    }
    Ok(body)
}

fn pictures(image: &ImageRequest, gate: &mut Gate) -> Result<Value> {
    picture::judge(image, &[PARAMETERS], gate)?;
    if image.format.is_some() {
        gate.cannot("output_format")?;
    }
    let mut parameters = given(&image.rest)?;
    let size = picture::size(image)?;
    put(&mut parameters, "width", size.map(|(width, _)| width));
    put(&mut parameters, "height", size.map(|(_, height)| height));
    put(&mut parameters, "seed", image.seed);
    Ok(body(image.prompt.as_str(), parameters))
}

/// The sound as it is; in base64 where parameters go with it.
fn heard(sound: &TranscribeRequest, path: String, gate: &mut Gate) -> Result<Outgoing> {
    for (name, value) in [("language", &sound.language), ("prompt", &sound.prompt)] {
        if value.is_some() {
            gate.cannot(name)?;
        }
    }
    if sound.format.as_deref().is_some_and(|format| format != "json") {
        gate.cannot("response_format")?;
    }
    for (name, _) in sound.rest.iter().filter(|(_, value)| value != "false") {
        gate.cannot(name.as_str())?;
    }
    if let Some(temperature) = sound.temperature {
        let parameters = json!({"generation_parameters": {"temperature": temperature}});
        let body = json!({"inputs": picture::base64(&sound.audio), "parameters": parameters});
        return Ok(Outgoing::json(path, body.to_string()));
    }
    let content_type = Some(media_type(sound).to_owned());
    Ok(Outgoing { content_type, ..Outgoing::json(path, sound.audio.clone()) })
}

/// What the sound is: as the caller says, else by its file's ending.
fn media_type(sound: &TranscribeRequest) -> &str {
    const ENDINGS: [(&str, &str); 8] = [
        ("wav", "audio/wav"),
        ("mp3", "audio/mpeg"),
        ("mpga", "audio/mpeg"),
        ("flac", "audio/flac"),
        ("ogg", "audio/ogg"),
        ("m4a", "audio/m4a"),
        ("mp4", "audio/mp4"),
        ("webm", "audio/webm"),
    ];
    let told = sound.media_type.as_deref().filter(|told| told.starts_with("audio/"));
    let ending = sound.file_name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let known = ENDINGS.iter().find(|(known, _)| known.eq_ignore_ascii_case(ending));
    told.or_else(|| known.map(|(_, media_type)| *media_type)).unwrap_or("application/octet-stream")
}
