//! What upstreams that make one picture a request have in common.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maof_core::media::{ImageAnswer, ImageRequest, Picture};
use maof_core::{Answer, Error, Response, Result, Unit, Usage};

use super::field::wrong;
use super::gate::{Gate, unknown};

/// Judges what such an upstream is not told: several pictures, qualities, and fields that are not of `known` names.
///
/// # Errors
/// `invalid_request` naming what cannot be expressed.
pub(crate) fn judge(ask: &ImageRequest, known: &[&str], gate: &mut Gate) -> Result<()> {
    if ask.count.is_some_and(|count| count > 1) {
        gate.cannot("n")?;
    }
    if ask.quality.as_deref().is_some_and(|quality| quality != "auto") {
        gate.cannot("quality")?;
    }
    let mut rest = unknown(&ask.rest, known);
    // Pictures come as bytes anyway.
    if rest.get("response_format").is_some_and(|format| format == "b64_json") {
        rest.remove("response_format");
    }
    gate.foreign("", &rest)
}

/// Width and height; none where the upstream may choose.
///
/// # Errors
/// `invalid_request` naming `size`.
pub(crate) fn size(ask: &ImageRequest) -> Result<Option<(u32, u32)>> {
    let Some(size) = ask.size.as_deref().filter(|size| *size != "auto") else { return Ok(None) };
    let parsed = size.split_once('x').and_then(|(width, height)| {
        let (width, height) = (width.parse().ok()?, height.parse().ok()?);
        (width > 0 && height > 0).then_some((width, height))
    });
    match parsed {
        Some(size) => Ok(Some(size)),
        None => Err(wrong("size", "`size` must be written WIDTHxHEIGHT, such as 1024x1024, or be auto")),
    }
}

/// An answer of one picture of this media type, in base64.
pub(crate) fn made(media_type: &str, data: &str) -> Response {
    let url = format!("data:{media_type};base64,{data}");
    let answer = ImageAnswer { pictures: vec![Picture { url, revised_prompt: None }] };
    let mut response = Response::typed(Answer::Image(answer));
    response.usage = Some(Usage::default().with(Unit::Image, 1));
    response
}

/// Bytes in base64.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The error of an answer that is none.
pub(crate) fn malformed(cause: impl std::fmt::Display) -> Error {
    Error::protocol("the upstream's answer is not what its API promises").because(cause.to_string())
}
