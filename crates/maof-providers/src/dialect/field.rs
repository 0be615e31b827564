//! Fields of a caller's request: read one by one, each mistake named.

use std::borrow::Cow;

use bytes::Bytes;
use maof_core::{Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::object::Object;

/// The error of a field.
pub(crate) fn wrong(param: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Error {
    Error::invalid_request(message.into()).param(param)
}

/// The body as an object.
pub(crate) fn object(body: &[u8]) -> Result<Object<'_>> {
    Object::parse(body).map_err(|e| Error::invalid_request(format!("the body must be a JSON object: {e}")))
}

/// The body written anew, if it names a field twice: two readers could otherwise see two different requests.
pub(crate) fn unambiguous(object: &Object<'_>, body: &[u8]) -> Result<Option<Bytes>> {
    if !object.is_ambiguous() {
        return Ok(None);
    }
    let value: Value = serde_json::from_slice(body)
        .map_err(|e| Error::invalid_request(format!("the body must be a well-formed JSON object: {e}")))?;
    Ok(Some(value.to_string().into()))
}

/// The value of a field, none when it is missing or null.
///
/// # Errors
/// `invalid_request` naming the field when it is something else than `expected`.
pub(crate) fn field<'a, T: Deserialize<'a>>(
    object: &Object<'a>,
    name: &'static str,
    expected: &str,
) -> Result<Option<T>> {
    let Some(raw) = object.get(name) else { return Ok(None) };
    match serde_json::from_str(raw) {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(wrong(name, format!("`{name}` must be {expected}"))),
    }
}

/// A whole number of at least 1.
pub(crate) fn positive(object: &Object<'_>, name: &'static str) -> Result<Option<u64>> {
    let expected = "a whole number of at least 1";
    match field::<u64>(object, name, expected)? {
        Some(0) => Err(wrong(name, format!("`{name}` must be {expected}"))),
        value => Ok(value),
    }
}

/// A number from 0 to `most`.
pub(crate) fn between(object: &Object<'_>, name: &'static str, most: f64) -> Result<Option<f64>> {
    let Some(raw) = object.get(name) else { return Ok(None) };
    let expected = || format!("`{name}` must be a number from 0 to {most}");
    match serde_json::from_str::<f64>(raw) {
        Ok(value) if (0.0..=most).contains(&value) => Ok(Some(value)),
        Ok(value) => Err(wrong(name, format!("{}, it is {value}", expected()))),
        Err(_) => Err(wrong(name, expected())),
    }
}

/// A text that must be there and say something.
pub(crate) fn required_text(object: &Object<'_>, name: &'static str, what: &str) -> Result<String> {
    match field::<String>(object, name, "a string")? {
        Some(text) if !text.trim().is_empty() => Ok(text),
        _ => Err(wrong(name, format!("`{name}` is missing: {what}"))),
    }
}

/// The model that the caller names.
pub(crate) fn model(object: &Object<'_>) -> Result<String> {
    required_text(object, "model", "name an agent or an endpoint")
}

/// Every field that is not among `known`.
pub(crate) fn rest(object: &Object<'_>, known: &[&str]) -> Result<Map<String, Value>> {
    let mut rest = Map::new();
    for name in object.names().filter(|name| !known.contains(name)) {
        keep(object, name, &mut rest)?;
    }
    Ok(rest)
}

/// Keeps a field as it came.
pub(crate) fn keep(object: &Object<'_>, name: &str, rest: &mut Map<String, Value>) -> Result<()> {
    if let Some(raw) = object.raw(name) {
        let value = serde_json::from_str(raw)
            .map_err(|e| wrong(name.to_owned(), format!("`{name}` cannot be read: {e}")))?;
        rest.insert(name.to_owned(), value);
    }
    Ok(())
}
