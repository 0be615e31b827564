//! What the strategies make of answers.
#![allow(clippy::unwrap_used)]

use maof_core::{Answered, Member, Money, Name, Verdict};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Config, build};

fn fold(config: &Value, answers: &[(&str, Value)]) -> maof_core::Result<Verdict> {
    let config: Config = serde_json::from_value(config.clone()).unwrap();
    let answers = answers.iter().enumerate().map(|(i, (agent, value))| Answered {
        agent: Name::new(agent).unwrap(),
        value: value.clone(),
        cost: Money::from_nanos(i as i64),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(build(&config)?.aggregate(answers.collect()))
}

fn check(config: Value, answers: &[(&str, Value)], value: Value, ppm: u32, dissent: &[&str], tied: bool) {
    let verdict = fold(&config, answers).unwrap();
    let said: Vec<&str> = verdict.dissent.iter().map(|d| d.agent.as_str()).collect();
    assert_eq!((verdict.value, verdict.agreement_ppm, verdict.tied), (value, ppm, tied), "{config}");
    assert_eq!(said, dissent);
    assert_eq!(verdict.costs.len(), answers.len());
}

#[test]
fn each_strategy_keeps_its_word() {
    let abc = [("a", json!("yes")), ("b", json!("No.")), ("c", json!("no"))];
    check(json!({"strategy": "first"}), &abc, json!("yes"), 333_333, &["b", "c"], false);
    check(json!({"strategy": "majority"}), &abc, json!("No."), 666_667, &["a"], false);
    check(json!({"strategy": "majority"}), &abc[..2], json!("yes"), 500_000, &["b"], true);
    let weighted = json!({"strategy": "weighted", "weights": {"a": 3.0, "c": 2.0, "b": -1.0}});
    check(weighted.clone(), &abc, json!("yes"), 600_000, &["b", "c"], false);
    check(weighted, &abc[1..], json!("no"), 1_000_000, &["b"], false);
    // ln(.9/.1) = 2.197 against 2 ln(.7/.3) = 1.695: one who is right more often outvotes two.
    let sure = json!({"strategy": "weighted", "accuracies": {"a": 0.9, "b": 0.7, "c": 0.7}});
    check(sure, &abc, json!("yes"), 564_575, &["b", "c"], false);
    let even = json!({"strategy": "weighted", "weights": {"a": 1.0, "b": 0.5, "c": 0.5}});
    check(even, &abc, json!("yes"), 500_000, &["b", "c"], true);
}

/// Words such as `a=yes`, `b?` (awaited) and `c!` (failed).
fn decided(config: Value, words: &str, expect: bool) {
    let built = build(&serde_json::from_value(config.clone()).unwrap()).unwrap();
    let said = words.split_whitespace().map(|word| {
        let value = word.split_once('=').map(|(_, value)| json!({"label": value, "sure": 0.9}));
        (Name::new(&word[..1]).unwrap(), value, word.ends_with('!'))
    });
    let said: Vec<_> = said.collect();
    let member = said.iter().map(|(agent, value, failed)| match value {
        Some(value) => Member::Answered { agent, value },
        None if *failed => Member::Failed,
        None => Member::Awaited(agent),
    });
    assert_eq!(built.is_decided(&member.collect::<Vec<_>>()), expect, "{config} {words}");
}

#[test]
fn a_join_is_decided_once_nobody_who_is_awaited_can_change_it() {
    let majority = || json!({"strategy": "majority", "key": "/label"});
    decided(majority(), "a=y b=y c?", true);
    decided(majority(), "a=y b=Y. c? d?", false);
    decided(majority(), "a=y b=y c! d?", true);
    decided(majority(), "a=y b=n c?", false);
    decided(majority(), "a=y b=y c=n d=y e?", true);
    decided(majority(), "a=y b=y c=n d? e?", false);
    decided(majority(), "a? b? c?", false);
    let weighted = || json!({"strategy": "weighted", "key": "/label", "weights": {"a": 3.0, "b": 1.0, "c": 1.0, "d": -1.0}});
    decided(weighted(), "a=y b? c?", true);
    decided(weighted(), "a? b=y c=y", false);
    decided(weighted(), "a=y b=n c? e?", false);
    decided(weighted(), "b=y c=n d? a!", false);
    decided(weighted(), "b=y d? a!", true);
    // Log odds of 0.9 are 2.2, and at most 6.9: four who are sure outweigh one who may be surer.
    let sure = || json!({"strategy": "weighted", "key": "/label", "confidence": "/sure"});
    decided(sure(), "a=y b=y c=y d?", false);
    decided(sure(), "a=y b=y c=y d=y e?", true);
    let first = || json!({"strategy": "first", "key": "/label"});
    decided(first(), "a! b=y c?", true);
    decided(first(), "a? b=y c=n", false);
}

#[test]
fn a_vote_is_on_the_part_that_the_key_names() {
    let one = json!({"label": "Positive", "confidence": 0.9});
    let two = json!({"label": "positive", "confidence": 0.6});
    let other = json!({"confidence": 0.6});
    let config = json!({"strategy": "majority", "key": "/label"});
    check(
        config.clone(),
        &[("a", two.clone()), ("b", one), ("c", other.clone())],
        two,
        1_000_000,
        &["c"],
        false,
    );
    assert!(fold(&config, &[("a", other)]).is_err());
    assert!(fold(&config, &[]).is_err());
}

#[test]
fn priors_decide_a_tie_and_nothing_else() {
    let four = [("a", json!("yes")), ("b", json!("no")), ("c", json!("no.")), ("d", json!("yes"))];
    let priors = |a: f64, c: f64| json!({"strategy": "majority", "priors": {"a": a, "b": 0.1, "c": c}});
    check(priors(0.0, 0.0), &four, json!("no"), 500_000, &["a", "d"], true);
    check(priors(0.5, 0.3), &four, json!("yes"), 500_000, &["b", "c"], true);
    check(priors(0.5, 0.6), &four, json!("no."), 500_000, &["a", "d"], true);
    let together = json!({"strategy": "majority", "priors": {"a": 0.2, "d": 0.2, "c": 0.3}});
    check(together, &four, json!("yes"), 500_000, &["b", "c"], true);
    check(priors(9.0, 0.0), &four[..3], json!("no"), 666_667, &["a"], false);
}

#[test]
fn the_first_answer_is_the_first_that_has_what_matters() {
    let say = |label: &str, c: f64| json!({"label": label, "confidence": c});
    let answers = [("a", json!({"error": 1})), ("b", say("yes", 0.5)), ("c", say("YES", 0.7))];
    let config = json!({"strategy": "first", "key": "/label"});
    check(config.clone(), &answers, say("yes", 0.5), 666_667, &["a"], false);
    assert!(fold(&config, &answers[..1]).is_err());
}

#[test]
fn weights_of_any_size_are_added_exactly() {
    let abc = [("a", json!("x")), ("b", json!("y")), ("c", json!("y"))];
    let vast = json!({"strategy": "weighted", "weights": {"a": 1e9, "b": 1e9, "c": 1e-12}});
    check(vast, &abc, json!("y"), 500_000, &["a"], false);
    let tenths = json!({"strategy": "weighted", "weights": {"a": 0.3, "b": 0.1, "c": 0.2}});
    check(tenths, &abc, json!("x"), 500_000, &["b", "c"], true);
}

#[test]
fn one_who_is_sure_outvotes_two_who_guess() {
    let say = |label: &str, c: f64| json!({"label": label, "confidence": c});
    let config = json!({"strategy": "weighted", "key": "/label", "confidence": "/confidence"});
    let sure = [("a", say("no", 0.55)), ("b", say("yes", 0.9)), ("c", say("no", 0.6))];
    check(config.clone(), &sure, say("yes", 0.9), 783_782, &["a", "c"], false);
    let guess = [
        ("a", say("no", 0.55)),
        ("b", say("yes", 0.6)),
        ("c", say("no", 0.6)),
        ("d", json!({"label": "yes"})),
    ];
    check(config, &guess, say("no", 0.6), 599_185, &["b", "d"], false);
}

#[test]
fn wrong_settings_are_refused_by_field() {
    let check = |config: Value, field: &str| {
        let error = fold(&config, &[("a", json!(1))]).unwrap_err();
        assert_eq!(error.field(), Some(field), "{config}");
    };
    check(json!({"strategy": "majority", "key": "label"}), "key");
    check(json!({"strategy": "weighted"}), "weights");
    check(json!({"strategy": "weighted", "weights": {"a": 1}, "accuracies": {"a": 0.5}}), "weights");
    check(json!({"strategy": "weighted", "weights": {"a": 0}}), "weights");
    check(json!({"strategy": "weighted", "accuracies": {"a": 1.0}}), "accuracies.a");
    check(json!({"strategy": "weighted", "accuracies": {"a": 0.5}, "classes": 1}), "classes");
    check(json!({"strategy": "weighted", "confidence": "c"}), "confidence");
    check(json!({"strategy": "weighted", "confidence": "/c", "weights": {"a": 1}}), "weights");
    check(json!({"strategy": "weighted", "weights": {"a": 1, "b": 1e10}}), "weights.b");
    check(json!({"strategy": "majority", "priors": {"a": -1}}), "priors.a");
    check(json!({"strategy": "first", "key": "label"}), "key");
    assert!(serde_json::from_value::<Config>(json!({"strategy": "majority", "kee": ""})).is_err());
}

/// Members `m0`, `m1` … that say these.
fn members(said: &[u8]) -> Vec<(String, Value)> {
    said.iter().enumerate().map(|(i, s)| (format!("m{i}"), json!(s))).collect()
}

fn named(members: &[(String, Value)]) -> Vec<(&str, Value)> {
    members.iter().map(|(name, value)| (name.as_str(), value.clone())).collect()
}

proptest! {
    #[test]
    fn the_order_of_members_decides_nothing_but_ties(
        (said, order) in proptest::collection::vec(0_u8..3, 1..8)
            .prop_flat_map(|said| (Just(said.clone()), Just((0..said.len()).collect::<Vec<_>>()).prop_shuffle())),
    ) {
        // Powers of two: no two sets of members weigh the same, so there is no tie.
        let members = members(&said);
        let weights: serde_json::Map<String, Value> =
            members.iter().enumerate().map(|(i, (n, _))| (n.clone(), json!(f64::from(1 << i)))).collect();
        let config = json!({"strategy": "weighted", "weights": weights});
        let answers = named(&members);
        let moved: Vec<_> = order.iter().map(|place| answers[*place].clone()).collect();
        let (before, after) = (fold(&config, &answers).unwrap(), fold(&config, &moved).unwrap());
        prop_assert_eq!(before.value, after.value);
        prop_assert_eq!(before.agreement_ppm, after.agreement_ppm);
        prop_assert!(!before.tied && !after.tied);
    }

    #[test]
    fn equal_weights_are_a_majority(said in proptest::collection::vec(0_u8..3, 1..8), weight in 0.001_f64..1e6) {
        let members = members(&said);
        let weights: serde_json::Map<String, Value> =
            members.iter().map(|(n, _)| (n.clone(), json!(weight))).collect();
        let weighted = fold(&json!({"strategy": "weighted", "weights": weights}), &named(&members)).unwrap();
        prop_assert_eq!(weighted, fold(&json!({"strategy": "majority"}), &named(&members)).unwrap());
    }

    #[test]
    fn agreement_is_a_share_and_dissent_is_the_rest(
        said in proptest::collection::vec(0_u8..4, 1..9),
        weights in proptest::collection::vec(0.0_f64..1e9, 9),
    ) {
        let members = members(&said);
        let weights: serde_json::Map<String, Value> =
            members.iter().zip(weights).map(|((n, _), w)| (n.clone(), json!(w + 1e-6))).collect();
        for config in [
            json!({"strategy": "first"}),
            json!({"strategy": "majority"}),
            json!({"strategy": "weighted", "weights": weights}),
        ] {
            let verdict = fold(&config, &named(&members)).unwrap();
            let others = members.iter().filter(|(_, said)| *said != verdict.value).count();
            prop_assert!(verdict.agreement_ppm <= 1_000_000);
            // The winner of n classes has at least an n-th of the weight; alone it has all of it.
            prop_assert!(others > 0 || verdict.agreement_ppm == 1_000_000);
            prop_assert!(config["strategy"] == "first" || verdict.agreement_ppm >= 250_000);
            prop_assert_eq!(verdict.dissent.len(), others);
            prop_assert_eq!(verdict.costs.len(), members.len());
        }
    }
}

proptest! {
    /// Whatever those say who are awaited when a vote is decided, the verdict is the one of those who have answered.
    #[test]
    fn what_is_decided_early_is_what_all_decide(
        votes in prop::collection::vec((0_u8..3, 0_u32..4), 1..8),
        answered in prop::collection::vec(any::<bool>(), 8),
        weigh: bool,
    ) {
        let agents: Vec<String> = (0..votes.len()).map(|n| format!("m{n}")).collect();
        let weights: serde_json::Map<String, Value> =
            agents.iter().zip(&votes).map(|(agent, (_, weight))| (agent.clone(), json!(weight))).collect();
        let config = match weigh && votes.iter().any(|(_, weight)| *weight > 0) {
            true => json!({"strategy": "weighted", "weights": weights}),
            false => json!({"strategy": "majority"}),
        };
        let all: Vec<(&str, Value)> =
            agents.iter().zip(&votes).map(|(agent, (vote, _))| (agent.as_str(), json!(vote))).collect();
        let names: Vec<Name> = agents.iter().map(|agent| Name::new(agent).unwrap()).collect();
        let members: Vec<Member<'_>> = (0..all.len())
            .map(|at| match answered[at] {
                true => Member::Answered { agent: &names[at], value: &all[at].1 },
                false => Member::Awaited(&names[at]),
            })
            .collect();
        let built = build(&serde_json::from_value(config.clone()).unwrap()).unwrap();
        if built.is_decided(&members) {
            let early: Vec<(&str, Value)> =
                all.iter().zip(&answered).filter(|(_, there)| **there).map(|(one, _)| one.clone()).collect();
            prop_assert_eq!(fold(&config, &early).unwrap().value, fold(&config, &all).unwrap().value);
        }
    }
}
