//! Which service a call asks for.

use std::borrow::Cow;

use maof_core::{Body, Call};
use serde::Deserialize;

use super::schedule::Prices;

/// The service that a call asks for, where prices depend on it: `service_tier` (OpenAI, Anthropic) or `serviceTier`
/// (Gemini) at the top of its request.
///
/// What a provider charges by in the end is what it answered in; those that serve a request in another service than it
/// asked for charge less for that (OpenAI's `flex` is refused rather than served at another price).
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
