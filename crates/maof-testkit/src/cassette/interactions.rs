//! Recordings with a list of exchanges, as VCR writes them.

use std::fmt;

use bytes::Bytes;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Tagged;

use super::Exchange;
use super::exchange::decoded;
use super::json::Json;

#[derive(Deserialize)]
struct Document {
    interactions: Vec<Interaction>,
}

#[derive(Deserialize)]
struct Interaction {
    request: Request,
    response: Response,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    uri: String,
    headers: Headers,
    body: Option<Tagged<Text>>,
    parsed_body: Option<Json>,
}

#[derive(Deserialize)]
struct Response {
    status: Status,
    headers: Headers,
    body: Option<Tagged<Text>>,
    parsed_body: Option<Json>,
}

#[derive(Deserialize)]
struct Status {
    code: u16,
}

pub(super) fn read(text: &str) -> Result<Vec<Exchange>, String> {
    let documents: Vec<Document> =
        serde_saphyr::from_multiple_with_options(text, super::options()).map_err(|e| e.to_string())?;
    documents.into_iter().flat_map(|document| document.interactions).map(exchange).collect()
}

fn exchange(Interaction { request, response }: Interaction) -> Result<Exchange, String> {
    let exchange = Exchange {
        method: request.method,
        path: path(&request.uri),
        request_headers: request.headers.0,
        request: body(request.parsed_body, request.body)?,
        status: response.status.code,
        response_headers: response.headers.0,
        response: body(response.parsed_body, response.body)?,
        ..Exchange::default()
    };
    exchange.checked()
}

/// What follows the host.
fn path(uri: &str) -> String {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    rest.split_once('/').map_or_else(|| "/".to_owned(), |(_, path)| format!("/{path}"))
}

/// A body that was kept as data, else as text.
fn body(parsed: Option<Json>, text: Option<Tagged<Text>>) -> Result<Bytes, String> {
    match (parsed, text) {
        (Some(parsed), _) => Ok(parsed.text()?.into()),
        (None, None) => Ok(Bytes::new()),
        (None, Some(Tagged(Text { text, base64 }, tag))) => match base64 || is_binary(tag.as_deref()) {
            true => decoded(&text),
            false => Ok(text.into()),
        },
    }
}

fn is_binary(tag: Option<&str>) -> bool {
    tag.is_some_and(|tag| tag.trim_end_matches('>').ends_with(":binary") || tag == "!!binary")
}

/// Headers: each with a list of values, or with one.
struct Headers(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Json::Map(entries) = Json::deserialize(deserializer)? else {
            return Err(de::Error::custom("`headers` is no mapping"));
        };
        let mut headers = Vec::new();
        for (name, value) in entries {
            let values = match value {
                Json::List(values) => values,
                one => vec![one],
            };
            for value in values {
                let text = match value {
                    Json::Text(text) => text,
                    other => other.text().map_err(de::Error::custom)?,
                };
                headers.push((name.to_lowercase(), text));
            }
        }
        Ok(Headers(headers))
    }
}

/// A body as text: plain, under `string`, or under `base64_string`.
#[derive(Default)]
struct Text {
    text: String,
    base64: bool,
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a body's text, or `string` or `base64_string` with it")
            }
            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text::default())
            }
            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text { text: text.to_owned(), base64: false })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                let mut body = Text::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "string" => {
                            let Tagged(text, tag) = map.next_value::<Tagged<String>>()?;
                            body = Text { text, base64: is_binary(tag.as_deref()) };
                        }
                        "base64_string" => body = Text { text: map.next_value()?, base64: true },
                        "encoding" => drop(map.next_value::<de::IgnoredAny>()?),
                        _ => return Err(de::Error::unknown_field(&key, &["string", "base64_string"])),
                    }
                }
                Ok(body)
            }
        }

        deserializer.deserialize_any(Either)
    }
}
