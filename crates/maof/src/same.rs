//! Which calls are the same, so that one answer serves them all: while they are under way, and afterwards.

use maof_cache::When;
use maof_core::{Body, CacheKey, Call, Grant, Target};
use maof_resilience::single_flight::Config;
use ring::digest::{Context, SHA256};

/// What is the same for calls that are.
pub(crate) type Key = [u8; 32];

/// The key of a call that is made once while several are under way; none where it is like no other: a stream, or a
/// question that may be answered differently each time. It holds tenant, tier and grant, so that nobody is given what
/// another was allowed to ask.
pub(crate) fn key(config: &Config, call: &Call) -> Option<Key> {
    if call.stream {
        return None;
    }
    let mut parts = Parts::of(call);
    match &call.provenance.effect {
        Some(effect) => parts.add_all([b"effect".as_slice(), effect.as_bytes()]),
        None if config.identical_bodies => {
            let typed = call.body.typed().ok()?;
            if !answers_the_same(typed) {
                return None;
            }
            match &call.body {
                // As it was spoken: what waits for a whole reply in its dialect's form has it byte for byte.
                Body::Wire(wire) => {
                    parts.add_dialect(wire);
                    parts.add_all([what(typed), &wire.bytes]);
                }
                _ => parts.add_typed(typed)?,
            }
        }
        None => return None,
    }
    parts.end()
}

/// The key under which a call's answer is kept; none where it is not given again. Whether a stream is asked for is not
/// in it, nor is how the body is laid out. Nothing is found that was kept in another `epoch`: whoever answers may be another.
pub(crate) fn kept(when: When, epoch: u64, call: &Call) -> Option<CacheKey> {
    // A caller that says how old an answer may be takes one that was given to the same question before.
    let whatever = when == When::Always || call.cache.max_age.is_some_and(|age| !age.is_zero());
    if !whatever && surely_varies(&call.body) {
        return None;
    }
    let typed = call.body.typed().ok()?;
    match typed {
        // What only its dialect knows (such as probabilities of tokens) could not be said in the other form.
        Body::Chat(chat) if call.stream && !chat.rest.is_empty() => return None,
        Body::Chat(_) if whatever => {}
        typed if answers_the_same(typed) => {}
        _ => return None,
    }
    let mut parts = Parts::of(call);
    parts.add(&epoch.to_le_bytes());
    if let Body::Wire(wire) = &call.body {
        parts.add_dialect(wire);
    }
    parts.add_typed(typed)?;
    parts.end()
}

/// A conversation's last question in plain words, and the key of all else that may change its answer, as [`kept`] has it; none of
/// what is not a conversation that ends in one.
pub(crate) fn worded(when: When, epoch: u64, call: &Call) -> Option<(CacheKey, String)> {
    let chat = call.body.chat().ok()?;
    let mut chat = maof_core::ChatRequest::clone(&chat);
    let last = chat.messages.last_mut().filter(|message| message.speaker == maof_core::Speaker::User)?;
    let [maof_core::Part::Text { text }] = &mut last.parts[..] else { return None };
    let text = std::mem::take(text);
    let mut asked = call.clone();
    let mut parts = Parts::of(call);
    parts.add(b"in other words");
    if let Body::Wire(wire) = &call.body {
        parts.add_dialect(wire);
    }
    asked.body = Body::from(chat);
    // What would not be kept as it is has no words either.
    parts.add(&kept(when, epoch, &asked)?);
    Some((parts.end()?, text))
}

/// Whether a question has the same answer each time.
fn answers_the_same(typed: &Body) -> bool {
    match typed {
        Body::Chat(chat) => chat.temperature == Some(0.0),
        Body::CountTokens(_) | Body::Embed(_) => true,
        _ => false,
    }
}

/// Whether a body says no temperature, so that it need not be decoded to be told from those that do. One that spells
/// the word with escapes counts as saying none.
fn surely_varies(body: &Body) -> bool {
    match body {
        Body::Wire(wire) if wire.operation == maof_core::Operation::Chat => {
            memchr::memmem::find(&wire.bytes, b"\"temperature\"").is_none()
        }
        _ => false,
    }
}

/// The kind of a question.
fn what(typed: &Body) -> &'static [u8] {
    match typed {
        Body::Chat(_) => b"chat",
        Body::CountTokens(_) => b"count",
        Body::Embed(_) => b"embed",
        _ => b"other",
    }
}

/// Parts that are told apart by their lengths.
struct Parts(Context);

impl Parts {
    /// Whom a call asks, and for whom.
    fn of(call: &Call) -> Parts {
        let mut parts = Parts(Context::new(&SHA256));
        let (kind, target) = match &call.target {
            Target::Name(name) => ("name", name),
            Target::TaskType(name) => ("task type", name),
            Target::Capability(name) => ("capability", name),
        };
        let principal = &call.principal;
        for part in [kind, target.as_str(), principal.tenant.as_str(), principal.tier.as_str()] {
            parts.add(part.as_bytes());
        }
        if let Grant::Only(agents) = &principal.grant {
            agents.iter().for_each(|agent| parts.add(agent.as_str().as_bytes()));
        }
        // A rule may say that who is tagged so is answered by some and not by others. No name has an equals sign.
        for (key, value) in call.provenance.tags.iter().flat_map(|tags| tags.iter()) {
            parts.add_all([b"tag=".as_slice(), key.as_str().as_bytes(), value.as_str().as_bytes()]);
        }
        parts
    }

    fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn add_all<'a>(&mut self, parts: impl IntoIterator<Item = &'a [u8]>) {
        parts.into_iter().for_each(|part| self.add(part));
    }

    /// The dialect that a caller speaks, with its headers.
    fn add_dialect(&mut self, wire: &maof_core::Wire) {
        self.add(wire.dialect.name().as_bytes());
        for (name, value) in &wire.headers {
            self.add_all([name.as_bytes(), value.as_bytes()]);
        }
    }

    /// A question in MAOF's words, with what only its dialect knows.
    fn add_typed(&mut self, typed: &Body) -> Option<()> {
        let said = match typed {
            Body::Chat(chat) | Body::CountTokens(chat) => serde_json::to_vec(&**chat),
            Body::Embed(embed) => serde_json::to_vec(&**embed),
            _ => return None,
        };
        self.add_all([what(typed), &said.ok()?]);
        Some(())
    }

    fn end(self) -> Option<Key> {
        self.0.finish().as_ref().try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::sync::Arc;

    use maof_core::{CacheControl, CallId, ChatRequest, EmbedRequest, Name, Principal};

    use super::*;

    fn call(temperature: Option<f64>) -> Call {
        let chat = ChatRequest { temperature, ..ChatRequest::user("hi") };
        let target = Target::Name("a".parse().unwrap());
        Call::new(CallId::from_uuid(uuid::Uuid::nil()), target, Principal::local(), Body::from(chat))
    }

    fn of(call: &Call) -> Option<Key> {
        key(&Config::default(), call)
    }

    fn kept_of(call: &Call) -> Option<CacheKey> {
        kept(When::Deterministic, 0, call)
    }

    /// A call that differs in one thing from the same question.
    fn but(change: impl FnOnce(&mut Call)) -> Option<Key> {
        let mut call = call(Some(0.0));
        change(&mut call);
        of(&call)
    }

    fn principal(change: impl FnOnce(&mut Principal)) -> Arc<Principal> {
        let mut principal = (*Principal::local()).clone();
        change(&mut principal);
        Arc::new(principal)
    }

    #[test]
    fn the_same_question_is_the_same_whoever_of_the_tenant_asks() {
        let same = of(&call(Some(0.0)));
        assert!(same.is_some());
        assert_eq!(but(|c| c.id = CallId::from_uuid(uuid::Uuid::max())), same);
        assert_eq!(but(|c| c.principal = principal(|p| p.user = "other".parse().unwrap())), same);
    }

    #[test]
    fn whatever_may_change_the_answer_makes_another_question() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let same = of(&call(Some(0.0)));
        let others = [
            but(|c| c.principal = principal(|p| p.tenant = name("other"))),
            but(|c| c.principal = principal(|p| p.tier = name("other"))),
            but(|c| c.principal = principal(|p| p.grant = Grant::Only(vec![name("a")]))),
            but(|c| c.target = Target::Name(name("b"))),
            but(|c| c.provenance.tags = Some(Arc::new([(name("team"), name("a"))].into()))),
            but(|c| c.provenance.tags = Some(Arc::new([(name("team"), name("b"))].into()))),
            but(|c| c.target = Target::Capability(name("a"))),
            but(|c| {
                c.body = Body::from(ChatRequest { temperature: Some(0.0), ..ChatRequest::user("ho") });
            }),
            but(|c| c.body = Body::CountTokens(Arc::new(ChatRequest::user("hi")))),
            but(|c| c.provenance.effect = Some("e".into())),
        ];
        for (at, other) in others.iter().enumerate() {
            assert!(other.is_some() && *other != same, "{at}");
            assert!(!others[..at].contains(other), "{at}");
        }
    }

    #[test]
    fn what_may_be_answered_differently_each_time_is_like_no_other() {
        assert_eq!(of(&call(None)), None);
        assert_eq!(of(&call(Some(0.1))), None);
        assert_eq!(but(|c| c.stream = true), None);
        let alone = Config { identical_bodies: false, ..Config::default() };
        assert_eq!(key(&alone, &call(Some(0.0))), None);
        assert!(but(|c| c.body = Body::from(EmbedRequest::default())).is_some());
        let mut keyed = call(None);
        keyed.provenance.effect = Some("e".into());
        assert!(key(&alone, &keyed).is_some(), "what happens under one key happens once");
    }

    /// The same question as an OpenAI SDK asks it, with `more` in its body.
    fn wired(more: &str) -> Call {
        let body = format!(r#"{{"model": "a", "messages": [{{"role": "user", "content": "hi"}}]{more}}}"#);
        let incoming = maof_core::Incoming::json(maof_core::Operation::Chat, body);
        let body = crate::dialects::openai().read(incoming).unwrap();
        let Body::Wire(wire) = &body else { panic!("it was spoken") };
        let stream = wire.stream;
        Call { stream, body, ..call(None) }
    }

    #[test]
    fn an_answer_is_kept_for_the_question_however_it_is_laid_out_and_delivered() {
        let same = kept_of(&wired(r#", "temperature": 0"#));
        assert!(same.is_some());
        let check = |more: &str, expect: bool| {
            let found = kept_of(&wired(more));
            assert_eq!(found == same, expect, "{more}");
        };
        check(r#",   "temperature":0.0 "#, true);
        check(r#", "stream": true, "temperature": 0"#, true);
        check(r#", "temperature": 0, "stream": true, "stream_options": {"include_usage": true}"#, true);
        check(r#", "temperature": 0, "max_tokens": 5"#, false);
        check(r#", "temperature": 0, "seed": 5"#, false);
        check(r#", "temperature": 0, "user": "u""#, false);
        check(r#", "temperature": 0, "logit_bias": {"5": 1}"#, false);
        check(r#", "temperature": 0, "tools": [{"type": "function", "function": {"name": "f"}}]"#, false);
        assert_ne!(kept_of(&call(Some(0.0))), same, "it is spoken in no dialect");
        assert!(kept_of(&wired(r#", "temperature": 0, "logprobs": true"#)).is_some());
        assert_eq!(kept_of(&wired(r#", "temperature": 0, "logprobs": true, "stream": true"#)), None);
    }

    #[test]
    fn what_varies_is_kept_where_somebody_says_so() {
        let asks = |header: &str| Call { cache: CacheControl::parse(header), ..wired("") };
        assert_eq!(kept_of(&wired("")), None);
        assert_eq!(kept_of(&wired(r#", "temperature": 0.1"#)), None);
        assert_eq!(kept_of(&asks("max-age=0")), None);
        assert!(kept_of(&asks("max-age=60")).is_some());
        assert_eq!(kept_of(&asks("max-age=60")), kept(When::Always, 0, &wired("")));
        let picture = Body::Image(Arc::new(maof_core::media::ImageRequest::default()));
        assert_eq!(kept(When::Always, 0, &Call { body: picture, ..call(None) }), None);
    }

    #[test]
    fn what_is_kept_is_kept_for_one_tenant_tier_and_grant() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let keys = [
            kept_of(&call(Some(0.0))),
            kept_of(&Call { principal: principal(|p| p.tenant = name("other")), ..call(Some(0.0)) }),
            kept_of(&Call { principal: principal(|p| p.tier = name("other")), ..call(Some(0.0)) }),
            kept_of(&Call {
                principal: principal(|p| p.grant = Grant::Only(vec![name("a")])),
                ..call(Some(0.0))
            }),
            kept_of(&Call { target: Target::Name(name("b")), ..call(Some(0.0)) }),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(key.is_some() && !keys[..at].contains(key), "{at}");
        }
    }
}
