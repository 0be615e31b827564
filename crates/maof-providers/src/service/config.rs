//! The configuration of a service, and what follows from it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use maof_core::{Clock, Error, Result, Secret, Unsupported};
use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::template::{Line, Template};
use crate::client::Pooled;
use crate::profile::{UnsupportedWord, configured, masked, positive};

/// What is done at a service's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Something is asked, with a body.
    #[default]
    Post,
    /// Something is fetched; the question goes into `query`.
    Get,
    /// Something is put there, with a body.
    Put,
}

impl From<Method> for http::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Post => http::Method::POST,
            Method::Get => http::Method::GET,
            Method::Put => http::Method::PUT,
        }
    }
}

/// Where an answer says what it used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UsagePointers {
    /// JSON pointer to the number of input tokens. Default: not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// JSON pointer to the number of output tokens. Default: not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// A service of one's own that answers over HTTP.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceConfig {
    /// Where it is: an http or https URL without query, user and password.
    pub url: String,
    /// What is done there: `POST`, `GET` or `PUT`. Default `POST`.
    pub method: Method,
    /// Headers of every request; write keys as `${NAME}`. Default: none. Their values are never shown.
    #[serde(serialize_with = "masked")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: BTreeMap<String, Secret>,
    /// The URL's query, by name; values may have placeholders, as texts of `body`. Default: none. Values are never shown.
    #[serde(serialize_with = "masked")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub query: BTreeMap<String, Secret>,
    /// The body, as JSON. Its strings may have placeholders: `{{ text }}` (the user's last message), `{{ system }}`
    /// (standing instructions), `{{ prompt }}` (the whole conversation as text), `{{ model }}`; or be `{{ messages }}`
    /// (the conversation as an array of role and content) or `{{ input }}` (the user's last message as JSON, if it is
    /// some), which stand for JSON. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// The path at the same host that answers a GET with 2xx while the service is well, such as `/health`; it is asked with
    /// the same headers when the endpoint is probed (`GET /health/endpoints`, `maof agents --probe`). Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// JSON pointer (RFC 6901) to the answer in the reply's body, such as `/choices/0/text`. Default: the whole body.
    pub result: String,
    /// Where the reply's body says what was used. Default: nowhere; usage is estimated.
    pub usage: UsagePointers,
    /// What becomes of a field of a request that the service cannot be told: `refuse` the request, naming the field,
    /// or `drop_and_report`: leave it out and name it in the reply. Default `refuse`.
    #[schemars(with = "UnsupportedWord")]
    pub unsupported: Unsupported,
    /// Milliseconds that connecting may take. Default 10,000.
    pub connect_timeout_ms: u64,
    /// Milliseconds that may pass without a byte of an answer that has begun. Default 60,000.
    pub idle_timeout_ms: u64,
    /// Bytes that an answer may have. Default 33,554,432 (32 MiB).
    pub max_reply_bytes: u64,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        ServiceConfig {
            url: String::new(),
            method: Method::default(),
            headers: BTreeMap::new(),
            query: BTreeMap::new(),
            body: None,
            health: None,
            result: String::new(),
            usage: UsagePointers::default(),
            unsupported: Unsupported::default(),
            connect_timeout_ms: 10_000,
            idle_timeout_ms: 60_000,
            max_reply_bytes: 32 << 20,
        }
    }
}

/// A service as it is asked.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) query: Vec<(String, Line)>,
    pub(super) body: Option<Template>,
    /// Where it says whether it is well.
    pub(super) health: Option<Url>,
}

impl ServiceConfig {
    /// Checks what can be checked without asking the service.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        pointer(&self.result, "result")?;
        pointer(self.usage.input.as_deref().unwrap_or_default(), "usage.input")?;
        pointer(self.usage.output.as_deref().unwrap_or_default(), "usage.output")?;
        positive(&[
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("idle_timeout_ms", self.idle_timeout_ms),
            ("max_reply_bytes", self.max_reply_bytes),
        ])?;
        self.plan().map(drop)
    }

    /// The connections to the service.
    ///
    /// # Errors
    /// `invalid_request` naming `url`.
    pub(super) fn connect(&self, clock: Arc<dyn Clock>) -> Result<Pooled> {
        let timeout = Duration::from_millis(self.connect_timeout_ms);
        Pooled::new(&self.url, timeout, clock).map_err(|_| no_url())
    }

    /// What is sent, but for what the holes are filled with.
    ///
    /// # Errors
    /// As [`ServiceConfig::validate`].
    pub(super) fn plan(&self) -> Result<Plan> {
        Pooled::check(&self.url).map_err(|_| no_url())?;
        let url = Url::parse(&self.url)
            .map_err(|e| Error::invalid_request("`url` cannot be read").param("url").because(e))?;
        let bare = url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            let why =
                "`url` must have no query, fragment, user or password; they go into `query` and `headers`";
            return Err(Error::invalid_request(why).param("url"));
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/*;q=0.5"));
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        configured(&self.headers, &mut headers)?;
        // A bomb would have to be told from an answer.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let line = |(name, value): (&String, &Secret)| {
            Ok((name.clone(), Line::parse(value.expose(), &format!("query.{name}"))?))
        };
        let query = self.query.iter().map(line).collect::<Result<Vec<_>>>()?;
        let body = self.body.as_ref().map(|body| Template::parse(body, "body")).transpose()?;
        if self.method == Method::Get && body.is_some() {
            let why = "a GET has no body; put the question into `query`, or set `method: POST`";
            return Err(Error::invalid_request(why).param("body"));
        }
        let asks = query.iter().any(|(_, line)| line.asks()) || body.as_ref().is_some_and(Template::asks);
        if !asks {
            let field = if self.method == Method::Get { "query" } else { "body" };
            let why = format!("`{field}` has no place for the question, such as {{{{ text }}}}");
            return Err(Error::invalid_request(why).param(field));
        }
        let health = self.health.as_deref().map(|path| health(&url, path)).transpose()?;
        Ok(Plan { url, headers, query, body, health })
    }
}

/// The address of a path at the same host, which alone is to know the keys among the headers.
fn health(url: &Url, path: &str) -> Result<Url> {
    let joined = url.join(path).ok().filter(|_| path.starts_with('/'));
    joined.filter(|joined| joined.origin() == url.origin() && joined.fragment().is_none()).ok_or_else(|| {
        Error::invalid_request("`health` must be a path that begins with one slash, such as /health")
            .param("health")
    })
}

fn no_url() -> Error {
    let why = "`url` must be an http or https URL, such as http://127.0.0.1:8000/predict";
    Error::invalid_request(why).param("url")
}

/// A JSON pointer (RFC 6901): empty, or names that each follow a slash, where `~` begins `~0` or `~1`.
fn pointer(text: &str, field: &'static str) -> Result<()> {
    let escaped = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    match (text.is_empty() || text.starts_with('/')) && escaped {
        true => Ok(()),
        false => {
            let why = format!("`{field}` must be a JSON pointer, such as /choices/0/text");
            Err(Error::invalid_request(why).param(field))
        }
    }
}
