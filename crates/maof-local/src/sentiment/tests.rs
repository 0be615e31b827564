//! The committed models are what training gives, and were never shown what they are judged on.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::path::Path;

use super::bayes::Bayes;
use super::linear::Linear;
use super::*;

fn rows(file: &str) -> Vec<(String, bool, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.splitn(3, '\t').collect();
        (cells[0].to_owned(), cells[1] == "positive", cells[2].to_owned())
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn training_gives_the_committed_models_byte_for_byte() {
    let rows = rows("train.tsv");
    let examples: Vec<(&str, bool)> = rows.iter().map(|(_, label, text)| (text.as_str(), *label)).collect();
    assert!(Bayes::train(&examples).to_bytes() == include_bytes!("../../models/bayes.bin"), "train again");
    assert!(Linear::train(&examples).to_bytes() == include_bytes!("../../models/linear.bin"), "train again");
}

#[test]
fn what_is_held_out_was_never_trained_on() {
    let article = |id: &str| id.rsplit_once('_').map(|(article, _)| article.to_owned()).unwrap();
    let trained: HashSet<String> = rows("train.tsv").iter().map(|(id, ..)| article(id)).collect();
    assert!(rows("news_heldout.tsv").iter().all(|(id, ..)| !trained.contains(&article(id))));
}

#[test]
fn the_stated_accuracies_hold_on_what_was_held_out() {
    let held = rows("news_heldout.tsv");
    for (name, stated) in ACCURACY {
        let agent = crate::find(name).unwrap();
        let right = held
            .iter()
            .filter(|(_, positive, text)| (agent.answer(text).unwrap()["label"] == "positive") == *positive);
        let share = right.count() as f64 / held.len() as f64;
        // Three standard errors of a share over 600 snippets are six points.
        assert!((share - stated).abs() < 0.06, "{name}: {share} held out, {stated} stated");
    }
}

#[test]
fn a_model_of_another_kind_or_version_is_refused() {
    let good = Bayes::train(&[("good", true), ("bad", false)]).to_bytes();
    assert!(Bayes::from_bytes(&good).is_ok());
    let check = |bytes: &[u8], part: &str| {
        let error = Bayes::from_bytes(bytes).unwrap_err();
        assert!(error.message().contains(part), "{error}");
    };
    check(&good[..3], "too short");
    check(&good[..100], "wrong length");
    check(&[b"XXXX", &good[4..]].concat(), "no model of this kind");
    check(&[&good[..4], &[9], &good[5..]].concat(), "another version");
}
