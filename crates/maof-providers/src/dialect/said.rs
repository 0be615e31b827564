//! Errors of upstreams, as one of the shapes that are in use: what is said, and what it means for the call.
//!
//! Of an upstream's own words only those about the caller's own request survive, without keys, URLs and
//! hosts; everything else goes, scrubbed too, into the source, which is only logged.

use maof_core::{Error, ErrorKind, Origin, Retry};
use serde::Deserialize;
use serde_json::Value;

use super::scrub;

/// An error as the dialect says it; compatible servers leave out or bend most of it.
#[derive(Debug, Default, Deserialize)]
struct Said {
    #[serde(default)]
    message: Value,
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default)]
    param: Value,
    #[serde(default)]
    code: Value,
    /// Google's word for the kind.
    #[serde(default)]
    status: Value,
}

impl Said {
    /// From `{"error": {…}}`, `{"error": "…"}`, `{"message": …}`, `{"detail": …}`, or text.
    fn read(body: &[u8]) -> Said {
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            return Said { message: String::from_utf8_lossy(body).into_owned().into(), ..Said::default() };
        };
        let inner = [&value["error"], &value[0]["error"], &value["detail"], &value["errors"][0]]
            .into_iter()
            .find(|v| !v.is_null());
        Said::of(inner.unwrap_or(&value))
    }

    fn of(value: &Value) -> Said {
        match value {
            Value::Null => Said::default(),
            Value::Object(_) => Said::deserialize(value).unwrap_or_default(),
            // Some servers send a list of what is wrong; its text is all there is.
            other => {
                Said { message: text(other).unwrap_or_else(|| other.to_string()).into(), ..Said::default() }
            }
        }
    }

    /// The provider's own code. Some servers repeat HTTP's status there, which says nothing more.
    fn code(&self) -> Option<String> {
        text(&self.code).filter(|code| !code.parse().is_ok_and(is_status))
    }

    /// Google's word for the kind, which stands beside such a status.
    fn word(&self) -> Option<String> {
        self.status.as_str().map(str::to_owned)
    }

    fn message(&self) -> String {
        scrub(self.message.as_str().unwrap_or_default())
    }

    /// Whether the code or the type is one of `words`.
    fn names(&self, words: &[&str]) -> bool {
        [&self.code, &self.kind, &self.status].iter().any(|v| v.as_str().is_some_and(|v| words.contains(&v)))
    }

    /// The status that stands for this error where HTTP gave none.
    fn status(&self) -> u16 {
        let number = self.code.as_u64().or_else(|| self.code.as_str().and_then(|code| code.parse().ok()));
        let told = number.and_then(|n| u16::try_from(n).ok()).filter(|n| is_status(*n));
        const WORDS: [(&str, u16); 16] = [
            ("rate_limit_exceeded", 429),
            ("rate_limit_error", 429),
            ("requests", 429),
            ("tokens", 429),
            ("invalid_request_error", 400),
            ("authentication_error", 401),
            ("invalid_api_key", 401),
            ("overloaded_error", 529),
            ("authentication", 401),
            ("permission_error", 403),
            ("not_found_error", 404),
            ("request_too_large", 413),
            ("timeout_error", 504),
            ("INVALID_ARGUMENT", 400),
            ("RESOURCE_EXHAUSTED", 429),
            ("UNAVAILABLE", 503),
        ];
        let word = || WORDS.iter().find(|(word, _)| self.names(&[word])).map(|(_, status)| *status);
        told.or_else(word).unwrap_or(500)
    }
}

fn is_status(number: u16) -> bool {
    (400..600).contains(&number)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// An answer with a status of failure.
pub(crate) fn decode(status: u16, body: &[u8]) -> Error {
    error(status, &Said::read(body))
}

/// An error inside an answer with a status of success; `raw` is the value of `error`.
pub(crate) fn inside(raw: &str) -> Error {
    let value: Value = serde_json::from_str(raw).unwrap_or_default();
    let said = Said::of(&value);
    error(said.status(), &said)
}

fn error(status: u16, said: &Said) -> Error {
    let error = special(said).unwrap_or_else(|| by_status(status, said));
    error.because(format!("status {status}: {}", said.message()))
}

/// What the code says, whatever the status.
fn special(said: &Said) -> Option<Error> {
    let too_long =
        ["context_length_exceeded", "model_max_prompt_tokens_exceeded", "exceed_context_size_error"];
    if said.names(&too_long) {
        return Some(told(said, ErrorKind::ContextLength, Origin::Provider, Retry::Elsewhere));
    }
    if said.names(&["content_filter", "content_policy_violation", "content_filtered"]) {
        return Some(told(said, ErrorKind::ContentFiltered, Origin::Provider, Retry::Never));
    }
    if said.names(&["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"]) {
        return Some(away("the endpoint's own quota at its provider is used up"));
    }
    None
}

fn by_status(status: u16, said: &Said) -> Error {
    match status {
        400 | 422 if is_too_long(&said.message()) => {
            told(said, ErrorKind::ContextLength, Origin::Provider, Retry::Elsewhere)
        }
        400 | 422 if is_filtered(&said.message()) => {
            told(said, ErrorKind::ContentFiltered, Origin::Provider, Retry::Never)
        }
        400 | 422 => told(said, ErrorKind::InvalidRequest, Origin::Caller, Retry::Never),
        401 | 403 => away("the endpoint's own credentials were refused by its provider"),
        402 => away("the endpoint's own quota at its provider is used up"),
        404 => away("the endpoint's model or address is not known to its provider"),
        408 | 504 => Error::timed_out("the upstream gave up waiting"),
        409 | 425 => away("the upstream is busy with the same request"),
        413 => told(said, ErrorKind::TooLarge, Origin::Caller, Retry::Never),
        429 => Error::rate_limited("the upstream's rate limit is reached")
            .origin_is(Origin::Provider)
            .retry_is(Retry::Here),
        529 => Error::unavailable("the upstream is overloaded"),
        500..=599 => Error::unavailable("the upstream failed"),
        300..=399 => away("the upstream redirects; its base URL must be the API itself"),
        _ => away("the upstream refused in a way that its API does not describe"),
    }
}

/// Compatible servers, Anthropic (`prompt is too long: 210000 tokens > 200000 maximum`) and Gemini (`The input token
/// count (…) exceeds the maximum number of tokens allowed (…)`) say it in words only.
fn is_too_long(message: &str) -> bool {
    const WORDS: [&str; 5] = [
        "context length",
        "context window",
        "context size",
        "prompt is too long",
        "exceeds the maximum number of tokens",
    ];
    let message = message.to_lowercase();
    WORDS.iter().any(|words| message.contains(words))
}

/// Anthropic (`Output blocked by content filtering policy`), Azure (`… triggering Azure OpenAI's content management
/// policy`) and Google (`… violates Google's Responsible AI practices`) say it in words, with or without a code.
fn is_filtered(message: &str) -> bool {
    const WORDS: [&str; 4] = [
        "content filtering policy",
        "content management policy",
        "responsible ai practices",
        "blocked by the content filter",
    ];
    let message = message.to_lowercase();
    WORDS.iter().any(|words| message.contains(words))
}

/// Another endpoint may succeed.
fn away(message: &'static str) -> Error {
    Error::unavailable(message).retry_is(Retry::Elsewhere)
}

/// An error about the caller's own request, in the upstream's scrubbed words.
fn told(said: &Said, kind: ErrorKind, origin: Origin, retry: Retry) -> Error {
    let message = match said.message() {
        empty if empty.trim().is_empty() => "the upstream refused the request".to_owned(),
        message => message,
    };
    let mut error = Error::new(kind, message).origin_is(origin).retry_is(retry);
    if let Some(param) = said.param.as_str() {
        error = error.param(scrub(param));
    }
    // Where the words say more than the word, a dialect's own code for the kind is told.
    let word = || said.word().filter(|_| kind == ErrorKind::InvalidRequest);
    match said.code().or_else(word) {
        Some(code) => error.code(scrub(&code)),
        None => error,
    }
}
