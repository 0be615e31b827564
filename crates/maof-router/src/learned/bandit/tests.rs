//! Behaviour of the bandits: regret, shifts, costs, several nodes.

use maof_core::{Name, Random};
use proptest::prelude::*;

use super::super::seeded::{Seeded, uniform};
use super::{Candidate, Linear, Thompson, linear, thompson};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn arms(count: usize) -> Vec<Name> {
    (0..count).map(|at| name(&format!("arm-{at}"))).collect()
}

fn free(arms: &[Name]) -> Vec<Candidate<'_>> {
    arms.iter().map(|arm| Candidate { arm, penalty: 0.0 }).collect()
}

fn bandit(node: &str) -> Thompson {
    Thompson::new(thompson::Config::default(), name(node)).unwrap()
}

/// Plays `rounds` requests against arms of these qualities; gives the share of the quality of the best that was lost.
fn regret(bandit: &mut Thompson, qualities: &[f64], rounds: u32, random: &dyn Random) -> f64 {
    let (arms, class) = (arms(qualities.len()), name("class"));
    let best = qualities.iter().copied().fold(0.0, f64::max);
    let mut lost = 0.0;
    for _ in 0..rounds {
        let drawn = bandit.choose(&class, &free(&arms), random).unwrap();
        lost += best - qualities[drawn.arm];
        let good = uniform(random) < qualities[drawn.arm];
        bandit.observe(&class, &arms[drawn.arm], f64::from(u8::from(good))).unwrap();
    }
    lost / best / f64::from(rounds)
}

/// The nine models of `just routing`: for each class of task its share of the requests, and each model's mean.
const NINE: [(f64, [f64; 9]); 4] = [
    (0.35, [0.05, 0.1, 0.13, 0.19, 0.16, 0.05, 0.02, 0.06, 0.13]),
    (0.31, [0.61, 0.87, 0.9, 0.94, 0.78, 0.37, 0.42, 0.73, 0.93]),
    (0.26, [0.31, 0.75, 0.74, 0.86, 0.92, 0.18, 0.09, 0.37, 0.6]),
    (0.08, [0.24, 0.42, 0.49, 0.56, 0.47, 0.22, 0.14, 0.28, 0.37]),
];

#[test]
fn little_is_lost_against_the_best_fixed_arm() {
    let arms = arms(9);
    let fixed = |arm: usize| NINE.iter().map(|(share, means)| share * means[arm]).sum::<f64>();
    let best = (0..9).map(fixed).fold(0.0, f64::max);
    let lost = |seed: u64| {
        let (random, mut bandit) = (Seeded::new(seed), bandit("n"));
        let mut gained = 0.0;
        for _ in 0..6_000 {
            let mut at = uniform(&random);
            let class = NINE.iter().position(|(share, _)| {
                at -= share;
                at < 0.0
            });
            let (class, means) = (class.unwrap_or(0), NINE[class.unwrap_or(0)].1);
            let class = name(&format!("class-{class}"));
            let drawn = bandit.choose(&class, &free(&arms), &random).unwrap();
            let good = uniform(&random) < means[drawn.arm];
            gained += means[drawn.arm] / 6_000.0;
            bandit.observe(&class, &arms[drawn.arm], f64::from(u8::from(good))).unwrap();
        }
        1.0 - gained / best
    };
    let found: Vec<f64> = (1..=5).map(lost).collect();
    let mean = found.iter().sum::<f64>() / 5.0;
    assert!(mean < 0.025, "{mean}: {found:?}");
}

#[test]
fn a_drop_in_quality_is_noticed_and_forgiven() {
    for seed in 1..=5 {
        let random = Seeded::new(seed);
        let mut bandit = bandit("n");
        regret(&mut bandit, &[0.9, 0.6], 3_000, &random);
        let dropped = [0.2, 0.6];
        regret(&mut bandit, &dropped, 1_000, &random);
        let after = regret(&mut bandit, &dropped, 1_000, &random);
        assert!(after < 0.05, "seed {seed}: still losing {after}");
        // The arm that dropped is tried again once it is forgotten what it was: it may be back.
        regret(&mut bandit, &[0.9, 0.6], 3_000, &random);
        let back = regret(&mut bandit, &[0.9, 0.6], 1_000, &random);
        assert!(back < 0.1, "seed {seed}: never went back, losing {back}");
    }
}

#[test]
fn a_penalty_turns_the_choice() {
    let (mut bandit, class, arms) = (bandit("n"), name("class"), arms(2));
    for _ in 0..400 {
        bandit.observe(&class, &arms[0], 0.9).unwrap();
        bandit.observe(&class, &arms[1], 0.8).unwrap();
    }
    let first = |penalty: f64| {
        let candidates = [Candidate { arm: &arms[0], penalty }, Candidate { arm: &arms[1], penalty: 0.0 }];
        let random = Seeded::new(1);
        (0..200).filter(|_| bandit.choose(&class, &candidates, &random).unwrap().arm == 0).count()
    };
    assert!(first(0.0) > 190);
    assert!(first(0.3) < 10);
}

#[test]
fn classes_are_learned_apart() {
    let (mut bandit, arms) = (bandit("n"), arms(2));
    for _ in 0..200 {
        bandit.observe(&name("old"), &arms[0], 1.0).unwrap();
    }
    assert!(bandit.quality(&name("old"), &arms[0]).0 > 0.9);
    assert_eq!(bandit.quality(&name("new"), &arms[0]).0, 0.5);
    assert_eq!(bandit.quality(&name("old"), &arms[1]).0, 0.5);
}

#[test]
fn feedback_that_makes_no_sense_is_refused() {
    let mut bandit = bandit("n");
    for quality in [-0.1, 1.1, f64::NAN] {
        let error = bandit.observe(&name("c"), &name("a"), quality).unwrap_err();
        assert_eq!(error.field(), Some("quality"));
    }
    for arm in arms(64) {
        bandit.observe(&name("c"), &arm, 1.0).unwrap();
    }
    assert_eq!(bandit.observe(&name("c"), &name("a"), 1.0).unwrap_err().field(), Some("arm"));
    for class in 1..1024 {
        bandit.observe(&name(&format!("class-{class}")), &name("a"), 1.0).unwrap();
    }
    assert_eq!(bandit.observe(&name("one-more"), &name("a"), 1.0).unwrap_err().field(), Some("class"));
    assert_eq!(bandit.choose(&name("c"), &[], &Seeded::new(1)), None);
    let wrong = thompson::Config { discount: 0.0, ..thompson::Config::default() };
    assert_eq!(Thompson::new(wrong, name("n")).unwrap_err().field(), Some("discount"));
}

#[test]
fn a_state_goes_through_a_file_and_one_of_another_version_is_refused() {
    let mut one = bandit("n");
    for (quality, arm) in [1.0, 0.0, 0.25].into_iter().zip(arms(3)) {
        one.observe(&name("c"), &arm, quality).unwrap();
    }
    let text = serde_json::to_string(one.state()).unwrap();
    let mut again = bandit("n");
    again.merge(&serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(again, one);
    let refuse = |text: String, part: &str| {
        let error = bandit("n").merge(&serde_json::from_str(&text).unwrap()).unwrap_err();
        assert_eq!(error.field(), Some("state"));
        assert!(error.message().contains(part), "{error:?}");
    };
    refuse(text.replace("\"version\":1", "\"version\":2"), "version 2");
    refuse(text.replace("\"good\":0.", "\"good\":-0."), "no feedback");
}

/// What a node does: sees feedback of an arm, or hears of another node's state.
#[derive(Clone, Debug)]
enum Act {
    Sees { node: usize, class: usize, arm: usize, quality: f64 },
    Hears { node: usize, from: usize },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0..3_usize, 0..2_usize, 0..3_usize, 0..=4_u8)
            .prop_map(|(node, class, arm, quality)| Act::Sees { node, class, arm, quality: f64::from(quality) / 4.0 }),
        1 => (0..3_usize, 0..3_usize).prop_map(|(node, from)| Act::Hears { node, from }),
    ]
}

fn play(acts: &[Act]) -> Vec<Thompson> {
    let mut nodes: Vec<Thompson> = ["a", "b", "c"].map(bandit).to_vec();
    for act in acts {
        match *act {
            Act::Sees { node, class, arm, quality } => {
                nodes[node].observe(&name(&format!("class-{class}")), &arms(3)[arm], quality).unwrap();
            }
            Act::Hears { node, from } => {
                let heard = nodes[from].state().clone();
                nodes[node].merge(&heard).unwrap();
            }
        }
    }
    nodes
}

proptest! {
    #[test]
    fn states_merge_in_any_order_and_any_number_of_times(acts in prop::collection::vec(act(), 0..60)) {
        let nodes = play(&acts);
        let merged = |order: &[usize]| {
            let mut state = thompson::State::default();
            for at in order {
                state.merge(nodes[*at].state()).unwrap();
            }
            state
        };
        let all = merged(&[0, 1, 2]);
        for order in [[2, 1, 0], [1, 0, 2], [1, 2, 0]] {
            prop_assert_eq!(&merged(&order), &all);
        }
        prop_assert_eq!(&merged(&[0, 1, 1, 2, 0, 2, 1]), &all);
        // Groups merged first come to the same.
        let mut grouped = merged(&[0, 1]);
        grouped.merge(&merged(&[1, 2])).unwrap();
        prop_assert_eq!(&grouped, &all);
    }

    #[test]
    fn merging_loses_no_feedback(seen in prop::collection::vec((0..2_usize, 0..=1_u8), 1..40)) {
        // Nothing is forgotten here, so that two nodes together must know exactly what one alone would.
        let config = thompson::Config { discount: 1.0, ..thompson::Config::default() };
        let new = |node| Thompson::new(config, name(node)).unwrap();
        let (mut alone, mut nodes) = (new("alone"), [new("a"), new("b")]);
        let (class, arm) = (name("c"), name("arm"));
        for (node, quality) in seen {
            alone.observe(&class, &arm, f64::from(quality)).unwrap();
            nodes[node].observe(&class, &arm, f64::from(quality)).unwrap();
        }
        let other = nodes[1].state().clone();
        nodes[0].merge(&other).unwrap();
        let (found, expect) = (nodes[0].quality(&class, &arm), alone.quality(&class, &arm));
        prop_assert!((found.0 - expect.0).abs() < 1e-12 && (found.1 - expect.1).abs() < 1e-12);
    }
}

fn small() -> linear::Config {
    linear::Config { dimension: 3, ..linear::Config::default() }
}

/// Two arms of which each is good where the other is bad.
fn linear_quality(context: &[f64], arm: usize) -> f64 {
    if arm == 0 { 0.5 + 0.4 * context[1] } else { 0.5 - 0.4 * context[1] }
}

#[test]
fn a_linear_bandit_beats_every_fixed_arm_where_the_request_tells() {
    let (arms, random) = (arms(2), Seeded::new(2));
    let mut bandit = Linear::new(small(), name("n")).unwrap();
    let mut gained = 0.0;
    for _ in 0..1_000 {
        let context = [1.0, 2.0 * uniform(&random) - 1.0, uniform(&random)];
        let drawn = bandit.choose(&context, &free(&arms), &random).unwrap().unwrap();
        let quality = linear_quality(&context, drawn.arm);
        gained += quality / 1_000.0;
        bandit.observe(&context, &arms[drawn.arm], quality).unwrap();
    }
    // Either arm alone comes to 0.5, the better one at each request to 0.7.
    assert!(gained > 0.67, "{gained}");
}

#[test]
fn a_merged_linear_bandit_knows_what_one_alone_would() {
    let (arms, random) = (arms(2), Seeded::new(4));
    let new = |node| Linear::new(small(), name(node)).unwrap();
    let (mut alone, mut nodes) = (new("alone"), [new("a"), new("b")]);
    for round in 0..200 {
        let context = [1.0, uniform(&random), uniform(&random)];
        let (arm, quality) = (round % 2, uniform(&random));
        alone.observe(&context, &arms[arm], quality).unwrap();
        nodes[round / 3 % 2].observe(&context, &arms[arm], quality).unwrap();
    }
    let [mut a, mut b] = nodes;
    let (state_a, state_b) = (a.state().clone(), b.state().clone());
    a.merge(&state_b).unwrap();
    a.merge(&state_b).unwrap();
    b.merge(&state_a).unwrap();
    assert_eq!(a.state(), b.state());
    for bandit in [&a, &b] {
        for arm in &arms {
            let candidate = Candidate { arm, penalty: 0.0 };
            let (found, expect) =
                (bandit.belief(&[1.0, 0.3, 0.7], &candidate), alone.belief(&[1.0, 0.3, 0.7], &candidate));
            assert!((found.mean - expect.mean).abs() < 1e-9, "{found:?} is not {expect:?}");
            assert!((found.deviation - expect.deviation).abs() < 1e-9, "{found:?} is not {expect:?}");
        }
    }
    let refused = Linear::new(linear::Config::default(), name("n")).unwrap().merge(a.state());
    assert_eq!(refused.unwrap_err().field(), Some("state"));
    assert_eq!(a.observe(&[1.0], &arms[0], 1.0).unwrap_err().field(), Some("context"));
    assert_eq!(a.observe(&[1.0, f64::NAN, 0.0], &arms[0], 1.0).unwrap_err().field(), Some("context"));
}
