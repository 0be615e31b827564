//! Stability AI's pictures: Stable Image Core and Ultra, Stable Diffusion 3 and 3.5.
//!
//! The shapes are those of Stability's API reference (<https://platform.stability.ai/docs/api-reference>, "Generate",
//! read 2026-11-21). Models are called `core`, `ultra` and as Stability calls those of Stable Diffusion, such as
//! `sd3.5-large`. A caller's fields `negative_prompt`, `style_preset`, `cfg_scale` and `aspect_ratio` are passed on,
//! whatever dialect they came in.

use maof_core::media::ImageRequest;
use maof_core::{
    Ask, Body, Call, Content, Error, ErrorKind, Operation, Origin, Outgoing, Response, Result, Retry,
};
use serde::Deserialize;
use serde_json::Value;

use super::gate::Gate;
use super::multipart::{self, Entry};
use super::oneway::{OneWay, Upstream};
use super::picture::{self, malformed};
use super::said;

/// Fields of a caller's that are passed on.
const OWN: [&str; 4] = ["aspect_ratio", "cfg_scale", "negative_prompt", "style_preset"];
/// The shapes that pictures can have.
const RATIOS: [(u64, u64); 9] = [(1, 1), (16, 9), (21, 9), (2, 3), (3, 2), (4, 5), (5, 4), (9, 16), (9, 21)];

/// How pictures are asked for.
#[derive(Debug)]
pub(crate) struct Stability;

/// As Stability's API speaks.
pub(crate) static STABILITY: OneWay<Stability> = OneWay(Stability);

impl Upstream for Stability {
    const NAME: &'static str = "stability";

    fn encode(&self, call: &Call, ask: Ask<'_>) -> Result<Outgoing> {
        let Body::Image(image) = call.body.typed()? else {
            return Err(call.body.unexpected(Operation::Image));
        };
        let mut gate = Gate::new(Self::NAME, ask.unsupported);
        let (service, model) = match ask.model {
            "core" | "stable-image-core" => ("core", None),
            "ultra" | "stable-image-ultra" => ("ultra", None),
            model if model.starts_with("sd3") => ("sd3", Some(model)),
            // What came after this was written is called as its path.
            other => (other, None),
        };
        let mut fields = fields(image, &mut gate)?;
        fields.extend(model.map(|model| ("model", model.to_owned())));
        let entries: Vec<Entry<'_>> =
            fields.iter().map(|(name, value)| Entry { name, file: None, bytes: value.as_bytes() }).collect();
        let (content_type, body) = multipart::write(&entries);
        let path = format!("/v2beta/stable-image/generate/{service}");
        Ok(Outgoing {
            content_type: Some(content_type),
            dropped: gate.dropped(),
            ..Outgoing::json(path, body)
        })
    }

    fn decode(&self, call: &Call, content: Content) -> Result<Response> {
        let made: Made = serde_json::from_slice(&content.bytes).map_err(malformed)?;
        if made.finish_reason.as_deref() == Some("CONTENT_FILTERED") {
            return Err(filtered("the picture that was made was held back by Stability's content filter"));
        }
        if made.finish_reason.as_deref() == Some("ERROR") {
            let why = "Stability could not make the picture";
            return Err(Error::new(ErrorKind::Unavailable, why)
                .origin_is(Origin::Provider)
                .retry_is(Retry::Here));
        }
        let image = made.image.filter(|image| !image.is_empty());
        let image = image.ok_or_else(|| malformed("there is no picture"))?;
        let format = match call.body.typed()? {
            Body::Image(ask) => ask.format.as_deref().unwrap_or("png"),
            _ => "png",
        };
        Ok(picture::made(&format!("image/{format}"), &image))
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> Error {
        // A prompt that is not allowed has the status of a key that is not.
        let name = serde_json::from_slice::<Value>(body).ok().map(|body| body["name"].clone());
        match name.as_ref().and_then(Value::as_str) {
            Some("content_moderation") => filtered("the request was refused by Stability's content filter"),
            _ => said::decode(status, body),
        }
    }
}

#[derive(Deserialize)]
struct Made {
    #[serde(default)]
    image: Option<String>,
    #[serde(default)]
    finish_reason: Option<String>,
}

fn filtered(why: &'static str) -> Error {
    Error::new(ErrorKind::ContentFiltered, why).origin_is(Origin::Provider).retry_is(Retry::Never)
}

/// The form's fields, but for the model.
fn fields(image: &ImageRequest, gate: &mut Gate) -> Result<Vec<(&'static str, String)>> {
    picture::judge(image, &OWN, gate)?;
    let format = image.format.clone().unwrap_or_else(|| "png".to_owned());
    let mut fields = vec![("prompt", image.prompt.clone()), ("output_format", format)];
    if let Some((width, height)) = picture::size(image)? {
        match ratio(width, height) {
            Some(ratio) => fields.push(("aspect_ratio", ratio)),
            None => gate.cannot("size")?,
        }
    }
    match image.seed {
        Some(seed) if u32::try_from(seed).is_ok() => fields.push(("seed", seed.to_string())),
        Some(_) => gate.cannot("seed")?,
        None => {}
    }
    for name in OWN {
        match image.rest.get(name) {
            None | Some(Value::Null) => continue,
            // What a caller says in Stability's own words counts for more than a size.
            Some(Value::String(text)) => set(&mut fields, name, text.clone()),
            Some(other) => set(&mut fields, name, other.to_string()),
        }
    }
    Ok(fields)
}

fn set(fields: &mut Vec<(&'static str, String)>, name: &'static str, value: String) {
    fields.retain(|(known, _)| *known != name);
    fields.push((name, value));
}

/// The shape of a picture of this size, if it can be had.
fn ratio(width: u32, height: u32) -> Option<String> {
    let (width, height) = (u64::from(width), u64::from(height));
    let found = RATIOS.into_iter().find(|(across, down)| width * down == height * across);
    found.map(|(across, down)| format!("{across}:{down}"))
}

#[cfg(test)]
mod tests;
