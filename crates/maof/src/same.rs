//! Which calls are the same, so that one answer serves them all.

use maof_core::{Body, Call, Grant, Target};
use maof_resilience::single_flight::Config;
use ring::digest::{Context, SHA256};

/// What is the same for calls that are.
pub(crate) type Key = [u8; 32];

/// The key of a call; none where it is like no other: a stream, or a question that may be answered differently
/// each time. It holds tenant, tier and grant, so that nobody is given what another was allowed to ask.
pub(crate) fn key(config: &Config, call: &Call) -> Option<Key> {
    if call.stream {
        return None;
    }
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
    match &call.provenance.effect {
        Some(effect) => parts.add_all([b"effect".as_slice(), effect.as_bytes()]),
        None if config.identical_bodies => parts.add_body(&call.body)?,
        None => return None,
    }
    parts.end()
}

/// Parts that are told apart by their lengths.
struct Parts(Context);

impl Parts {
    fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn add_all<'a>(&mut self, parts: impl IntoIterator<Item = &'a [u8]>) {
        parts.into_iter().for_each(|part| self.add(part));
    }

    /// A body whose answer is the same each time; none where it is not.
    fn add_body(&mut self, body: &Body) -> Option<()> {
        let typed = body.typed().ok()?;
        let (what, said) = match typed {
            Body::Chat(chat) if chat.temperature == Some(0.0) => ("chat", serde_json::to_vec(&**chat)),
            Body::CountTokens(chat) => ("count", serde_json::to_vec(&**chat)),
            Body::Embed(embed) => ("embed", serde_json::to_vec(&**embed)),
            _ => return None,
        };
        self.add(what.as_bytes());
        match body {
            // As it was spoken, so that what the dialect alone knows is not lost, and neither is its reply's form.
            Body::Wire(wire) => {
                let headers = format!("{:?}", wire.headers);
                self.add_all([wire.dialect.name().as_bytes(), &wire.bytes, headers.as_bytes()]);
            }
            _ => self.add(&said.ok()?),
        }
        Some(())
    }

    fn end(self) -> Option<Key> {
        self.0.finish().as_ref().try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use maof_core::{CallId, ChatRequest, EmbedRequest, Name, Principal};

    use super::*;

    fn call(temperature: Option<f64>) -> Call {
        let chat = ChatRequest { temperature, ..ChatRequest::user("hi") };
        let target = Target::Name("a".parse().unwrap());
        Call::new(CallId::from_uuid(uuid::Uuid::nil()), target, Principal::local(), Body::from(chat))
    }

    fn of(call: &Call) -> Option<Key> {
        key(&Config::default(), call)
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
}
