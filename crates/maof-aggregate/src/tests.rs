//! What the strategies make of answers.
#![allow(clippy::unwrap_used)]

use maof_core::{Answered, Money, Name, Verdict};
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
    assert!(serde_json::from_value::<Config>(json!({"strategy": "majority", "kee": ""})).is_err());
}

proptest! {
    #[test]
    fn the_order_of_members_decides_nothing_but_ties(
        said in proptest::collection::vec(0_u8..3, 1..8), turn in any::<usize>(),
    ) {
        // Powers of two: no two sets of members weigh the same, so there is no tie.
        let names: Vec<String> = (0..said.len()).map(|i| format!("m{i}")).collect();
        let weights: serde_json::Map<String, Value> =
            names.iter().enumerate().map(|(i, n)| (n.clone(), json!(f64::from(1 << i)))).collect();
        let config = json!({"strategy": "weighted", "weights": weights});
        let mut answers: Vec<(&str, Value)> =
            names.iter().zip(&said).map(|(n, s)| (n.as_str(), json!(s))).collect();
        let before = fold(&config, &answers).unwrap();
        let n = answers.len();
        answers.rotate_left(turn % n);
        let after = fold(&config, &answers).unwrap();
        prop_assert_eq!(before.value, after.value);
        prop_assert_eq!(before.agreement_ppm, after.agreement_ppm);
    }

    #[test]
    fn equal_weights_are_a_majority(said in proptest::collection::vec(0_u8..3, 1..8)) {
        let names: Vec<String> = (0..said.len()).map(|i| format!("m{i}")).collect();
        let answers: Vec<(&str, Value)> =
            names.iter().zip(&said).map(|(n, s)| (n.as_str(), json!(s))).collect();
        let weights: serde_json::Map<String, Value> = names.iter().map(|n| (n.clone(), json!(1.0))).collect();
        let weighted = fold(&json!({"strategy": "weighted", "weights": weights}), &answers).unwrap();
        prop_assert_eq!(weighted, fold(&json!({"strategy": "majority"}), &answers).unwrap());
    }
}
