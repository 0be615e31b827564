//! Who may be asked: rested, probed, drained, warming up, come and gone; and how quick everybody is.

use maof_core::{CircuitState, End, Observe as _, Observed, Outcome, Signal};

use super::strategies::{ask, house, order};
use super::*;

fn one(endpoint: &str) -> Candidate {
    let agent = if "ab".contains(endpoint) { "small" } else { "big" };
    Candidate { agent: name(agent), endpoint: name(endpoint), instructions: None }
}

/// Asks `endpoint` once; it answers, or fails, after so long.
fn ends(router: &Router, endpoint: &str, ms: u64, outcome: Outcome) {
    router.asked(&name(endpoint));
    let (waited, end) = (Duration::from_millis(ms), End::of(outcome));
    let decision = maof_core::DecisionId::from_uuid(Uuid::nil());
    router.observe(Observed { decision, candidate: &one(endpoint), waited, end: &end });
}

fn down() -> Outcome {
    Outcome::Failed(maof_core::Error::unavailable("down").origin_is(maof_core::Origin::Provider).failure())
}

#[test]
fn who_rests_comes_last_and_is_looked_at_once_a_second() {
    let clock = Still::new();
    let router = house("{}", &clock).unwrap();
    let on = |state| router.on(Signal::Circuit { endpoint: &name("a"), state });
    on(CircuitState::Open);
    assert_eq!(order(&router, &ask("hi")), "bcda");
    clock.pass(1_000);
    assert_eq!([(); 2].map(|()| order(&router, &ask("hi"))), ["abcd", "bcda"]);
    on(CircuitState::HalfOpen);
    assert_eq!([(); 2].map(|()| order(&router, &ask("hi"))), ["abcd", "abcd"]);
    on(CircuitState::Open);
    assert_eq!(order(&router, &ask("hi")), "bcda");
    on(CircuitState::Closed);
    assert_eq!(order(&router, &ask("hi")), "abcd");
    router.probed(&name("a"), false).unwrap();
    assert_eq!(order(&router, &ask("hi")), "bcda");
    router.probed(&name("a"), true).unwrap();
    assert_eq!(order(&router, &ask("hi")), "abcd");
    assert_eq!(router.probed(&name("nobody"), true).unwrap_err().field(), Some("endpoint"));
}

#[test]
fn where_all_rest_all_are_asked() {
    let router = house("{}", &Still::new()).unwrap();
    for one in ["a", "b", "c", "d"] {
        router.on(Signal::Circuit { endpoint: &name(one), state: CircuitState::Open });
    }
    assert_eq!(order(&router, &ask("hi")), "abcd");
}

#[test]
fn one_of_many_that_rests_is_looked_at_first_where_the_order_is_not_strict() {
    let clock = Still::new();
    let router = house(r#"{"strategy":"round_robin"}"#, &clock).unwrap();
    router.on(Signal::Circuit { endpoint: &name("d"), state: CircuitState::Open });
    assert_eq!(order(&router, &ask("hi")), "abcd");
    clock.pass(1_000);
    assert!(order(&router, &ask("hi")).starts_with('d'));
    assert!(order(&router, &ask("hi")).ends_with('d'));
}

#[test]
fn who_is_drained_is_not_asked_at_all() {
    let router = house("{}", &Still::new()).unwrap();
    router.drain(&name("a"), true).unwrap();
    assert_eq!(order(&router, &ask("hi")), "bcd");
    assert_eq!(router.candidates(&ask("hi")).unwrap().len(), 4, "what may be held is of no time");
    ["b", "c", "d"].into_iter().for_each(|one| router.drain(&name(one), true).unwrap());
    let error = router.decide(&ask("hi")).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Unavailable, Some("task_type")));
    router.drain(&name("a"), false).unwrap();
    assert_eq!(order(&router, &ask("hi")), "a");
}

#[test]
fn who_comes_back_gets_its_share_by_and_by() {
    let clock = Still::new();
    let config = r#"{"strategy":"weighted","warm_up_ms":10000,"weights":{"c":0,"d":0}}"#;
    let router = house(config, &clock).unwrap();
    let share = || (0..4_000).filter(|_| order(&router, &ask("hi")).starts_with('a')).count() / 40;
    router.drain(&name("a"), true).unwrap();
    router.drain(&name("a"), false).unwrap();
    assert!((6..13).contains(&share()), "a tenth against one whole");
    clock.pass(5_000);
    assert!((31..40).contains(&share()), "55 % against one whole");
    clock.pass(5_000);
    assert!((46..54).contains(&share()));
}

#[test]
fn the_quicker_is_asked_more_and_a_slow_one_is_tried_again() {
    let clock = Still::new();
    let router = house(r#"{"strategy":"latency"}"#, &clock).unwrap();
    for (one, ms) in [("a", 100), ("b", 100), ("c", 100), ("d", 5_000)] {
        ends(&router, one, ms, Outcome::Complete);
    }
    let firsts = |of: char| (0..1_000).filter(|_| order(&router, &ask("hi")).starts_with(of)).count();
    assert_eq!(firsts('d'), 0, "it loses against whoever is drawn beside it");
    clock.pass(120_000);
    assert!(firsts('d') == 0, "all fade alike");
    for one in ["a", "b", "c"] {
        ends(&router, one, 100, Outcome::Complete);
    }
    assert!(firsts('d') > 300, "slow was long ago");
}

#[test]
fn performance_weighs_failures_and_neither_callers_faults_nor_those_who_left_count() {
    let router = house(r#"{"strategy":{"rank":["performance"]}}"#, &Still::new()).unwrap();
    let mistake = Outcome::Failed(maof_core::Error::invalid_request("no").failure());
    for n in 0..40 {
        ends(&router, "a", 100, if n % 2 == 0 { Outcome::Complete } else { down() });
        ends(&router, "b", 100, Outcome::Complete);
        ends(&router, "b", 1, mistake.clone());
        ends(&router, "b", 9_000, Outcome::Dropped);
        ends(&router, "c", 50, Outcome::Complete);
        ends(&router, "d", 1_000, Outcome::Complete);
    }
    assert_eq!(order(&router, &ask("hi")), "cbda");
    assert_eq!(router.in_flight(&name("b")).unwrap(), 0);
}

#[test]
fn endpoints_come_and_go_and_what_is_known_of_the_others_stays() {
    let clock = Still::new();
    let config = r#"{"strategy":"round_robin","warm_up_ms":10000}"#;
    let first = house(config, &clock).unwrap();
    first.asked(&name("a"));
    first.asked(&name("c"));
    let made = first.decide(&ask("hi")).unwrap();
    let agents = vec![agent("small", "a e", ""), agent("big", "c", "")];
    let offers: HashMap<Name, Vec<Operation>> =
        ["a", "c", "e"].map(|one| (name(one), vec![Operation::Chat])).into_iter().collect();
    let registry = Registry::new(agents, offers.clone(), HashMap::new()).unwrap();
    let config = first.config.clone();
    let second = first.next(registry, &config, None, |stays| *stays == "a").unwrap();
    assert_eq!(second.in_flight(&name("a")).unwrap(), 1);
    assert_eq!(second.in_flight(&name("c")).unwrap(), 0, "another one of the same name begins anew");
    assert_eq!(second.in_flight(&name("b")).unwrap_err().field(), Some("endpoint"));
    let firsts = (0..3_000).filter(|_| order(&second, &ask("hi")).starts_with('e')).count();
    assert!((50..170).contains(&firsts), "a tenth of its third: {firsts}");
    // Whoever was routed by the first one ends by it, and the second one hears of those that stayed.
    assert_eq!(made.candidates().count(), 4);
    let (waited, end) = (Duration::from_millis(100), End::of(Outcome::Complete));
    for endpoint in ["a", "b", "c"] {
        first.observe(Observed { decision: made.id, candidate: &one(endpoint), waited, end: &end });
    }
    assert_eq!([first.in_flight(&name("c")).unwrap(), second.in_flight(&name("a")).unwrap()], [0, 0]);
    // What does not fit makes none.
    let without_big = Registry::new(vec![agent("small", "a", "")], offers, HashMap::new()).unwrap();
    let refused = first.next(without_big, &config, None, |_| true).unwrap_err();
    assert_eq!(refused.field(), Some("default_agents[1]"));
}

#[test]
fn what_was_learned_is_shared_with_the_router_that_follows() {
    let first = house(r#"{"strategy":"thompson"}"#, &Still::new()).unwrap();
    let made = first.decide(&ask("hi")).unwrap();
    let registry = (*first.registry()).clone();
    let second = first.next(registry.clone(), &first.config.clone(), None, |_| true).unwrap();
    second.feedback(&ask("hi").principal.tenant, made.id, 1.0).unwrap();
    assert_eq!(first.learned_state(), second.learned_state());
    assert_ne!(
        second.learned_state(),
        house(r#"{"strategy":"thompson"}"#, &Still::new()).unwrap().learned_state()
    );
    let plain = Config { strategy: serde_json::from_str(r#""priority""#).unwrap(), ..first.config.clone() };
    assert!(second.next(registry, &plain, None, |_| true).unwrap().learned_state().is_none());
}
