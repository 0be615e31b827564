//! Whom each strategy asks first, how often, and what it says of it.

use std::collections::BTreeMap;

use maof_core::{Provenance, Tariff, Unit};

use super::*;
use crate::registry::Offer;

/// Four endpoints with prices of their own; `a` and `b` are of the agent `small`, `c` and `d` of `big`.
pub(super) fn house(config: &str, clock: &Arc<Still>) -> Result<Router> {
    house_as("node", config, clock)
}

/// Likewise, under a name of its own.
pub(super) fn house_as(node: &str, config: &str, clock: &Arc<Still>) -> Result<Router> {
    let agents = vec![agent("small", "a b", "sum"), agent("big", "c d", "sum code")];
    let offer = |dollars: u64, context| Offer {
        operations: vec![Operation::Chat],
        tariff: Tariff::default().with(Unit::Output, dollars * 1_000_000_000),
        context,
    };
    let offers = HashMap::from([
        (name("a"), offer(2, None)),
        (name("b"), offer(1, Some(100))),
        (name("c"), offer(4, None)),
        (name("d"), offer(3, None)),
    ]);
    let registry = Registry::new(agents, offers, HashMap::new())?;
    let config: BTreeMap<String, serde_json::Value> = serde_json::from_str(config).unwrap();
    let mut whole = serde_json::json!({"default_agents": ["small", "big"]});
    config.into_iter().for_each(|(key, value)| whole[key] = value);
    Router::new(
        registry,
        &serde_json::from_value(whole).unwrap(),
        None,
        Ports { node: name(node), ..ports(clock, 1) },
    )
}

pub(super) fn ask(text: &str) -> Call {
    let body = Body::from(ChatRequest::user(text));
    Call::new(CallId::from_uuid(Uuid::nil()), Target::TaskType(name("any")), Principal::local(), body)
}

pub(super) fn order(router: &Router, call: &Call) -> String {
    let decision = router.decide(call).unwrap();
    decision.candidates().map(|c| c.endpoint.as_str()).collect::<Vec<_>>().join("")
}

fn check(config: &str, call: &Call, expect: &str) {
    assert_eq!(order(&house(config, &Still::new()).unwrap(), call), expect, "{config}");
}

/// How often each is asked first, of 6,000 times, in hundreds.
fn shares(router: &Router) -> BTreeMap<String, u32> {
    let mut shares = BTreeMap::new();
    for _ in 0..6_000 {
        *shares.entry(order(router, &ask("hi"))[..1].to_owned()).or_default() += 1;
    }
    shares.into_iter().map(|(one, times): (String, u32)| (one, (times + 50) / 100)).collect()
}

#[test]
fn the_cheapest_goes_first() {
    check(r#"{"strategy":"cheapest"}"#, &ask("hi"), "badc");
    check(r#"{"strategy":{"rank":["priority","cheapest"]}}"#, &ask("hi"), "badc");
}

#[test]
fn easy_prompts_go_to_the_least_tier_and_difficult_ones_above_it_first() {
    let config = r#"{"strategy":"complexity","tiers":[{"up_to":0.3,"agents":["small"]},{"agents":["big"]}]}"#;
    check(config, &ask("hi"), "abcd");
    check(config, &ask(&"why? ".repeat(20_000)), "cdab");
    let one = r#"{"strategy":{"rank":["complexity","cheapest"]},"tiers":[{"agents":["big"]}]}"#;
    check(one, &ask("hi"), "dcba");
}

#[test]
fn shares_follow_the_weights_and_nobody_without_one_is_asked_first() {
    let config = r#"{"strategy":"weighted","weights":{"a":3,"b":2,"c":1,"d":0}}"#;
    let router = house(config, &Still::new()).unwrap();
    let shares = shares(&router);
    assert!(
        shares["a"].abs_diff(30) < 3 && shares["b"].abs_diff(20) < 3 && !shares.contains_key("d"),
        "{shares:?}"
    );
    let decision = router.decide(&ask("hi")).unwrap();
    let first = decision.order[0];
    assert_eq!(decision.propensity, Some(f64::from(3 - first) / 6.0));
    assert_eq!(decision.order[3], 3, "without a share, after all others");
}

#[test]
fn each_has_its_turn_and_the_others_follow_in_a_circle() {
    let router = house(r#"{"strategy":"round_robin"}"#, &Still::new()).unwrap();
    let orders: Vec<_> = (0..5).map(|_| order(&router, &ask("hi"))).collect();
    assert_eq!(orders, ["abcd", "bcda", "cdab", "dabc", "abcd"]);
    let shares = shares(&house(r#"{"strategy":{"spread":"random"}}"#, &Still::new()).unwrap());
    assert!(shares.values().all(|share| share.abs_diff(15) < 3), "{shares:?}");
}

#[test]
fn the_least_busy_is_asked_first_for_its_weight() {
    let router = house(r#"{"strategy":"least_busy","weights":{"d":3}}"#, &Still::new()).unwrap();
    for one in ["a", "b", "c", "d", "d"] {
        router.asked(&name(one));
    }
    assert!(order(&router, &ask("hi")).starts_with('d'), "two of three are busy");
    ["d"; 4].into_iter().for_each(|one| router.asked(&name(one)));
    assert!(!order(&router, &ask("hi")).starts_with('d'));
}

#[test]
fn a_session_stays_and_another_tenants_is_another() {
    let router = house(r#"{"strategy":"sticky"}"#, &Still::new()).unwrap();
    let of = |session: &str, tenant: &str| {
        let mut call = ask("hi");
        let principal = Principal { tenant: name(tenant), ..Principal::clone(&Principal::local()) };
        call.principal = Arc::new(principal);
        call.provenance = Provenance { session: Some(session.into()), ..Provenance::default() };
        order(&router, &call)
    };
    assert_eq!(of("s1", "t"), of("s1", "t"));
    let mut firsts = BTreeMap::new();
    let mut same = 0;
    for n in 0..400 {
        let session = format!("s{n}");
        *firsts.entry(of(&session, "t")[..1].to_owned()).or_insert(0) += 1;
        same += u32::from(of(&session, "t") == of(&session, "u"));
    }
    assert!(firsts.len() == 4 && firsts.values().all(|times| (60..140).contains(times)), "{firsts:?}");
    assert!(same < 60, "{same} of 400 sessions have one order in two tenants");
    // Who leaves takes only its own sessions along.
    let before: Vec<String> = (0..100).map(|n| of(&format!("s{n}"), "t")).collect();
    router.drain(&name("c"), true).unwrap();
    for (n, before) in before.iter().enumerate() {
        assert_eq!(of(&format!("s{n}"), "t"), before.replace('c', ""));
    }
}

#[test]
fn a_rule_on_tags_leaves_out_whom_it_does_not_name() {
    let config = r#"{"strategy":{"filter":["tags"]},"tags":[
        {"tag":"team","is":"finance","agents":["big"]},{"tag":"team","agents":["small"]}]}"#;
    let tagged = |team: &str| {
        let tags = BTreeMap::from([(name("team"), name(team))]);
        let provenance = Provenance { tags: Some(Arc::new(tags)), ..Provenance::default() };
        Call { provenance, ..ask("hi") }
    };
    check(config, &tagged("finance"), "cd");
    check(config, &tagged("sales"), "ab");
    check(config, &ask("hi"), "abcd");
    // A rule that leaves nobody does not fit.
    let target = Target::Name(name("small"));
    check(config, &Call { target, ..tagged("finance") }, "ab");
    let left_out = house(config, &Still::new()).unwrap().decide(&tagged("sales")).unwrap();
    assert_eq!(left_out.explain().left_out[0].why.as_str(), "tags");
}

#[test]
fn a_prompt_that_is_too_long_passes_over_who_cannot_take_it() {
    let config = r#"{"strategy":{"filter":["context"]}}"#;
    check(config, &ask("hi"), "abcd");
    check(config, &ask(&"word ".repeat(100)), "acd");
}

#[test]
fn a_decision_says_what_each_stage_thought_of_whom() {
    let config = r#"{"strategy":{"rank":["priority","cheapest"],"spread":"weighted"},"weights":{"a":1}}"#;
    let decision = house(config, &Still::new()).unwrap().decide(&ask("hi")).unwrap();
    let told = decision.explain();
    assert_eq!((told.strategy, told.propensity), ("composed", Some(1.0)));
    assert_eq!(told.found, "nobody is named for this type of task, so the default agents answer");
    let first = &told.candidates[0];
    assert_eq!(
        (first.endpoint.as_str(), first.scores.0[0], first.scores.0[1].0),
        ("b", ("priority", 0.0), "cheapest")
    );
    assert_eq!(first.scores.0[1].1, 256.0 * 1_000.0, "256 tokens at a dollar for a million, in nano-dollars");
}

#[test]
fn who_does_not_exist_is_refused_by_field() {
    let check = |config: &str, field: &str| {
        assert_eq!(house(config, &Still::new()).unwrap_err().field(), Some(field), "{config}");
    };
    check(r#"{"weights":{"a":1,"nobody":2}}"#, "weights.nobody");
    check(r#"{"tiers":[{"agents":["nobody"]}]}"#, "tiers[0].agents[0]");
    check(r#"{"tags":[{"tag":"t","agents":["nobody"]}]}"#, "tags[0].agents[0]");
    check(r#"{"strategy":"learned","learned":{"model":"m"}}"#, "learned.model");
}
