//! Recorded traffic of real providers, from the folder that `MAOF_FIXTURES` names (default: `shared/fixtures`
//! beside the checkout). Two formats of recordings are read: one exchange a document (`when` / `then`), and
//! lists of them (`interactions`).
//!
//! Where the folder is absent, a skip is printed and the list is empty; where `CI` is set, that is a failure.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

/// A recorded exchange with a provider.
#[derive(Clone)]
pub struct Exchange {
    /// Where it comes from: the file's name, and the position in it.
    pub source: String,
    /// The path that was asked, without host and query.
    pub path: String,
    /// The request's body.
    pub request: Bytes,
    /// The answer's status.
    pub status: u16,
    /// The answer's content type, in lower case.
    pub content_type: String,
    /// The answer's body.
    pub response: Bytes,
}

impl Exchange {
    /// Whether the answer is a stream of server-sent events.
    pub fn is_stream(&self) -> bool {
        self.content_type.starts_with("text/event-stream")
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("source", &self.source)
            .field("path", &self.path)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Every exchange that was recorded with the dialect or provider called `name`, in the order of the files.
///
/// # Panics
/// When a file cannot be read, and when there is no folder although `CI` is set.
#[allow(clippy::print_stderr, reason = "a skip must be seen")]
pub fn exchanges(name: &str) -> Vec<Exchange> {
    let folder = folder().join("wire").join(name);
    if !folder.is_dir() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{} is absent: set MAOF_FIXTURES to the folder of recorded traffic",
            folder.display()
        );
        eprintln!("SKIP recorded traffic of {name}: {} is absent", folder.display());
        return Vec::new();
    }
    let entries = std::fs::read_dir(&folder).expect("a folder that can be read");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    files.iter().flat_map(|path| read(path)).collect()
}

fn folder() -> PathBuf {
    match std::env::var_os("MAOF_FIXTURES") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"),
    }
}

#[derive(Deserialize)]
struct Many {
    interactions: Vec<Interaction>,
}

#[derive(Deserialize)]
struct One {
    when: When,
    then: Then,
}

#[derive(Deserialize)]
struct When {
    path: String,
    #[serde(default)]
    body: Option<String>,
}

#[derive(Deserialize)]
struct Then {
    status: u16,
    #[serde(default)]
    header: Vec<Header>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    body_encoding: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct Interaction {
    request: Request,
    response: Answer,
}

#[derive(Deserialize)]
struct Request {
    uri: String,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    parsed_body: Value,
}

#[derive(Deserialize)]
struct Answer {
    status: Status,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, Vec<String>>,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    parsed_body: Value,
}

#[derive(Deserialize)]
struct Status {
    code: u16,
}

fn read(path: &Path) -> Vec<Exchange> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).expect("a recording that can be read");
    parse(&name, &text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn parse(name: &str, text: &str) -> Result<Vec<Exchange>, serde_saphyr::Error> {
    // Recordings are trusted, and larger than what the reader of configurations allows. Documents that were
    // fetched on the way stay in base64: they are no exchange with a model.
    let options = serde_saphyr::options! { budget: None, ignore_binary_tag_for_string: true };
    let numbered = |at| format!("{name}#{at}");
    if text.starts_with("interactions:") {
        let Many { interactions } = serde_saphyr::from_str_with_options(text, options)?;
        let each = interactions.into_iter().enumerate();
        return Ok(each.map(|(at, interaction)| exchange(numbered(at), interaction)).collect());
    }
    let each: Vec<One> = serde_saphyr::from_multiple_with_options(text, options)?;
    Ok(each.into_iter().enumerate().map(|(at, one)| one_exchange(numbered(at), one)).collect())
}

fn one_exchange(source: String, one: One) -> Exchange {
    let header = one.then.header.into_iter().find(|h| h.name.eq_ignore_ascii_case("content-type"));
    let body = one.then.body.unwrap_or_default();
    let response = match one.then.body_encoding.as_deref() {
        Some("base64") => STANDARD.decode(body).expect("a body in base64").into(),
        _ => body.into(),
    };
    Exchange {
        source,
        path: one.when.path,
        request: one.when.body.unwrap_or_default().into(),
        status: one.then.status,
        content_type: header.map(|h| h.value.to_lowercase()).unwrap_or_default(),
        response,
    }
}

fn exchange(source: String, interaction: Interaction) -> Exchange {
    let (request, response) = (interaction.request, interaction.response);
    let uri = request.uri.split('?').next().unwrap_or_default();
    let path = uri.splitn(4, '/').nth(3).map(|rest| format!("/{rest}")).unwrap_or_default();
    let mut headers = response.headers.into_iter();
    let header = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    Exchange {
        source,
        path,
        request: body(request.parsed_body, &request.body),
        status: response.status.code,
        content_type: header.map(|(_, values)| values.concat().to_lowercase()).unwrap_or_default(),
        response: body(response.parsed_body, &response.body),
    }
}

/// A body that was kept as data, or as text (plain, or under `string`).
fn body(parsed: Value, text: &Value) -> Bytes {
    match (parsed, text) {
        (Value::Null, Value::String(text)) => text.clone().into(),
        (Value::Null, other) => other["string"].as_str().unwrap_or_default().to_owned().into(),
        (parsed, _) => parsed.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_read() {
        let one = "when:\n  path: /v1/x\n  body: '{\"a\":1}'\nthen:\n  status: 200\n  header:\n  - name: Content-Type\n    value: text/event-stream\n  body: |+\n    data: 1\n\n";
        let many = "interactions:\n- request:\n    uri: https://h.example/v1/y?z=1\n    parsed_body: {a: 1}\n  response:\n    headers:\n      content-type: [application/json]\n    parsed_body: {b: '2', c: 2}\n    status: {code: 201}\nversion: 1\n";
        let read = |text: &str| parse("f", text).unwrap().remove(0);
        let (one, many) = (read(one), read(many));
        assert_eq!((one.path.as_str(), one.status, one.is_stream()), ("/v1/x", 200, true));
        assert_eq!((&one.request[..], &one.response[..]), (&b"{\"a\":1}"[..], &b"data: 1\n\n"[..]));
        assert_eq!((many.path.as_str(), many.status, many.is_stream()), ("/v1/y", 201, false));
        assert_eq!(
            (&many.request[..], &many.response[..]),
            (&b"{\"a\":1}"[..], &b"{\"b\":\"2\",\"c\":2}"[..])
        );
    }
}
