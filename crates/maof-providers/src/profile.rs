//! Profiles: what is known of a provider, as data; and the configuration of one.
//!
//! ```
//! use maof_providers::{Profile, ProviderConfig};
//! assert_eq!(Profile::find("ollama").and_then(|p| p.base_url), Some("http://127.0.0.1:11434/v1"));
//! let error = ProviderConfig { profile: "opnai".to_owned(), ..ProviderConfig::default() }.validate().unwrap_err();
//! assert_eq!(error.field(), Some("profile"));
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use maof_core::{Dialect, Error, Result, Secret, Unsupported};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::client::Pooled;
use crate::dialect::anthropic::ANTHROPIC;
use crate::dialect::gemini::GEMINI;
use crate::dialect::huggingface::HUGGINGFACE_TASKS;
use crate::dialect::openai::{COMPATIBLE, OPENAI};
use crate::dialect::openai_responses::RESPONSES;
use crate::dialect::stability::STABILITY;
use crate::schemas::Schemas;

/// How a provider is told the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// The key alone, in a header of this name.
    Header(&'static str),
}

/// What a provider takes of the shape that an answer shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shapes {
    /// A JSON schema.
    Schema,
    /// That it shall be JSON.
    Json,
    /// Nothing.
    None,
}

/// How a provider is asked for an answer by a JSON schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JsonSchemaMode {
    /// In the words of its API.
    Native,
    /// In the instructions.
    Instruct,
}

/// A provider as data. A new one is a row in [`Profile::ALL`].
#[derive(Debug)]
pub struct Profile {
    /// Its name in configuration.
    pub name: &'static str,
    /// Where its API is, unless that differs from one installation to the next.
    pub base_url: Option<&'static str>,
    /// How it speaks.
    pub dialect: &'static dyn Dialect,
    /// How it is told the key.
    pub auth: Auth,
    /// Headers of every request.
    pub headers: &'static [(&'static str, &'static str)],
    /// Whether it answers nobody without a key.
    pub needs_key: bool,
    /// Whether it understands `Idempotency-Key`.
    pub idempotency: bool,
    /// The header in which it takes its caller's id of a request, for its logs and ours to be held together.
    pub request_id: Option<&'static str>,
    /// Whether it streams; callers of one that does not get its answer as a stream of one event.
    pub streams: bool,
    /// The path below its address that lists its models, which tells whether it is there and knows the key.
    pub models: Option<&'static str>,
    /// What the media types of whole answers may begin with, beside JSON.
    pub media: &'static [&'static str],
    /// What it takes of the shape that an answer shall have.
    pub shapes: Shapes,
}

/// A server that speaks as OpenAI does, at an address of its own.
const LOCAL: Profile = Profile {
    name: "openai_compatible",
    base_url: None,
    dialect: &COMPATIBLE,
    auth: Auth::Bearer,
    headers: &[],
    needs_key: false,
    idempotency: true,
    request_id: None,
    streams: true,
    models: Some("/models"),
    media: &[],
    shapes: Shapes::Schema,
};

/// <https://developers.openai.com/api/reference/overview>, "Debugging requests" (read November 2026).
const OPENAI_REQUEST_ID: Option<&str> = Some("x-client-request-id");

/// A vendor that speaks as OpenAI does.
const fn vendor(name: &'static str, base_url: &'static str) -> Profile {
    Profile { name, base_url: Some(base_url), needs_key: true, idempotency: false, ..LOCAL }
}

/// A server of that kind that usually runs on this machine.
const fn local(name: &'static str, base_url: &'static str) -> Profile {
    Profile { name, base_url: Some(base_url), idempotency: false, ..LOCAL }
}

impl Profile {
    /// Every profile. Addresses are those that each vendor's documentation gives (read November 2026).
    pub const ALL: [&'static Profile; 22] = [
        &Profile {
            dialect: &OPENAI,
            idempotency: true,
            request_id: OPENAI_REQUEST_ID,
            ..vendor("openai", "https://api.openai.com/v1")
        },
        &Profile {
            dialect: &RESPONSES,
            request_id: OPENAI_REQUEST_ID,
            ..vendor("openai_responses", "https://api.openai.com/v1")
        },
        &Profile {
            dialect: &ANTHROPIC,
            auth: Auth::Header("x-api-key"),
            headers: &[("anthropic-version", "2023-06-01")],
            models: Some("/models?limit=1"),
            ..vendor("anthropic", "https://api.anthropic.com/v1")
        },
        &Profile {
            dialect: &GEMINI,
            auth: Auth::Header("x-goog-api-key"),
            models: Some("/models?pageSize=1"),
            ..vendor("gemini", "https://generativelanguage.googleapis.com/v1beta")
        },
        // Its address is https://RESOURCE.openai.azure.com/openai/v1, its models are deployments.
        &Profile {
            name: "azure_openai",
            dialect: &OPENAI,
            auth: Auth::Header("api-key"),
            needs_key: true,
            ..LOCAL
        },
        &vendor("cerebras", "https://api.cerebras.ai/v1"),
        // JSON, but by no schema (<https://api-docs.deepseek.com/guides/json_mode>, read November 2026).
        &Profile { shapes: Shapes::Json, ..vendor("deepseek", "https://api.deepseek.com/v1") },
        &vendor("fireworks", "https://api.fireworks.ai/inference/v1"),
        &vendor("groq", "https://api.groq.com/openai/v1"),
        &vendor("huggingface", "https://router.huggingface.co/v1"),
        &Profile {
            dialect: &HUGGINGFACE_TASKS,
            streams: false,
            models: None,
            media: &["image/"],
            shapes: Shapes::None,
            ..vendor("huggingface_tasks", "https://router.huggingface.co/hf-inference")
        },
        &vendor("mistral", "https://api.mistral.ai/v1"),
        &vendor("moonshot", "https://api.moonshot.ai/v1"),
        &vendor("openrouter", "https://openrouter.ai/api/v1"),
        &Profile { models: None, ..vendor("perplexity", "https://api.perplexity.ai") },
        &Profile {
            dialect: &STABILITY,
            streams: false,
            models: None,
            shapes: Shapes::None,
            ..vendor("stability", "https://api.stability.ai")
        },
        &vendor("together", "https://api.together.xyz/v1"),
        &vendor("xai", "https://api.x.ai/v1"),
        &local("llamacpp", "http://127.0.0.1:8080/v1"),
        &local("ollama", "http://127.0.0.1:11434/v1"),
        // vLLM makes the id of its own request of it (`_base_request_id` of its OpenAI server).
        &Profile { request_id: Some("x-request-id"), ..local("vllm", "http://127.0.0.1:8000/v1") },
        &LOCAL,
    ];

    /// The profile called `name`.
    pub fn find(name: &str) -> Option<&'static Profile> {
        Profile::ALL.into_iter().find(|profile| profile.name == name)
    }
}

/// A provider that is asked.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderConfig {
    /// Which kind of provider: `openai`, `openai_responses`, `anthropic`, `gemini`, `azure_openai`, `cerebras`, `deepseek`, `fireworks`, `groq`,
    /// `huggingface`, `huggingface_tasks`, `mistral`, `moonshot`, `openrouter`, `perplexity`, `stability`, `together`, `xai`, `llamacpp`, `ollama`, `vllm`
    /// or `openai_compatible`. Default `openai_compatible`.
    pub profile: String,
    /// Where its API is, up to and including `/v1`. Default: where the profile's provider has it;
    /// `openai_compatible` and `azure_openai` have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The key, sent where the provider wants it; write it as `${NAME}`. Default: none. Never shown.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub api_key: Option<Secret>,
    /// Further headers of every request. Default: none. Their values are never shown.
    #[serde(serialize_with = "masked")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: BTreeMap<String, Secret>,
    /// What becomes of a field of a request that the provider's dialect cannot express: `refuse` the request,
    /// naming the field, or `drop_and_report`: leave it out and name it in the reply. Default `refuse`.
    #[schemars(with = "UnsupportedWord")]
    pub unsupported: Unsupported,
    /// How it is asked for an answer by a JSON schema: `native`, in the words of its API, or `instruct`: the schema is
    /// put into the instructions, for models that know no better. Default: `native` where the profile's provider has
    /// it, else what `unsupported` says. Answers are held against the schema in any case; see `structured`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<JsonSchemaMode>,
    /// Milliseconds that connecting may take. Default 10,000.
    pub connect_timeout_ms: u64,
    /// Milliseconds from the sending of a request, connecting included, to the head of its answer. Default: none; the
    /// limits of an attempt hold (`resilience.timeout.attempt_ms`, and `first_token_ms` of a stream), since the head
    /// of a whole answer comes when the model has written all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers_timeout_ms: Option<u64>,
    /// Milliseconds that may pass without a byte of an answer that has begun. Default 60,000.
    pub idle_timeout_ms: u64,
    /// Bytes that a whole answer may have, decompressed; a streamed one may have eight times as many.
    /// Default 33,554,432 (32 MiB).
    pub max_reply_bytes: u64,
    /// Bytes that one frame of a stream may have. Default 1,048,576 (1 MiB).
    pub max_frame_bytes: u64,
}

impl Default for ProviderConfig {
    fn default() -> Self {
        ProviderConfig {
            profile: "openai_compatible".to_owned(),
            base_url: None,
            api_key: None,
            headers: BTreeMap::new(),
            unsupported: Unsupported::default(),
            json_schema: None,
            connect_timeout_ms: 10_000,
            headers_timeout_ms: None,
            idle_timeout_ms: 60_000,
            max_reply_bytes: 32 << 20,
            max_frame_bytes: 1 << 20,
        }
    }
}

/// The words of [`Unsupported`].
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "a schema only")]
pub(crate) enum UnsupportedWord {
    Refuse,
    DropAndReport,
}

/// Names only: a header may carry a key as well.
pub(crate) fn masked<S: Serializer>(
    headers: &BTreeMap<String, Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(headers.keys().map(|name| (name, "***")))
}

impl ProviderConfig {
    /// Checks what can be checked without asking the provider.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        let profile = self.profile()?;
        Pooled::check(&self.base_url()?)?;
        if profile.needs_key && self.api_key.is_none() {
            let why =
                format!("the profile `{}` needs an `api_key`, such as ${{OPENAI_API_KEY}}", profile.name);
            return Err(Error::invalid_request(why).param("api_key"));
        }
        positive(&[
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("headers_timeout_ms", self.headers_timeout_ms.unwrap_or(1)),
            ("idle_timeout_ms", self.idle_timeout_ms),
            ("max_reply_bytes", self.max_reply_bytes),
            ("max_frame_bytes", self.max_frame_bytes),
        ])?;
        self.request_headers().map(drop)
    }

    /// The profile that is named.
    ///
    /// # Errors
    /// `invalid_request` when there is none of that name.
    pub fn profile(&self) -> Result<&'static Profile> {
        Profile::find(&self.profile).ok_or_else(|| {
            let known = Profile::ALL.map(|profile| profile.name).join(", ");
            Error::invalid_request(format!("there is no profile `{}`; there are {known}", self.profile))
                .param("profile")
        })
    }

    /// Where the API is, without a slash at the end.
    pub(crate) fn base_url(&self) -> Result<String> {
        let own = self.base_url.as_deref().or(self.profile()?.base_url);
        let url = own.ok_or_else(|| {
            Error::invalid_request("`base_url` is missing: where is the API, up to and including /v1?")
                .param("base_url")
        })?;
        if url.contains(['?', '#', '@']) {
            let why = "`base_url` must have no query, fragment, user or password; keys go into `api_key` or `headers`";
            return Err(Error::invalid_request(why).param("base_url"));
        }
        Ok(url.trim_end_matches('/').to_owned())
    }

    /// How it is asked for an answer by a JSON schema.
    pub(crate) fn schemas(&self) -> Result<Schemas> {
        let shapes = self.profile()?.shapes;
        Ok(match (self.json_schema, shapes) {
            (Some(JsonSchemaMode::Instruct), shapes) => Schemas::Told { as_json: shapes == Shapes::Json },
            (Some(JsonSchemaMode::Native), _) | (None, Shapes::Schema) => Schemas::Native,
            (None, Shapes::Json | Shapes::None) => Schemas::Unsaid,
        })
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn headers_timeout(&self) -> Option<Duration> {
        self.headers_timeout_ms.map(Duration::from_millis)
    }

    /// The headers of every request.
    pub(crate) fn request_headers(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let profile = self.profile()?;
        for (name, value) in profile.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        if let Some(key) = &self.api_key {
            let key = key.expose().trim();
            let (name, value) = match profile.auth {
                Auth::Bearer => (AUTHORIZATION, secret_value(&format!("Bearer {key}"))),
                Auth::Header(name) => (HeaderName::from_static(name), secret_value(key)),
            };
            headers.insert(name, value.ok_or_else(|| unusable("api_key".to_owned()))?);
        }
        configured(&self.headers, &mut headers)?;
        Ok(headers)
    }
}

/// Adds configured headers to those of every request.
///
/// # Errors
/// `invalid_request` naming the one that cannot be sent.
pub(crate) fn configured(from: &BTreeMap<String, Secret>, headers: &mut HeaderMap) -> Result<()> {
    for (name, value) in from {
        let field = || unusable(format!("headers.{name}"));
        let header: HeaderName = name.parse().map_err(|_| field())?;
        headers.insert(header, secret_value(value.expose()).ok_or_else(field)?);
    }
    Ok(())
}

/// Fields of a configuration that must be at least 1.
///
/// # Errors
/// `invalid_request` naming the first that is 0.
pub(crate) fn positive(fields: &[(&'static str, u64)]) -> Result<()> {
    match fields.iter().find(|(_, value)| *value == 0) {
        Some((field, _)) => {
            Err(Error::invalid_request(format!("`{field}` must be at least 1")).param(*field))
        }
        None => Ok(()),
    }
}

pub(crate) fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

pub(crate) fn unusable(field: String) -> Error {
    Error::invalid_request(format!(
        "`{field}` cannot be sent as an HTTP header: use visible ASCII in one line"
    ))
    .param(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named_by_field() {
        let check = |json: &str, expect: Option<&str>| {
            let config: ProviderConfig = serde_json::from_str(json).unwrap();
            let field = config.validate().err().map(|e| e.field().unwrap_or("?").to_owned());
            assert_eq!(field.as_deref(), expect, "{json}");
        };
        check(r#"{"profile":"ollama"}"#, None);
        check(r#"{"profile":"openai","api_key":"k"}"#, None);
        check(r#"{"base_url":"https://h.example/v1/","headers":{"x-a":"b"}}"#, None);
        check(r#"{"profile":"openai"}"#, Some("api_key"));
        check(r#"{"profile":"anthropic"}"#, Some("api_key"));
        check(r#"{"profile":"azure_openai","api_key":"k"}"#, Some("base_url"));
        check(r#"{"profile":"opnai"}"#, Some("profile"));
        check(r#"{}"#, Some("base_url"));
        check(r#"{"base_url":"h.example"}"#, Some("base_url"));
        check(r#"{"base_url":"ftp://h.example"}"#, Some("base_url"));
        check(r#"{"base_url":"https://k@h.example"}"#, Some("base_url"));
        check(r#"{"profile":"ollama","api_key":"a\nb"}"#, Some("api_key"));
        check(r#"{"profile":"ollama","headers":{"a b":"c"}}"#, Some("headers.a b"));
        check(r#"{"profile":"ollama","idle_timeout_ms":0}"#, Some("idle_timeout_ms"));
        check(r#"{"profile":"ollama","headers_timeout_ms":0}"#, Some("headers_timeout_ms"));
        assert!(serde_json::from_str::<ProviderConfig>(r#"{"apikey":"k"}"#).is_err());
    }

    #[test]
    fn each_profile_is_complete_and_its_key_goes_where_it_belongs() {
        for profile in Profile::ALL {
            let config = ProviderConfig {
                profile: profile.name.to_owned(),
                base_url: Some("https://h.example/v1".to_owned()),
                api_key: Some(Secret::new("k")),
                ..ProviderConfig::default()
            };
            config.validate().unwrap();
            let headers = config.request_headers().unwrap();
            match profile.auth {
                Auth::Bearer => assert_eq!(headers[AUTHORIZATION], "Bearer k"),
                Auth::Header(name) => {
                    assert_eq!(headers[name], "k");
                    assert!(!headers.contains_key(AUTHORIZATION));
                }
            }
            assert!(profile.base_url.is_none_or(|url| Pooled::check(url).is_ok()));
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        let json = r#"{"profile":"openai","api_key":"sk-secret1","headers":{"x-key":"sk-secret2"}}"#;
        let config: ProviderConfig = serde_json::from_str(json).unwrap();
        let headers = config.request_headers().unwrap();
        let shown = format!("{config:?} {} {headers:?}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("sk-secret"), "{shown}");
        assert!(shown.contains("x-key"));
    }
}
