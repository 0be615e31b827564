//! What a gateway's response says beside its body: under which id, who answered, how long it took, what it cost.
//! All of it stands in the table of docs/headers.md.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::AGE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::BytesMut;
use maof_core::{CacheStatus, Call, CallId, End, Head, Money};

/// Fields left out that a header names at most, and how long each may be.
const DROPPED: (usize, usize) = (32, 128);
/// Bytes that a caller's own id, of its request or its session, may have.
const MAX_ID: usize = 128;

/// The ids that are known of a request so far.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// The caller's own.
    pub(super) request: Option<Arc<str>>,
    pub(super) call: Option<CallId>,
}

impl Ids {
    /// What the caller says of itself, where that is short and plain enough to be logged and passed on.
    pub(super) fn of(headers: &HeaderMap) -> Ids {
        let given = headers.get(&named::X_REQUEST_ID).and_then(|value| value.to_str().ok());
        Ids { request: given.filter(|id| is_plain(id)).map(Arc::from), call: None }
    }

    /// Names a response: by the caller's id where it gave one, and by ours.
    pub(super) fn put(&self, headers: &mut HeaderMap) {
        self.put_with(&mut Values::default(), &mut |name, value| drop(headers.insert(name, value)));
    }

    fn put_with(&self, values: &mut Values, put: &mut Put<'_>) {
        let call = self.call.and_then(|id| values.text(id.uuid().hyphenated().encode_lower(&mut [0; 36])));
        let own = self.request.as_deref().and_then(|id| values.text(id));
        if let Some(id) = own.or_else(|| call.clone()) {
            put(&named::X_REQUEST_ID, id.clone());
            put(&named::REQUEST_ID, id);
        }
        if let Some(id) = call {
            put(&named::CALL_ID, id);
        }
    }
}

/// Takes a header.
type Put<'a> = dyn FnMut(&'static HeaderName, HeaderValue) + 'a;

/// Makes values of headers, which lie one after the other in one piece of memory.
struct Values(BytesMut);

impl Default for Values {
    fn default() -> Self {
        Values(BytesMut::with_capacity(256))
    }
}

impl Values {
    /// None where it cannot stand in a header.
    fn text(&mut self, text: &str) -> Option<HeaderValue> {
        self.0.extend_from_slice(text.as_bytes());
        HeaderValue::from_maybe_shared::<Bytes>(self.0.split().freeze()).ok()
    }
}

/// Whether an id of a caller's is short and plain enough to be logged and passed on.
pub(super) fn is_plain(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte);
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(plain)
}

/// A reply, as it is described.
pub(super) struct Told<'a> {
    pub(super) call: &'a Call,
    pub(super) head: &'a Head,
    /// The end of a whole reply; that of a stream is not known yet.
    pub(super) end: Option<&'a End>,
    /// Since the request was there.
    pub(super) took: Duration,
    /// Whether LiteLLM's names are wanted as well.
    pub(super) litellm: bool,
}

impl Told<'_> {
    /// Describes the reply.
    pub(super) fn put(&self, headers: &mut HeaderMap) {
        headers.reserve(if self.litellm { 40 } else { 20 });
        let mut values = Values::default();
        let put = &mut |name, value| drop(headers.insert(name, value));
        Ids { request: self.call.provenance.request.clone(), call: Some(self.call.id) }
            .put_with(&mut values, put);
        let mut text = |name, text: &str| {
            if let Some(value) = values.text(text) {
                put(name, value);
            }
        };
        if let Some(cost) = self.end.and_then(|end| end.cost) {
            text(&named::COST, cost.amount(&mut [0; Money::WIDEST]));
        }
        if let Some(provider) = &self.head.provider {
            text(&named::PROVIDER, provider.as_str());
        }
        text(&named::OVERHEAD, &milliseconds(self.overhead()));
        if !self.head.dropped.is_empty() {
            let (most, longest) = DROPPED;
            let shown = self.head.dropped.iter().take(most);
            let shown: Vec<String> = shown.map(|field| field.chars().take(longest).collect()).collect();
            text(&named::DROPPED, &shown.join(", "));
        }
        if let Some(near) = &self.head.near {
            text(&named::NEAR_LIMIT, &format!("{};percent={}", near.account, near.percent));
        }
        if let Some(chosen) = &self.head.chosen {
            text(&named::AGENT, chosen.agent.as_str());
            text(&named::ENDPOINT, chosen.endpoint.as_str());
            text(&named::DECISION, chosen.decision.uuid().hyphenated().encode_lower(&mut [0; 36]));
            put(&named::FALLBACKS, chosen.fallbacks.into());
        }
        let attempts = match self.head.cache {
            Some(CacheStatus::Hit { age }) => {
                put(&AGE, age.as_secs().into());
                0
            }
            Some(CacheStatus::Similar { age, percent }) => {
                put(&AGE, age.as_secs().into());
                put(&named::SIMILARITY, u16::from(percent).into());
                0
            }
            _ => self.head.attempts.max(1),
        };
        put(&named::ATTEMPTS, attempts.into());
        if let Some(cache) = self.head.cache {
            put(&named::CACHE, HeaderValue::from_static(cache.as_str()));
        }
        if let Some(schema) = self.head.schema {
            put(&named::SCHEMA, HeaderValue::from_static(schema.as_str()));
        }
        if self.litellm {
            self.put_litellm(&mut values, put);
        }
    }

    fn waited(&self) -> Duration {
        self.head.waits.as_ref().map_or(Duration::ZERO, |waits| waits.total())
    }

    fn overhead(&self) -> Duration {
        self.took.saturating_sub(self.waited())
    }

    /// The same in the words of LiteLLM's proxy (<https://docs.litellm.ai/docs/proxy/response_headers>, read
    /// November 2026), as far as they mean something here.
    fn put_litellm(&self, values: &mut Values, put: &mut Put<'_>) {
        use named::litellm;
        let mut text = |name, text: &str| {
            if let Some(value) = values.text(text) {
                put(name, value);
            }
        };
        text(&litellm::CALL_ID, &self.call.id.to_string());
        text(&litellm::OVERHEAD, &milliseconds(self.overhead()));
        text(&litellm::RESPONSE, &milliseconds(self.took));
        text(&litellm::LLM_API, &milliseconds(self.waited().min(self.took)));
        if let Some(cost) = self.end.and_then(|end| end.cost) {
            text(&litellm::COST, cost.amount(&mut [0; Money::WIDEST]));
        }
        if let Some(chosen) = &self.head.chosen {
            text(&litellm::MODEL_ID, chosen.endpoint.as_str());
            // Theirs, too, names the group that has answered.
            text(&litellm::MODEL_GROUP, chosen.agent.as_str());
            put(&litellm::FALLBACKS, chosen.fallbacks.into());
        }
        put(&litellm::RETRIES, self.head.attempts.saturating_sub(1).into());
        if let Some(usage) = self.end.and_then(|end| end.usage) {
            put(&litellm::TOKENS, usage.total_tokens().into());
        }
    }
}

/// Three places: microseconds are what it is about.
fn milliseconds(duration: Duration) -> String {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let mut text = (micros / 1_000).to_string();
    text.push('.');
    text.extend([100, 10, 1].map(|place| char::from(b'0' + (micros / place % 10) as u8)));
    text
}

/// Names of headers, checked once.
mod named {
    use axum::http::HeaderName;

    pub(super) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
    /// Where Anthropic's SDKs look for it.
    pub(super) static REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
    pub(super) static CALL_ID: HeaderName = HeaderName::from_static("x-maof-call-id");
    pub(super) static AGENT: HeaderName = HeaderName::from_static("x-maof-agent");
    pub(super) static ENDPOINT: HeaderName = HeaderName::from_static("x-maof-endpoint");
    /// What `POST /feedback` takes.
    pub(super) static DECISION: HeaderName = HeaderName::from_static("x-maof-decision");
    pub(super) static PROVIDER: HeaderName = HeaderName::from_static("x-maof-provider");
    pub(super) static FALLBACKS: HeaderName = HeaderName::from_static("x-maof-fallbacks");
    pub(super) static ATTEMPTS: HeaderName = HeaderName::from_static("x-maof-attempts");
    pub(super) static OVERHEAD: HeaderName = HeaderName::from_static("x-maof-overhead-ms");
    pub(super) static SCHEMA: HeaderName = HeaderName::from_static("x-maof-schema");
    pub(super) static CACHE: HeaderName = HeaderName::from_static("x-maof-cache");
    /// How similar the question was that an answer was kept for, in percent.
    pub(super) static SIMILARITY: HeaderName = HeaderName::from_static("x-maof-cache-similarity");
    pub(super) static DROPPED: HeaderName = HeaderName::from_static("x-maof-dropped");
    pub(super) static COST: HeaderName = HeaderName::from_static("x-maof-cost-usd");
    pub(super) static NEAR_LIMIT: HeaderName = HeaderName::from_static("x-maof-near-limit");

    pub(super) mod litellm {
        use axum::http::HeaderName;

        pub(crate) static CALL_ID: HeaderName = HeaderName::from_static("x-litellm-call-id");
        pub(crate) static MODEL_ID: HeaderName = HeaderName::from_static("x-litellm-model-id");
        pub(crate) static MODEL_GROUP: HeaderName = HeaderName::from_static("x-litellm-model-group");
        pub(crate) static FALLBACKS: HeaderName = HeaderName::from_static("x-litellm-attempted-fallbacks");
        pub(crate) static RETRIES: HeaderName = HeaderName::from_static("x-litellm-attempted-retries");
        pub(crate) static OVERHEAD: HeaderName = HeaderName::from_static("x-litellm-overhead-duration-ms");
        pub(crate) static RESPONSE: HeaderName = HeaderName::from_static("x-litellm-response-duration-ms");
        pub(crate) static LLM_API: HeaderName = HeaderName::from_static("x-litellm-timing-llm-api-ms");
        pub(crate) static COST: HeaderName = HeaderName::from_static("x-litellm-response-cost");
        pub(crate) static TOKENS: HeaderName = HeaderName::from_static("x-litellm-total-tokens");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_id_is_taken_where_it_is_short_and_plain() {
        let check = |given: &[u8], expect: bool| {
            let mut headers = HeaderMap::new();
            headers.insert("x-request-id", HeaderValue::from_bytes(given).unwrap());
            assert_eq!(Ids::of(&headers).request.is_some(), expect, "{}", given.escape_ascii());
        };
        check(b"01890a5d-ac96-774b-bcce-b302099a8057", true);
        check(b"Root=1-67891233-abc:def/0+x_y.z@h", true);
        check(&[b'a'; 128], true);
        check(&[b'a'; 129], false);
        check(b"", false);
        for strange in [&b"a b"[..], b"a\tb", b"a\"b", b"{a}", b"a;b", b"a,b", b"\xc3\xa4", b"<a>"] {
            check(strange, false);
        }
    }

    #[test]
    fn times_have_three_places() {
        let check = |micros, expect: &str| assert_eq!(milliseconds(Duration::from_micros(micros)), expect);
        check(0, "0.000");
        check(7, "0.007");
        check(61_042, "61.042");
        check(3_600_000_000, "3600000.000");
    }
}
