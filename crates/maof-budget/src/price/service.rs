//! Which service a call asks for, and which one answered.

use std::borrow::Cow;
use std::sync::Arc;

use futures::StreamExt as _;
use maof_core::{Body, Call, Reply};
use parking_lot::Mutex;
use serde::Deserialize;

use super::schedule::Prices;

/// The field of requests and answers, as OpenAI and Anthropic write it. Within a text its quotes would be escaped.
const FIELD: &[u8] = b"\"service_tier\"";

/// The service that a call asks for, where prices depend on it: `service_tier` (OpenAI, Anthropic) or `serviceTier`
/// (Gemini) at the top of its request. It is what is held by.
pub(crate) fn service<'a>(call: &'a Call, prices: &Prices) -> Option<Cow<'a, str>> {
    if !prices.by_service() {
        return None;
    }
    match &call.body {
        Body::Chat(chat) => {
            let said = ["service_tier", "serviceTier"].iter().find_map(|key| chat.rest.get(*key)?.as_str());
            said.map(Cow::Borrowed)
        }
        Body::Wire(wire) => {
            // Most requests say nothing of it, and are not read for that.
            let mut found = memchr::memmem::find_iter(&wire.bytes, b"\"service");
            found.find(|at| {
                let rest = wire.bytes.get(at + 8..).unwrap_or_default();
                rest.starts_with(b"_tier\"") || rest.starts_with(b"Tier\"")
            })?;
            serde_json::from_slice::<Said<'a>>(&wire.bytes).ok()?.service_tier
        }
        _ => None,
    }
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, default, alias = "serviceTier")]
    service_tier: Option<Cow<'a, str>>,
}

/// The service that the answer says it came in, as far as it has come: what providers charge by
/// (<https://platform.openai.com/docs/api-reference/chat/object>).
#[derive(Clone, Debug, Default)]
pub(crate) struct Served(Arc<Mutex<Option<Arc<str>>>>);

impl Served {
    /// Looks at the reply, and at what comes of it, if it is a stream.
    pub(crate) fn look(&self, reply: Reply) -> Reply {
        if let Some(content) = reply.response().and_then(|response| response.content()) {
            self.note(&content.bytes);
        }
        let seen = self.clone();
        reply.map_events(|events| {
            Box::pin(events.inspect(move |event| {
                if let Some(frame) = event.as_ref().ok().and_then(|event| event.frame.as_ref()) {
                    seen.note(&frame.bytes);
                }
            }))
        })
    }

    /// What was said last.
    pub(crate) fn said(&self) -> Option<Arc<str>> {
        self.0.lock().clone()
    }

    fn note(&self, bytes: &[u8]) {
        // What begins says what was asked for: `auto` is no service.
        if let Some(service) = in_bytes(bytes).filter(|service| *service != "auto") {
            *self.0.lock() = Some(service.into());
        }
    }
}

/// The value of the last such field, if it is a name.
fn in_bytes(bytes: &[u8]) -> Option<&str> {
    let at = memchr::memmem::rfind(bytes, FIELD)?;
    let rest = bytes.get(at + FIELD.len()..)?.trim_ascii_start().strip_prefix(b":")?;
    let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let name = rest.get(..memchr::memchr(b'"', rest)?)?;
    let plain = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') && name.len() <= 32;
    std::str::from_utf8(name).ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::in_bytes;

    #[test]
    fn what_answers_say_is_found_and_what_they_quote_is_not() {
        let check =
            |bytes: &str, expected: Option<&str>| assert_eq!(in_bytes(bytes.as_bytes()), expected, "{bytes}");
        check(r#"{"a": 1, "service_tier": "flex", "b": 2}"#, Some("flex"));
        check("{\"service_tier\"\n:\n\"priority\"}", Some("priority"));
        check(r#"data: {"usage": {"service_tier":"standard"}}"#, Some("standard"));
        check(r#"{"content": "say \"service_tier\": \"flex\""}"#, None);
        check(r#"{"service_tier": null}"#, None);
        check(r#"{"service_tier": "fl"#, None);
        check(r#"{"service_tier": "a b"}"#, None);
        check("{}", None);
    }
}
