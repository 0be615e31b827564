//! Linear Thompson sampling: by the prompt, over restarts, and among nodes.

use maof_core::{DecisionId, End, Observed, Outcome};

use super::strategies::{ask, house, house_as};
use super::*;
use crate::learned::Outcome as Recorded;

const CONFIG: &str = r#"{"strategy":"linear_thompson","linear_thompson":{"learn_from":"feedback"}}"#;

/// What is easy, which all can do, and what only `c` can.
fn prompt(n: usize) -> String {
    if n.is_multiple_of(2) { format!("add {n} and {n}") } else { format!("Prove lemma {n}, by induction.") }
}

/// `a` does what is easy well; `c` does what is hard well, and what is easy half as well; the others nothing.
fn worth(endpoint: &Name, n: usize) -> f64 {
    match (endpoint.as_str(), n % 2) {
        ("a", 0) | ("c", 1) => 1.0,
        ("c", _) => 0.5,
        _ => 0.0,
    }
}

fn feedback(router: &Router, decision: DecisionId, score: f64) {
    router.feedback(&Principal::local().tenant, decision, score).unwrap();
}

fn taught(router: &Router, prompts: std::ops::Range<usize>) {
    for n in prompts {
        let decision = router.decide(&ask(&prompt(n))).unwrap();
        feedback(router, decision.id, worth(&decision.candidate(0).unwrap().endpoint, n));
    }
}

/// Whom easy and hard prompts go to first, and how many of 50 each.
fn firsts(router: &Router) -> [usize; 2] {
    [("a", 0), ("c", 1)].map(|(expect, odd)| {
        let prompts = (0..50).map(|n| prompt(600 + 2 * n + odd));
        prompts.filter(|text| super::strategies::order(router, &ask(text)).starts_with(expect)).count()
    })
}

#[test]
fn it_learns_which_prompts_are_whose_and_tells_how_probable_its_choice_was() {
    let router = house(CONFIG, &Still::new()).unwrap();
    taught(&router, 0..600);
    let firsts = firsts(&router);
    assert!(firsts[0] >= 40 && firsts[1] >= 40, "{firsts:?} of 50 easy and 50 hard ones");
    let decision = router.decide(&ask(&prompt(1))).unwrap();
    let explained = decision.explain();
    assert!(decision.propensity.is_some_and(|chance| chance > 0.0 && chance <= 1.0));
    assert_eq!((explained.strategy, decision.candidates().count()), ("linear_thompson", 4));
    assert_eq!(explained.candidates[0].scores.0[0].0, "linear_thompson");
}

#[test]
fn ends_teach_it_too_unless_only_feedback_is_to() {
    let ends = r#"{"strategy":"linear_thompson"}"#;
    for (config, learns) in [(ends, true), (CONFIG, false)] {
        let router = house(config, &Still::new()).unwrap();
        let decision = router.decide(&ask("hi")).unwrap();
        let (candidate, end) = (decision.candidate(0).unwrap(), End::of(Outcome::Complete));
        router.asked(&candidate.endpoint);
        router.observe(Observed {
            decision: decision.id,
            candidate,
            waited: Duration::from_millis(10),
            end: &end,
        });
        let blank = house(config, &Still::new()).unwrap();
        assert_eq!(router.linear_state() != blank.linear_state(), learns, "{config}");
    }
}

#[test]
fn what_it_learned_and_saw_of_open_decisions_outlives_the_router() {
    let clock = Still::new();
    let router = house(CONFIG, &clock).unwrap();
    taught(&router, 0..200);
    let open = router.decide(&ask(&prompt(1))).unwrap();
    let next = house_as("next", CONFIG, &clock).unwrap();
    let parts = router.parts().unwrap();
    let names: Vec<_> = parts.iter().map(|(part, _)| *part).collect();
    assert_eq!(names, ["router.learned", "router.linear", "router.contexts"]);
    for (part, bytes) in &parts {
        next.resume(part, bytes).unwrap();
        let cut = next.resume(part, &bytes[..bytes.len() - 1]).unwrap_err();
        assert_eq!(cut.field(), Some(*part));
    }
    // JSON rounds the last digits, and contexts are kept in four bytes a number.
    let known = |router: &Router| format!("{:.5?}", router.linear_state().unwrap());
    assert_eq!(known(&next), known(&router));
    let before = known(&router);
    for one in [&router, &next] {
        feedback(one, open.id, 1.0);
        feedback(one, open.id, 0.0);
    }
    assert!(known(&next) == known(&router) && known(&next) != before, "it taught both the same, once");
    let idle = house("{}", &clock).unwrap();
    parts.iter().for_each(|(part, bytes)| idle.resume(part, bytes).unwrap());
    assert!(idle.linear_state().is_none());
}

#[test]
fn states_of_several_nodes_merge_in_any_order_and_any_number_of_times() {
    let clock = Still::new();
    let node = |called: &str, prompts| {
        let router = house_as(called, CONFIG, &clock).unwrap();
        taught(&router, prompts);
        router.linear_state().unwrap()
    };
    let states = [node("x", 0..200), node("y", 200..400), node("z", 400..600)];
    let merged = |order: &[usize]| {
        let router = house_as("w", CONFIG, &clock).unwrap();
        order.iter().for_each(|at| router.merge_linear_state(&states[*at]).unwrap());
        router
    };
    let once = merged(&[0, 1, 2]);
    assert_eq!(merged(&[2, 1, 0, 1]).linear_state(), once.linear_state());
    let firsts = firsts(&once);
    assert!(firsts[0] >= 40 && firsts[1] >= 40, "{firsts:?}: it knows what all of them learned");
    let json = serde_json::to_string(&states[0]).unwrap().replacen("\"version\":1", "\"version\":2", 1);
    let other = serde_json::from_str(&json).unwrap();
    assert_eq!(once.merge_linear_state(&other).unwrap_err().field(), Some("state"));
    let plain = house("{}", &clock).unwrap();
    assert_eq!(plain.merge_linear_state(&states[0]).unwrap_err().field(), Some("strategy"));
}

#[test]
fn the_next_router_goes_on_with_it_while_the_strategy_is_the_same() {
    let router = house(CONFIG, &Still::new()).unwrap();
    taught(&router, 0..50);
    let registry = (*router.registry()).clone();
    let with = |strategy: &str| {
        let config = format!(r#"{{"strategy":"{strategy}","default_agents":["small"]}}"#);
        router.next(registry.clone(), &serde_json::from_str(&config).unwrap(), None, |_| true).unwrap()
    };
    assert_eq!(with("linear_thompson").linear_state(), router.linear_state());
    assert!(with("priority").linear_state().is_none());
}

#[test]
fn recorded_outcomes_warm_it_by_endpoint_or_agent_and_as_often_as_they_are_told() {
    let outcome = |n: usize| Recorded {
        prompt: prompt(n),
        quality: ["a", "b", "big", "nobody"]
            .map(|arm| (name(arm), worth(&name(if arm == "big" { "c" } else { arm }), n) as f32))
            .into(),
        ..Recorded::default()
    };
    let outcomes: Vec<Recorded> = (0..400).map(outcome).collect();
    let router = house(CONFIG, &Still::new()).unwrap();
    router.warm(&outcomes).unwrap();
    let easy = (0..50).map(|n| super::strategies::order(&router, &ask(&prompt(600 + 2 * n))));
    assert!(easy.filter(|order| order.starts_with('a')).count() >= 40);
    // Both endpoints of the agent that was recorded as such.
    let hard = (0..50).map(|n| super::strategies::order(&router, &ask(&prompt(601 + 2 * n))));
    assert!(hard.filter(|order| order.starts_with(['c', 'd'])).count() >= 40);
    let once = router.linear_state();
    router.warm(&outcomes).unwrap();
    assert_eq!(router.linear_state(), once);
    let plain = house("{}", &Still::new()).unwrap();
    assert_eq!(plain.warm(&outcomes).unwrap_err().field(), Some("strategy"));
    let nobody = [Recorded { quality: [(name("x"), 1.0)].into(), ..Recorded::default() }];
    assert_eq!(router.warm(&nobody).unwrap_err().field(), Some("linear_thompson.outcomes"));
}
