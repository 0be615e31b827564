//! What ends and feedback teach, what is refused, and how states of several nodes merge.

use maof_core::{DecisionId, End, Observed, Outcome, Random as _};

use super::strategies::{ask, house, house_as};
use super::*;
use crate::learned::{Model, Outcome as Recorded, Training};

/// Asks the first candidate, which answers.
fn answered(router: &Router, decision: &Decision) {
    let candidate = decision.candidate(0).unwrap();
    router.asked(&candidate.endpoint);
    let (waited, end) = (Duration::from_millis(10), End::of(Outcome::Complete));
    router.observe(Observed { decision: decision.id, candidate, waited, end: &end });
}

fn feedback(router: &Router, decision: DecisionId, score: f64) -> Result<()> {
    router.feedback(&Principal::local().tenant, decision, score)
}

#[test]
fn thompson_learns_from_feedback_whom_to_ask_and_tells_how_probable_it_was() {
    let config = r#"{"strategy":"thompson","thompson":{"learn_from":"feedback"}}"#;
    let router = house(config, &Still::new()).unwrap();
    let random = Seeded::new(7);
    let mut asked = HashMap::new();
    let mut propensities = 0.0;
    for n in 0..1_500 {
        let decision = router.decide(&ask("hi")).unwrap();
        let first = decision.candidate(0).unwrap().endpoint.to_string();
        propensities += decision.propensity.unwrap();
        answered(&router, &decision);
        let good = if first == "c" { 0.9 } else { 0.5 };
        let good = crate::learned::uniform(&random) < good;
        // A third is never heard of, and some comes twice.
        if n % 3 > 0 {
            feedback(&router, decision.id, f64::from(u8::from(good))).unwrap();
            feedback(&router, decision.id, 0.0).unwrap();
        }
        *asked.entry(first).or_insert(0) += u32::from(n >= 1_000);
    }
    assert!(asked["c"] > 425, "of the last 500: {asked:?}");
    assert!(propensities > 900.0, "drawn with what it was believed to be: {propensities}");
    assert_ne!(random.next_u64(), 0);
}

/// A router that goes on from what another one knew, of which some may be changed.
fn after(
    router: &Router,
    config: &str,
    clock: &Arc<Still>,
    change: impl Fn(&str) -> String,
) -> Result<Router> {
    let next = house_as("next", config, clock).unwrap();
    for (part, bytes) in router.parts().unwrap() {
        let text = String::from_utf8(bytes).unwrap();
        next.resume(part, change(&text).as_bytes())?;
    }
    Ok(next)
}

#[test]
fn what_was_learned_and_decisions_that_wait_outlive_the_router() {
    let config = r#"{"strategy":"thompson","thompson":{"learn_from":"feedback"}}"#;
    let clock = Still::new();
    let router = house(config, &clock).unwrap();
    let decisions: Vec<Decision> = (0..5_000).map(|_| router.decide(&ask("hi")).unwrap()).collect();
    for decision in &decisions[4_900..4_950] {
        answered(&router, decision);
        feedback(&router, decision.id, 1.0).unwrap();
    }
    let next = after(&router, config, &clock, str::to_owned).unwrap();
    // JSON rounds the last digits.
    let known = |router: &Router| format!("{:.9?}", router.learned_state().unwrap());
    assert_eq!(known(&next), known(&router));
    // The same node, though the next one was made under another name: so many restarts are no more nodes.
    let third = after(&next, config, &clock, str::to_owned).unwrap();
    assert_eq!(known(&third), known(&router));
    answered(&third, &third.decide(&ask("hi")).unwrap());
    feedback(&next, decisions[4_950].id, 1.0).unwrap();
    feedback(&next, decisions[4_950].id, 1.0).unwrap();
    feedback(&router, decisions[4_950].id, 1.0).unwrap();
    assert_eq!(known(&next), known(&router), "it taught the same, once");
    let other = next.feedback(&name("other"), decisions[4_951].id, 1.0).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::NotFound, "another tenant's does not exist");
    let size: usize = next.parts().unwrap().iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(size < 1 << 20, "{size} bytes of 5,000 decisions");
    assert!(feedback(&next, decisions[0].id, 1.0).is_err(), "the oldest are forgotten");
}

#[test]
fn feedback_is_waited_for_a_day_also_over_a_restart() {
    let config = r#"{"strategy":"thompson","thompson":{"learn_from":"feedback"}}"#;
    for (days, known) in [(0.9, true), (1.1, false)] as [(f64, bool); 2] {
        let clock = Still::new();
        let router = house(config, &clock).unwrap();
        let decision = router.decide(&ask("hi")).unwrap();
        let next = after(&router, config, &clock, str::to_owned).unwrap();
        clock.pass((days * 86_400_000.0) as u64);
        assert_eq!(feedback(&next, decision.id, 1.0).is_ok(), known);
        assert_eq!(feedback(&router, decision.id, 1.0).is_ok(), known);
        let late = after(&router, config, &clock, str::to_owned).unwrap();
        assert_eq!(feedback(&late, decision.id, 1.0).is_ok(), known);
    }
}

#[test]
fn what_cannot_be_gone_on_from_is_refused_and_changes_nothing() {
    let config = r#"{"strategy":"thompson"}"#;
    let clock = Still::new();
    let router = house(config, &clock).unwrap();
    answered(&router, &router.decide(&ask("hi")).unwrap());
    for (what, change) in [
        ("version 9", &|text: &str| text.replacen(r#""version":1"#, r#""version":9,"new":0"#, 1)),
        ("damaged", &|text: &str| text[..text.len() / 2].to_owned()),
        ("version 8", &|text: &str| text.replace(r#"{"version":1,"classes""#, r#"{"version":8,"classes""#)),
    ] as [(&str, &dyn Fn(&str) -> String); 3]
    {
        let error = after(&router, config, &clock, change).unwrap_err();
        assert!(error.message().contains(what), "{what}: {error:?}");
        assert_eq!(error.field(), Some("router.learned"));
    }
    let idle = house(r#"{"strategy":"priority"}"#, &clock).unwrap();
    assert!(idle.parts().unwrap().is_empty());
    for (part, bytes) in router.parts().unwrap() {
        idle.resume(part, &bytes).unwrap();
    }
}

#[test]
fn ends_teach_of_whoever_answered_in_the_end() {
    let router = house(r#"{"strategy":"thompson"}"#, &Still::new()).unwrap();
    for _ in 0..200 {
        let decision = router.decide(&ask("hi")).unwrap();
        for candidate in decision.candidates() {
            let down = maof_core::Error::unavailable("down").origin_is(maof_core::Origin::Provider).failure();
            let works = candidate.endpoint == name("d");
            let end = End::of(if works { Outcome::Complete } else { Outcome::Failed(down) });
            router.asked(&candidate.endpoint);
            let waited = Duration::from_millis(10);
            router.observe(Observed { decision: decision.id, candidate, waited, end: &end });
            if works {
                break;
            }
        }
        feedback(&router, decision.id, 1.0).unwrap();
    }
    let firsts = (0..100).filter(|_| super::strategies::order(&router, &ask("hi")).starts_with('d')).count();
    assert!(firsts > 90, "{firsts}");
}

#[test]
fn feedback_that_cannot_be_learned_from_is_refused_by_field() {
    let id = DecisionId::from_uuid(Uuid::from_u128(99));
    let router = house(r#"{"strategy":"thompson"}"#, &Still::new()).unwrap();
    let refused = |router: &Router, id, score| {
        let error = feedback(router, id, score).unwrap_err();
        (error.kind(), error.field().unwrap().to_owned())
    };
    assert_eq!(refused(&router, id, 1.0), (ErrorKind::NotFound, "decision".to_owned()));
    assert_eq!(refused(&router, id, 1.1), (ErrorKind::InvalidRequest, "score".to_owned()));
    assert_eq!(refused(&router, id, f64::NAN), (ErrorKind::InvalidRequest, "score".to_owned()));
    // Another tenant's decision does not exist, before and after its feedback.
    let decision = router.decide(&ask("hi")).unwrap();
    for _ in 0..2 {
        let error = router.feedback(&name("other"), decision.id, 1.0).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::NotFound, Some("decision")));
        feedback(&router, decision.id, 1.0).unwrap();
    }
    let plain = house("{}", &Still::new()).unwrap();
    assert_eq!(refused(&plain, id, 1.0), (ErrorKind::InvalidRequest, "strategy".to_owned()));
}

#[test]
fn states_merge_in_any_order_and_any_number_of_times() {
    let node = |called: &str, good: &str| {
        let agents = vec![agent("small", "a b", ""), agent("big", "c d", "")];
        let offers: HashMap<Name, Vec<Operation>> =
            ["a", "b", "c", "d"].map(|one| (name(one), vec![Operation::Chat])).into_iter().collect();
        let registry = Registry::new(agents, offers, HashMap::new()).unwrap();
        let config = r#"{"strategy":"thompson","default_agents":["small","big"]}"#;
        let ports = Ports { node: name(called), ..ports(&Still::new(), 3) };
        let router = Router::new(registry, &serde_json::from_str(config).unwrap(), None, ports).unwrap();
        for _ in 0..100 {
            let decision = router.decide(&ask("hi")).unwrap();
            let score = f64::from(u8::from(decision.candidate(0).unwrap().endpoint == name(good)));
            feedback(&router, decision.id, score).unwrap();
        }
        router
    };
    let states =
        [node("x", "a"), node("y", "b"), node("z", "c")].map(|router| router.learned_state().unwrap());
    let merged = |order: &[usize]| {
        let router = node("w", "d");
        order.iter().for_each(|at| router.merge_state(&states[*at]).unwrap());
        serde_json::to_string(&router.learned_state().unwrap()).unwrap()
    };
    let once = merged(&[0, 1, 2]);
    assert_eq!(merged(&[2, 1, 0]), once);
    assert_eq!(merged(&[1, 0, 1, 2, 0, 1]), once);
    // Through the store and back, and another version is refused.
    let state = serde_json::from_str(&once).unwrap();
    let router = node("v", "a");
    router.merge_state(&state).unwrap();
    let other = serde_json::from_str(&once.replacen("\"version\":1", "\"version\":2", 1)).unwrap();
    assert_eq!(router.merge_state(&other).unwrap_err().field(), Some("state"));
    let plain = house("{}", &Still::new()).unwrap();
    assert_eq!(plain.merge_state(&state).unwrap_err().field(), Some("strategy"));
}

/// The small one does what is easy, the big one everything.
fn model() -> Model {
    let line = |n: u32| match n % 2 {
        0 => format!(r#"{{"prompt": "an easy question about {n}", "y": {{"small": 1, "big": 1}}}}"#),
        _ => format!(r#"{{"prompt": "prove the hard lemma {n}", "y": {{"small": 0, "big": 1}}}}"#),
    };
    let outcomes: Vec<Recorded> = (0..200).map(|n| Recorded::parse(&line(n)).unwrap().unwrap()).collect();
    let prices = crate::learned::Prices::parse(
        r#"{"small": [0.1, 0.1], "big": [10, 10]}"#,
        &crate::learned::arms_of(&outcomes),
    );
    Training { prices: prices.unwrap(), ..Training::default() }.train(&outcomes, &Seeded::new(1)).unwrap()
}

fn learned(config: &str, arms: [&str; 2]) -> Result<Router> {
    let agents = vec![agent(arms[0], "a b", ""), agent(arms[1], "c d", "")];
    let offers: HashMap<Name, Vec<Operation>> =
        ["a", "b", "c", "d"].map(|one| (name(one), vec![Operation::Chat])).into_iter().collect();
    let registry = Registry::new(agents, offers, HashMap::new())?;
    Router::new(registry, &serde_json::from_str(config).unwrap(), Some(model()), ports(&Still::new(), 1))
}

const WEIGHED: &str = r#"{"strategy":"learned","learned":{"model":"m","cost_weight":0.2}}"#;

#[test]
fn the_model_sends_what_is_easy_to_the_cheap_agent_and_goes_on_learning() {
    let with = |config: &str| {
        let config = config.replacen('{', r#"{"default_agents":["big","small"],"#, 1);
        learned(&config, ["small", "big"]).unwrap()
    };
    let router = with(WEIGHED);
    let order = |router: &Router, text: &str| super::strategies::order(router, &ask(text));
    assert_eq!(order(&router, "an easy question about 777"), "abcd");
    assert_eq!(order(&router, "prove the hard lemma 777"), "cdab");
    let quality = with(r#"{"strategy":"learned","learned":{"model":"m","quality":0.95}}"#);
    assert_eq!(order(&quality, "an easy question about 777"), "abcd");
    assert_eq!(order(&quality, "prove the hard lemma 777"), "cdab");
    let decision = router.decide(&ask("an easy question about 777")).unwrap();
    assert_eq!(decision.explain().candidates[0].scores.0[0].0, "learned");
    // It was wrong of late, and again and again.
    for n in 0..400 {
        let decision = router.decide(&ask(&format!("an easy question about {n}"))).unwrap();
        if decision.candidate(0).unwrap().agent == name("small") {
            answered(&router, &decision);
            feedback(&router, decision.id, 0.0).unwrap();
        }
    }
    assert_eq!(order(&router, "an easy question about 777"), "cdab");
}

#[test]
fn what_the_model_was_taught_outlives_the_router_unless_another_one_is_configured() {
    let config = WEIGHED.replacen('{', r#"{"default_agents":["big","small"],"#, 1);
    let router = learned(&config, ["small", "big"]).unwrap();
    let parts =
        |router: &Router| router.parts().unwrap().into_iter().map(|(part, _)| part).collect::<Vec<_>>();
    assert_eq!(parts(&router), ["router.learned"], "it was taught nothing");
    let decision = router.decide(&ask("an easy question about 777")).unwrap();
    feedback(&router, decision.id, 0.0).unwrap();
    let waits = router.decide(&ask("an easy question about 778")).unwrap();
    assert_eq!(parts(&router), Router::PARTS[..3]);
    let next = learned(&config, ["small", "big"]).unwrap();
    for (part, bytes) in router.parts().unwrap() {
        next.resume(part, &bytes).unwrap();
        let cut = next.resume(part, &bytes[..bytes.len() - 1]).unwrap_err();
        assert_eq!(cut.field(), Some(part));
    }
    assert_eq!(next.learned_model(), router.learned_model());
    // Feedback on what was decided before teaches both the same.
    for one in [&router, &next] {
        feedback(one, waits.id, 0.0).unwrap();
    }
    assert_eq!(next.learned_model(), router.learned_model());
    let taught = learned(&config, ["small", "big"]).unwrap();
    assert_ne!(next.learned_model(), taught.learned_model());
    router.decide(&ask("an easy question about 779")).unwrap();
    for (part, mut bytes) in router.parts().unwrap() {
        let other = learned(&config, ["small", "big"]).unwrap();
        // The check sum of another model than the one that is configured.
        let at = usize::from(part == "router.seen");
        bytes[at] ^= u8::from(part != "router.learned");
        other.resume(part, &bytes).unwrap();
        assert_ne!(other.learned_model(), router.learned_model());
    }
}

#[test]
fn a_model_of_nobody_who_exists_is_refused() {
    assert_eq!(learned(WEIGHED, ["x", "y"]).unwrap_err().field(), Some("learned.model"));
    // Who is no arm comes last.
    let config = WEIGHED.replacen('{', r#"{"default_agents":["x","big"],"#, 1);
    let router = learned(&config, ["x", "big"]).unwrap();
    assert_eq!(super::strategies::order(&router, &ask("an easy question about 1")), "cdab");
}
