//! The committed models are what training gives, and were never shown what they are judged on.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::path::Path;

use super::*;

fn rows(file: &str) -> Vec<(String, bool, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.splitn(3, '\t').collect();
        assert!(["positive", "negative"].contains(&cells[1]), "{line}");
        (cells[0].to_owned(), cells[1] == "positive", cells[2].to_owned())
    };
    text.lines().skip(1).map(row).collect()
}

/// As the training program weighs them.
fn examples(rows: &[(String, bool, String)]) -> Vec<Example<'_>> {
    let weight = |id: &str| if id.starts_with("nyt_") { 3.0 } else { 1.0 };
    rows.iter()
        .map(|(id, positive, text)| Example { text, positive: *positive, weight: weight(id) })
        .collect()
}

#[test]
fn training_gives_the_committed_bayes_byte_for_byte() {
    let rows = rows("train.tsv");
    assert!(
        Bayes::train(&examples(&rows)).to_bytes() == include_bytes!("../../models/bayes.bin"),
        "train again"
    );
}

#[test]
fn training_gives_the_committed_linear_byte_for_byte() {
    let rows = rows("train.tsv");
    assert!(
        Linear::train(&examples(&rows)).to_bytes() == include_bytes!("../../models/linear.bin"),
        "train again"
    );
}

#[test]
fn what_is_held_out_was_never_trained_on() {
    let article = |id: &str| id.rsplit_once('_').map(|(article, _)| article.to_owned()).unwrap();
    let (trained, held) = (rows("train.tsv"), rows("news_heldout.tsv"));
    let articles: HashSet<String> = trained.iter().map(|(id, ..)| article(id)).collect();
    let texts: HashSet<String> = trained.iter().map(|(.., text)| text.to_lowercase()).collect();
    for (id, _, text) in &held {
        assert!(!articles.contains(&article(id)), "{id}");
        assert!(!texts.contains(&text.to_lowercase()), "{id}");
    }
    assert_eq!((trained.len(), held.len()), (measured().unwrap().trained_on, measured().unwrap().held_out));
}

#[test]
fn each_agent_is_as_often_right_on_what_was_held_out_as_is_stated() {
    let held = rows("news_heldout.tsv");
    for (name, method) in &measured().unwrap().methods {
        let agent = crate::find(name).unwrap();
        let right = held
            .iter()
            .filter(|(_, positive, text)| (agent.answer(text).unwrap()["label"] == "positive") == *positive);
        let share = right.count() as f64 / held.len() as f64;
        assert!((share - method.held_out).abs() < 1e-4, "{name}: {share}, stated {}", method.held_out);
        // Three standard errors of a share over 600 snippets are six points: it has not learned by heart.
        assert!((share - method.accuracy).abs() < 0.06, "{name}: {share}, validated {}", method.accuracy);
    }
}

#[test]
fn a_confidence_is_about_the_share_that_is_right() {
    let held = rows("news_heldout.tsv");
    for name in ["lexicon", "bayes", "linear"] {
        let agent = crate::find(name).unwrap();
        let answers: Vec<_> = held.iter().map(|(_, _, text)| agent.answer(text).unwrap()).collect();
        let sum: f64 = answers.iter().map(|a| a["confidence"].as_f64().unwrap()).sum();
        let mean = sum / held.len() as f64;
        let stated = measured().unwrap().get(name).unwrap().held_out;
        assert!((mean - stated).abs() < 0.06, "{name}: {mean} confident, {stated} right");
    }
}

#[test]
fn a_model_of_another_kind_or_version_is_refused() {
    let good = Bayes::train(&[Example { text: "good", positive: true, weight: 1.0 }]).to_bytes();
    assert!(Bayes::from_bytes(&good).is_ok());
    let check = |bytes: &[u8], part: &str| {
        let error = Bayes::from_bytes(bytes).unwrap_err();
        assert_eq!(error.field(), Some("model"));
        assert!(error.message().contains(part), "{error}");
    };
    check(&good[..3], "too short");
    check(&good[..12], "too short");
    check(&good[..100], "87 weights, not 131072");
    check(&[b"XXXX", &good[4..]].concat(), "no model of this kind");
    check(&[&good[..4], &[9], &good[5..]].concat(), "version 9, this build reads 2");
    check(&[&good[..5], &f32::NAN.to_le_bytes(), &good[9..]].concat(), "not finite");
}
