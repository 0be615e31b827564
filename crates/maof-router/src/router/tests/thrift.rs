//! Whom a call on an account near its limit is given to.

use maof_core::Near;

use super::strategies::{ask, house};
use super::*;

/// A call for this target; on an account near its limit, or not.
fn call_near(to: &str, near: bool, grant: Grant) -> Call {
    let mut call = call(target(to), Operation::Chat, grant);
    call.near = near.then(|| Arc::new(Near { account: name("user:ann"), percent: 85 }));
    call
}

fn asked(router: &Router, call: &Call) -> String {
    let decision = router.decide(call).unwrap();
    decision
        .candidates()
        .map(|c| format!("{}@{} ", c.agent, c.endpoint))
        .collect::<String>()
        .trim()
        .to_owned()
}

/// `big` (endpoints at 4 and 3 dollars) sums and codes, `small` (at 2 and 1) only sums.
#[test]
fn who_is_cheaper_and_can_do_the_same_comes_first_near_the_limit() {
    let check = |config: &str, to: &str, far: &str, near: &str| {
        let router = house(config, &Still::new()).unwrap();
        assert_eq!(asked(&router, &call_near(to, false, Grant::Any)), far, "{config}, {to}");
        assert_eq!(asked(&router, &call_near(to, true, Grant::Any)), near, "{config}, {to}");
    };
    check("{}", "small", "small@a small@b", "small@b small@a big@d big@c");
    check("{}", "big", "big@c big@d", "big@d big@c");
    check("{}", "can=sum", "small@a small@b big@c big@d", "small@b small@a big@d big@c");
    check("{}", "task=any", "small@a small@b big@c big@d", "small@b small@a big@d big@c");
    check("{}", "c", "c@c", "c@c");
    // No experiment goes on near a limit.
    let split = r#"{"split":[{"name":"all","share":1.0,"agent":"big"}]}"#;
    check(split, "small", "big@c big@d", "small@b small@a big@d big@c");
}

#[test]
fn a_grant_holds_near_the_limit_too_and_the_decision_says_why() {
    let agents =
        vec![agent("dear", "c", "sum"), agent("cheap", "a", "sum write"), agent("other", "b", "write")];
    let offer = |dollars: u64| crate::registry::Offer {
        operations: vec![Operation::Chat],
        tariff: maof_core::Tariff::default().with(maof_core::Unit::Output, dollars * 1_000_000_000),
        context: None,
    };
    let offers = HashMap::from([(name("a"), offer(1)), (name("b"), offer(2)), (name("c"), offer(3))]);
    let registry = Registry::new(agents, offers, HashMap::new()).unwrap();
    let router = Router::new(registry, &Config::default(), None, ports(&Still::new(), 1)).unwrap();
    assert_eq!(asked(&router, &call_near("dear", true, Grant::Any)), "cheap@a dear@c");
    assert_eq!(asked(&router, &call_near("dear", true, Grant::Only(names("dear other")))), "dear@c");
    // Nobody else can do both.
    assert_eq!(asked(&router, &call_near("cheap", true, Grant::Any)), "cheap@a");
    let decision = router.decide(&call_near("dear", true, Grant::Any)).unwrap();
    let explained = decision.explain();
    assert_eq!(explained.strategy, "near_limit");
    assert!(explained.found.contains("near its limit"), "{}", explained.found);
    assert_eq!(
        router.candidates(&call_near("dear", true, Grant::Any)).unwrap().len(),
        2,
        "the hold knows them too"
    );
}

/// Who is not known to be good enough is not moved up.
#[test]
fn a_stated_quality_is_kept_near_the_limit() {
    let config = r#"{"strategy":"thompson","thompson":{"learn_from":"feedback"},"near_limit_quality":0.7}"#;
    let router = house(config, &Still::new()).unwrap();
    let near = || Call { near: call_near("small", true, Grant::Any).near, ..ask("hi") };
    let mut scored = HashMap::new();
    while ["a", "b", "c", "d"].iter().any(|one| scored.get(*one).copied().unwrap_or(0) < 60) {
        let decision = router.decide(&ask("hi")).unwrap();
        let endpoint = decision.candidate(0).unwrap().endpoint.to_string();
        // The cheapest is seldom right, the next mostly is.
        let good = endpoint != "b";
        let seen = scored.entry(endpoint).or_insert(0);
        *seen += 1;
        if *seen > 60 && !good {
            continue;
        }
        router.feedback(&Principal::local().tenant, decision.id, f64::from(u8::from(good))).unwrap();
        if scored.values().sum::<i32>() > 20_000 {
            break;
        }
    }
    assert!(asked(&router, &near()).starts_with("small@a"), "{}", asked(&router, &near()));
    let wrong = serde_json::from_str::<Config>(r#"{"near_limit_quality": 2}"#).unwrap();
    assert_eq!(wrong.validate().unwrap_err().field(), Some("near_limit_quality"));
}
