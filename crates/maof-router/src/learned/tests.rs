//! Training, the model's file, and choosing, on outcomes that are made up.

use maof_core::{Name, Unit};

use super::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Questions of two kinds: the cheap model can do the easy ones, the strong one both.
fn outcomes(count: u32) -> Vec<Outcome> {
    let one = |n: u32| {
        let hard = n % 2 == 1;
        let prompt = if hard { format!("prove lemma {n} of the book") } else { format!("add {n} and two") };
        let answer = if hard { "Then the" } else { "1 + 2 = 3.\n#### 3" };
        Outcome {
            prompt,
            quality: [(name("cheap"), f32::from(u8::from(!hard))), (name("strong"), 1.0)].into(),
            answers: [(name("cheap"), answer.to_owned())].into(),
        }
    };
    (0..count).map(one).collect()
}

fn trained() -> Model {
    let prices = r#"{"cheap": [1, 1], "strong": [10, 10]}"#;
    let prices = Prices::parse(prices, &[name("cheap"), name("strong")]).unwrap();
    Training { prices, ..Training::default() }.train(&outcomes(200), &Seeded::new(1)).unwrap()
}

#[test]
fn training_finds_who_is_strong_and_where_it_is_needed() {
    let (model, mut scratch) = (trained(), Scratch::default());
    assert_eq!(model.strong().unwrap().name, name("strong"));
    assert_eq!(model.cheap().unwrap().name, name("cheap"));
    assert_eq!(model.cheap().unwrap().tariff.price(Unit::Output), 1_000_000_000);
    let (easy, hard) = ("add 999 and two", "prove lemma 999 of the book");
    assert!(model.score(hard, &mut scratch) > model.score(easy, &mut scratch) + 0.2);
    let check = |prompt, policy, expect: &str| {
        let mut scratch = Scratch::default();
        let chosen = model.choose(prompt, policy, |_| true, &mut scratch).unwrap();
        assert_eq!(chosen.arm.name, name(expect), "{prompt} under {policy:?}");
    };
    check(easy, Policy::Weigh(0.2), "cheap");
    check(hard, Policy::Weigh(0.2), "strong");
    check(hard, Policy::Weigh(9.0), "cheap");
    check(easy, Policy::Strong, "strong");
    check(hard, model.at_quality(0.95), "strong");
    check(easy, model.at_quality(0.95), "cheap");
    let only_cheap = model.choose(hard, Policy::Strong, |arm| *arm == name("cheap"), &mut scratch);
    assert_eq!(only_cheap.unwrap().arm.name, name("cheap"));
    assert!(model.choose(hard, Policy::Strong, |_| false, &mut scratch).is_none());
}

#[test]
fn a_held_out_calibration_says_what_a_threshold_is_worth() {
    let model = trained();
    let calibration = model.calibration();
    for steps in [&calibration.by_prompt, &calibration.by_answer] {
        assert!(Calibration::apgr(steps).unwrap() > 0.7);
        let share = Calibration::share_at_quality(steps, 0.95).unwrap();
        assert!((0.4..=0.6).contains(&share), "{share}");
    }
    assert!(calibration.tradeoff(0.95).unwrap().cost < 0.7);
}

#[test]
fn an_answer_that_does_not_hold_is_escalated() {
    let (model, mut scratch) = (trained(), Scratch::default());
    let mut check = |answer: &str| model.check("add 1 and two", &Answer::new(answer), &mut scratch);
    let (good, bad) = (check("1 + 2 = 3.\n#### 3"), check("1 + 2 = 4, then the"));
    assert!(good.cheap > bad.cheap + 0.2, "{good:?} {bad:?}");
    assert!(bad.escalates(0.1) && !good.escalates(0.9));
    assert!((0.5..2.0).contains(&bad.extra_cost));
}

#[test]
fn feedback_moves_the_arm_it_is_about() {
    let (mut model, mut scratch) = (trained(), Scratch::default());
    let prompt = "add 5 and two";
    let quality = |model: &Model, scratch: &mut Scratch| -> Vec<f32> {
        model.prospects(prompt, scratch).map(|prospect| prospect.quality).collect()
    };
    let before = quality(&model, &mut scratch);
    for _ in 0..20 {
        model.observe(prompt, &name("cheap"), 0.0, &mut scratch).unwrap();
    }
    let after = quality(&model, &mut scratch);
    assert!(after[0] < before[0] - 0.01, "{before:?} {after:?}");
    assert_eq!(after[1], before[1]);
    let mut field = |arm, quality| {
        let error = model.observe(prompt, &name(arm), quality, &mut scratch).unwrap_err();
        error.field().map(str::to_owned)
    };
    assert_eq!(field("nobody", 1.0).as_deref(), Some("arm"));
    assert_eq!(field("cheap", f32::NAN).as_deref(), Some("quality"));
}

#[test]
fn a_blank_model_learns_from_feedback_alone() {
    let arm =
        |text: &str| Arm { name: name(text), tariff: maof_core::Tariff::default(), output_tokens: 100.0 };
    let arms = || vec![arm("cheap"), arm("strong")];
    let mut model = Model::blank(arms(), &name("strong"), &name("cheap")).unwrap();
    let mut scratch = Scratch::default();
    assert_eq!(model.score("anything", &mut scratch), 0.0);
    for outcome in outcomes(400) {
        for (arm, quality) in &outcome.quality {
            model.observe(&outcome.prompt, arm, *quality, &mut scratch).unwrap();
        }
    }
    assert!(model.score("prove lemma 7", &mut scratch) > model.score("add 7 and two", &mut scratch));
    assert_eq!(Model::blank(arms(), &name("x"), &name("cheap")).unwrap_err().field(), Some("strong"));
    assert_eq!(Model::blank(vec![arm("a")], &name("a"), &name("a")).unwrap_err().field(), Some("arms"));
}

/// Questions whose two halves only together tell who is right: no sum over their words does.
fn puzzles(count: u32) -> Vec<Outcome> {
    let one = |n: u32| {
        let (left, right) = (n % 9, n / 9 % 9);
        let cheap = f32::from(u8::from((left + right) % 2 == 0));
        let prompt = format!("left{left} and then the other before right{right}");
        let quality = [(name("cheap"), cheap), (name("strong"), 1.0 - cheap)].into();
        Outcome { prompt, quality, ..Outcome::default() }
    };
    (0..count).map(one).collect()
}

#[test]
fn neighbours_are_kept_where_they_tell_more_than_words_alone_and_only_there() {
    let model = Training::default().train(&puzzles(600), &Seeded::new(1)).unwrap();
    assert!(model.neighbours.as_ref().is_some_and(|neighbours| neighbours.share >= 0.5));
    let mut scratch = Scratch::default();
    let right = puzzles(800).split_off(600).into_iter().filter(|puzzle| {
        let chosen = model.choose(&puzzle.prompt, Policy::Weigh(0.0), |_| true, &mut scratch).unwrap();
        puzzle.quality[&chosen.arm.name] > 0.5
    });
    let right = right.count();
    assert!(right >= 180, "{right} of 200");
    let file = model.to_bytes();
    assert_eq!(Model::from_bytes(&file).unwrap(), model);
    assert!(Model::from_bytes(&file[..file.len() - 20]).is_err());
    let noise = |n: u32| Outcome {
        prompt: format!("question {n}"),
        quality: [(name("cheap"), f32::from(u8::from(n % 7 < 3))), (name("strong"), 1.0)].into(),
        ..Outcome::default()
    };
    let noise: Vec<Outcome> = (0..300).map(noise).collect();
    assert!(Training::default().train(&noise, &Seeded::new(1)).unwrap().neighbours.is_none());
}

#[test]
fn feedback_moves_an_arm_with_neighbours_too() {
    let mut model = Training::default().train(&puzzles(600), &Seeded::new(1)).unwrap();
    let mut scratch = Scratch::default();
    let prompt = puzzles(600).remove(590).prompt;
    let mut first = |model: &Model| model.prospects(&prompt, &mut scratch).next().unwrap().quality;
    let before = first(&model);
    let wrong = if before > 0.5 { 0.0 } else { 1.0 };
    let mut scratch = Scratch::default();
    for _ in 0..100 {
        model.observe(&prompt, &name("cheap"), wrong, &mut scratch).unwrap();
    }
    let after = first(&model);
    assert!((after - wrong).abs() < (before - wrong).abs() - 0.02, "{before} became {after}, not {wrong}");
}

#[test]
fn the_same_seed_gives_the_same_model_and_its_file_the_same_again() {
    let model = trained();
    let file = model.to_bytes();
    assert_eq!(trained().to_bytes(), file);
    assert!(file.len() < 200_000, "{} bytes for a few hundred words", file.len());
    assert_eq!(Model::from_bytes(&file).unwrap(), model);
}

#[test]
fn a_file_of_another_version_damaged_or_cut_short_is_refused() {
    let file = trained().to_bytes();
    let refuse = |file: &[u8], part: &str| {
        let error = Model::from_bytes(file).unwrap_err();
        assert_eq!(error.field(), Some("model"));
        assert!(error.message().contains(part), "{} does not say {part}", error.message());
    };
    refuse(b"", "no model");
    refuse(b"{\"prompt\": 1}", "no model");
    let mut newer = file.clone();
    newer[8] = 9;
    refuse(&newer, "version 9");
    let mut damaged = file.clone();
    damaged[file.len() / 2] ^= 1;
    refuse(&damaged, "damaged");
    for length in [8, 9, 10, 17, 60, file.len() / 2, file.len() - 1] {
        assert!(Model::from_bytes(&file[..length]).is_err(), "{length}");
    }
}

#[test]
fn a_file_with_a_right_check_sum_and_wrong_contents_is_refused_too() {
    let file = Training::default().train(&puzzles(200), &Seeded::new(1)).unwrap().to_bytes();
    let body = &file[..file.len() - 8];
    // Every third byte of the head in turn, and some of all the rest, all bits turned: never a panic, and never a model
    // of more than its file holds.
    for at in (10..600).step_by(3).chain((600..body.len()).rev().step_by(body.len() / 30)) {
        let mut wrong = body.to_vec();
        wrong[at] ^= 0xff;
        let sum = super::hash::hashed(&wrong);
        wrong.extend(sum.to_le_bytes());
        if let Ok(model) = Model::from_bytes(&wrong) {
            assert!(model.arms().len() <= MAX_ARMS);
        }
    }
}

#[test]
fn outcomes_that_teach_nothing_are_refused_by_field() {
    let refuse = |training: Training, outcomes: &[Outcome], field: &str| {
        assert_eq!(training.train(outcomes, &Seeded::new(1)).unwrap_err().field(), Some(field));
    };
    refuse(Training::default(), &[], "outcomes");
    refuse(Training::default(), &outcomes(MIN_OUTCOMES as u32 - 1), "outcomes");
    let alone = |mut outcome: Outcome| {
        outcome.quality.remove(&name("cheap"));
        outcome
    };
    let single: Vec<Outcome> = outcomes(50).into_iter().map(alone).collect();
    refuse(Training::default(), &single, "y");
    let mut rare = single;
    rare[0].quality.insert(name("rare"), 1.0);
    refuse(Training::default(), &rare, "y.rare");
    refuse(Training { strong: Some(name("x")), ..Training::default() }, &outcomes(50), "strong");
    let same = Training { strong: Some(name("cheap")), cheap: Some(name("cheap")), ..Training::default() };
    refuse(same, &outcomes(50), "cheap");
    let config = Config { epochs: 0, ..Config::default() };
    refuse(Training { config, ..Training::default() }, &outcomes(50), "epochs");
}

#[test]
fn trees_that_lead_nowhere_are_refused() {
    use super::forest::{Forest, Next, Node, Question};
    let with = |nodes: Vec<Node>| {
        let forest = Forest { share: 0.1, roots: vec![Next::Node(0)], nodes, leaves: vec![0.5; 4] };
        let model = Model { forest: Some(forest), neighbours: None, ..trained() };
        Model::from_bytes(&model.to_bytes()).map(|read| assert_eq!(read, model))
    };
    let node = |at, next| Node { question: Question::Above(at, 0.5), next };
    let (first, second) = (Next::Leaf(0), Next::Leaf(1));
    with(vec![node(0, [first, Next::Node(1)]), node(12, [second, first])]).unwrap();
    for (nodes, why) in [
        (vec![node(0, [first, Next::Node(0)])], "nowhere"),
        (vec![node(0, [first, Next::Node(9)])], "nowhere"),
        (vec![node(0, [first, Next::Leaf(2)])], "nowhere"),
        (vec![], "nowhere"),
        (vec![node(99, [first, second])], "asks of what no prompt has"),
    ] {
        let error = with(nodes).unwrap_err();
        assert_eq!(error.field(), Some("model"));
        assert!(error.message().contains(why), "{error:?}");
    }
}
