//! Who is asked for what, by tables; and what holds for every registry.
#![allow(clippy::unwrap_used, clippy::panic)]

mod learning;
mod linear;
mod split;
mod standing;
mod strategies;
mod thrift;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use maof_core::{
    Body, Call, CallId, Candidate, ChatRequest, Clock, Decision, EmbedRequest, ErrorKind, Grant, Ids, Name,
    Operation, Principal, Result, Route as _, Target, Timestamp,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::{Ports, Router};
use crate::config::{self, Config, Named};
use crate::learned::Seeded;
use crate::registry::{Agent, Registry};

/// Counts.
#[derive(Debug, Default)]
struct Counted(AtomicU64);

impl Ids for Counted {
    fn next(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)))
    }
}

/// Stands still until it is told so many milliseconds.
#[derive(Debug)]
struct Still {
    began: Instant,
    ms: AtomicU64,
}

impl Still {
    #[allow(clippy::disallowed_methods, reason = "only differences to it are looked at")]
    fn new() -> Arc<Still> {
        Arc::new(Still { began: Instant::now(), ms: AtomicU64::new(0) })
    }

    fn pass(&self, ms: u64) {
        self.ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.ms.load(Ordering::Relaxed) as i64 * 1_000)
    }

    fn instant(&self) -> Instant {
        self.began + Duration::from_millis(self.ms.load(Ordering::Relaxed))
    }
}

fn ports(clock: &Arc<Still>, seed: u64) -> Ports {
    Ports {
        ids: Arc::new(Counted::default()),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        random: Arc::new(Seeded::new(seed)),
        node: name("node"),
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn names(text: &str) -> Vec<Name> {
    text.split_whitespace().map(name).collect()
}

fn agent(called: &str, endpoints: &str, capabilities: &str) -> Agent {
    let instructions = Some(format!("You are {called}.").into());
    let (endpoints, capabilities) = (names(endpoints), names(capabilities));
    Agent { endpoints, capabilities, instructions, ..Agent::new(name(called)) }
}

/// Two agents over three endpoints, of which `vec` only embeds and `both` does everything.
fn router(config: &str) -> Result<Router> {
    let agents = vec![agent("zoe", "gpt both", "finance write"), agent("ada", "gpt vec haiku", "write code")];
    let offers = HashMap::from([
        (name("gpt"), vec![Operation::Chat]),
        (name("haiku"), vec![Operation::Chat]),
        (name("vec"), vec![Operation::Embed]),
        (name("both"), vec![Operation::Chat, Operation::Embed]),
    ]);
    let aliases = HashMap::from([(name("openai/gpt-4o"), name("gpt"))]);
    let registry = Registry::new(agents, offers, aliases)?;
    Router::new(registry, &serde_json::from_str(config).unwrap(), None, ports(&Still::new(), 1))
}

fn target(text: &str) -> Target {
    match text.split_once('=') {
        Some(("task", task_type)) => Target::TaskType(name(task_type)),
        Some(("can", capability)) => Target::Capability(name(capability)),
        _ => Target::Name(name(text)),
    }
}

fn call(to: Target, operation: Operation, grant: Grant) -> Call {
    let body = match operation {
        Operation::Chat => Body::from(ChatRequest::user("hello")),
        _ => Body::from(EmbedRequest { input: vec!["hello".into()], ..EmbedRequest::default() }),
    };
    let principal = Arc::new(Principal { grant, ..Principal::clone(&Principal::local()) });
    Call::new(CallId::from_uuid(Uuid::nil()), to, principal, body)
}

const CONFIG: &str = r#"{"agent_map":{"sum":["ada","zoe"],"write":["zoe"]},"default_agents":["zoe"]}"#;

fn check_with(
    config: &str,
    operation: Operation,
    grant: &str,
    to: &str,
    expect: Result<&str, (ErrorKind, &str)>,
) {
    let grant = match grant {
        "*" => Grant::Any,
        only => Grant::Only(names(only)),
    };
    let found = router(config).unwrap().decide(&call(target(to), operation, grant));
    let pairs = |decision: &Decision| {
        let pair = |c: &Candidate| format!("{}@{}", c.agent, c.endpoint);
        decision.candidates().map(pair).collect::<Vec<_>>().join(" ")
    };
    match (&found, expect) {
        (Ok(decision), Ok(expect)) => {
            assert_eq!(pairs(decision), expect, "{to}");
            assert!(!decision.explain().found.is_empty());
        }
        (Err(error), Err(expect)) => assert_eq!((error.kind(), error.field().unwrap()), expect, "{to}"),
        _ => panic!("{to}: found {found:?}, expected {expect:?}"),
    }
}

fn check(to: &str, expect: Result<&str, (ErrorKind, &str)>) {
    check_with(CONFIG, Operation::Chat, "*", to, expect);
}

#[test]
fn a_name_is_an_agents_or_an_endpoints_or_a_models() {
    check("zoe", Ok("zoe@gpt zoe@both"));
    check("haiku", Ok("haiku@haiku"));
    check("openai/gpt-4o", Ok("gpt@gpt"));
    check("nobody", Err((ErrorKind::NotFound, "model")));
}

#[test]
fn an_unknown_model_is_refused_as_openai_does_and_lists_nothing() {
    let error =
        router(CONFIG).unwrap().decide(&call(target("gtp"), Operation::Chat, Grant::Any)).unwrap_err();
    assert_eq!(error.provider_code(), Some("model_not_found"));
    for known in ["zoe", "ada", "haiku", "openai"] {
        assert!(!error.message().contains(known), "{error}");
    }
}

#[test]
fn a_task_type_is_answered_by_whom_the_map_names_or_by_default() {
    check("task=sum", Ok("ada@gpt ada@haiku zoe@both"));
    check("task=write", Ok("zoe@gpt zoe@both"));
    check("task=other", Ok("zoe@gpt zoe@both"));
    let no_default = r#"{"agent_map":{"sum":["ada"]}}"#;
    let unknown = Err((ErrorKind::NotFound, "task_type"));
    check_with(no_default, Operation::Chat, "*", "task=other", unknown);
}

#[test]
fn with_the_capability_strategy_those_who_can_go_before_those_who_are_named() {
    let config = CONFIG.replacen('{', r#"{"strategy":"capability","#, 1);
    let check = |to, expect| check_with(&config, Operation::Chat, "*", to, Ok(expect));
    check("task=code", "ada@gpt ada@haiku");
    check("task=write", "zoe@gpt zoe@both ada@haiku");
    check("task=sum", "ada@gpt ada@haiku zoe@both");
    check("task=other", "zoe@gpt zoe@both");
}

#[test]
fn a_capability_is_answered_by_those_who_have_it_in_the_configured_order() {
    check("can=write", Ok("zoe@gpt zoe@both ada@haiku"));
    check("can=finance", Ok("zoe@gpt zoe@both"));
    check("can=fly", Err((ErrorKind::NotFound, "capability")));
}

#[test]
fn endpoints_that_do_not_offer_the_operation_are_passed_over() {
    let check = |to, expect| check_with(CONFIG, Operation::Embed, "*", to, expect);
    check("zoe", Ok("zoe@both"));
    check("task=sum", Ok("ada@vec zoe@both"));
    check("gpt", Err((ErrorKind::InvalidRequest, "model")));
}

#[test]
fn only_agents_of_the_grant_are_asked() {
    let check = |grant, to, expect| check_with(CONFIG, Operation::Chat, grant, to, expect);
    let denied = |field| Err((ErrorKind::PermissionDenied, field));
    check("zoe", "task=sum", Ok("zoe@gpt zoe@both"));
    check("zoe", "ada", denied("model"));
    check("zoe", "can=code", denied("capability"));
    check("zoe", "gpt", denied("model"));
    check("gpt", "openai/gpt-4o", Ok("gpt@gpt"));
    check("gpt", "zoe", denied("model"));
    check("", "task=sum", denied("task_type"));
}

#[test]
fn candidates_carry_their_agents_instructions_and_decisions_an_id_of_their_own() {
    let router = router(CONFIG).unwrap();
    let decide = |to| router.decide(&call(target(to), Operation::Chat, Grant::Any)).unwrap();
    assert_eq!(decide("zoe").candidate(0).unwrap().instructions.as_deref(), Some("You are zoe."));
    assert_eq!(decide("haiku").candidate(0).unwrap().instructions, None);
    assert_ne!(decide("zoe").id, decide("zoe").id);
}

#[test]
fn a_configuration_that_names_nobody_is_refused_by_field() {
    let check = |config, field| assert_eq!(router(config).unwrap_err().field(), Some(field));
    check(r#"{"agent_map":{"sum":["ada","bob"]}}"#, "agent_map.sum[1]");
    check(r#"{"default_agents":["haiku"]}"#, "default_agents[0]");
    check(r#"{"agent_map":{"sum":[]}}"#, "agent_map.sum");
}

prop_compose! {
    /// Agents `a0`, `a1` … over endpoints `e0` … `e5` and capabilities `c0` … `c2`, with a map of them all.
    fn house()(
        agents in prop::collection::vec(
            (prop::sample::subsequence((0..6).collect::<Vec<u8>>(), 1..=6).prop_shuffle(),
             prop::sample::subsequence((0..3).collect::<Vec<u8>>(), 0..=3)),
            1..6,
        ),
        embeds in prop::collection::vec(any::<bool>(), 6),
        by_capability: bool,
    ) -> Router {
        let list = |letter: &str, numbers: &[u8]| {
            numbers.iter().map(|n| format!("{letter}{n}")).collect::<Vec<_>>().join(" ")
        };
        let agents: Vec<_> = agents.iter().enumerate()
            .map(|(i, (endpoints, able))| agent(&format!("a{i}"), &list("e", endpoints), &list("c", able)))
            .collect();
        let offers = embeds.iter().enumerate().map(|(i, embeds)| {
            let both = [Operation::Chat, Operation::Embed];
            (name(&format!("e{i}")), both[..1 + usize::from(*embeds)].to_vec())
        });
        let everybody: Vec<Name> = agents.iter().map(|a| a.name.clone()).collect();
        let config = Config {
            strategy: config::Strategy::Named(if by_capability { Named::Capability } else { Named::Priority }),
            agent_map: [(name("c0"), everybody.iter().rev().cloned().collect())].into(),
            default_agents: everybody,
            ..Config::default()
        };
        let registry = Registry::new(agents, offers.collect(), HashMap::new()).unwrap();
        Router::new(registry, &config, None, ports(&Still::new(), 1)).unwrap()
    }
}

proptest! {
    #[test]
    fn no_endpoint_is_asked_twice_none_outside_the_grant_and_the_order_is_kept(
        router in house(),
        to in prop::sample::select(vec!["a0", "e3", "task=c0", "task=c1", "task=x", "can=c0", "can=c2"]),
        granted in prop::option::of(prop::sample::subsequence(vec!["a0", "a1", "a2", "a3", "a4", "e3"], 0..=6)),
        embed: bool,
    ) {
        let grant = granted.map_or(Grant::Any, |only| Grant::Only(only.into_iter().map(name).collect()));
        let operation = if embed { Operation::Embed } else { Operation::Chat };
        let call = call(target(to), operation, grant.clone());
        let Ok(decision) = router.decide(&call) else { return Ok(()) };
        let found: Vec<&Candidate> = decision.candidates().collect();
        prop_assert!(!found.is_empty());
        for (i, candidate) in found.iter().enumerate() {
            prop_assert!(grant.allows(candidate.agent.as_str()));
            prop_assert!(router.registry().offers(&candidate.endpoint, operation));
            prop_assert!(found[..i].iter().all(|earlier| earlier.endpoint != candidate.endpoint));
        }
        // Without filters the same target has the same candidates, in the same order, and more.
        let all = router.find(&call.target).unwrap();
        let all = &all.candidates;
        prop_assert_eq!(router.candidates(&call).unwrap(), found.iter().copied().cloned().collect::<Vec<_>>());
        let places: Vec<_> = found.iter().map(|c| all.iter().position(|a| a == *c).unwrap()).collect();
        prop_assert!(places.is_sorted());
        // Nobody is left out but for a reason.
        for candidate in all.iter().filter(|c| grant.allows(c.agent.as_str())) {
            let asked = found.iter().any(|c| c.endpoint == candidate.endpoint);
            prop_assert_eq!(asked, router.registry().offers(&candidate.endpoint, operation));
        }
    }
}
