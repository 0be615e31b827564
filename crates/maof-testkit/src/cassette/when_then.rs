//! Recordings with one exchange a document: `when` this comes, `then` that is answered.

use bytes::Bytes;
use serde::Deserialize;

use super::Exchange;
use super::exchange::decoded;

#[derive(Deserialize)]
struct Document {
    when: When,
    then: Then,
}

#[derive(Deserialize)]
struct When {
    path: String,
    method: String,
    #[serde(default)]
    query_param: Vec<Pair>,
    #[serde(default)]
    header: Vec<Pair>,
    body: Option<String>,
    body_encoding: Option<String>,
}

#[derive(Deserialize)]
struct Then {
    status: u16,
    #[serde(default)]
    header: Vec<Pair>,
    body: Option<String>,
    body_encoding: Option<String>,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    value: String,
}

pub(super) fn read(text: &str) -> Result<Vec<Exchange>, String> {
    let documents: Vec<Document> =
        serde_saphyr::from_multiple_with_options(text, super::options()).map_err(|e| e.to_string())?;
    documents.into_iter().map(exchange).collect()
}

fn exchange(Document { when, then }: Document) -> Result<Exchange, String> {
    let query: Vec<String> =
        when.query_param.into_iter().map(|q| format!("{}={}", q.name, q.value)).collect();
    let path = match query.is_empty() {
        true => when.path,
        false => format!("{}?{}", when.path, query.join("&")),
    };
    let exchange = Exchange {
        method: when.method,
        path,
        request_headers: headers(when.header),
        request: body(when.body, when.body_encoding.as_deref())?,
        status: then.status,
        response_headers: headers(then.header),
        response: body(then.body, then.body_encoding.as_deref())?,
        ..Exchange::default()
    };
    exchange.checked()
}

fn headers(pairs: Vec<Pair>) -> Vec<(String, String)> {
    pairs.into_iter().map(|pair| (pair.name.to_lowercase(), pair.value)).collect()
}

fn body(text: Option<String>, encoding: Option<&str>) -> Result<Bytes, String> {
    let text = text.unwrap_or_default();
    match encoding {
        None => Ok(text.into()),
        Some("base64") => decoded(&text),
        Some(other) => Err(format!("a body in the encoding `{other}`, which this reader does not know")),
    }
}
