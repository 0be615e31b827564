//! Makes the committed models again, byte for byte, from the training part of `examples/data/`, and says how
//! good they are: `cargo run --release -p maof-local --example train [--dry-run]`.
#![allow(clippy::print_stdout, reason = "it reports to whoever trains")]

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use maof_local::sentiment::bayes::Bayes;
use maof_local::sentiment::lexicon;
use maof_local::sentiment::linear::Linear;

type Example = (String, bool, String);

fn read(path: &Path) -> Result<Vec<Example>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let rows = text.lines().skip(1).map(|line| {
        let mut cells = line.splitn(3, '\t');
        let (id, label, text) = (cells.next(), cells.next(), cells.next());
        let id = id.context("no id")?.to_owned();
        Ok((id, label == Some("positive"), text.context("no text")?.to_owned()))
    });
    rows.collect()
}

fn pairs(examples: &[&Example]) -> Vec<(String, bool)> {
    examples.iter().map(|(_, label, text)| (text.clone(), *label)).collect()
}

fn borrowed(pairs: &[(String, bool)]) -> Vec<(&str, bool)> {
    pairs.iter().map(|(text, label)| (text.as_str(), *label)).collect()
}

fn by_lexicon(text: &str) -> bool {
    lexicon::answer(text).is_ok_and(|v| v["label"] == "positive")
}

/// Shares that the three methods and their majority got right.
fn judge(bayes: &Bayes, linear: &Linear, examples: &[&Example]) -> [f64; 4] {
    let mut right = [0_u32; 4];
    for (_, label, text) in examples {
        let votes = [by_lexicon(text), bayes.probability(text) >= 0.5, linear.probability(text) >= 0.5];
        let majority = votes.iter().filter(|v| **v).count() >= 2;
        for (tally, vote) in right.iter_mut().zip(votes.into_iter().chain([majority])) {
            *tally += u32::from(vote == *label);
        }
    }
    right.map(|n| f64::from(n) / examples.len().max(1) as f64)
}

fn main() -> Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let data = root.join("../../examples/data");
    let train = read(&data.join("train.tsv"))?;
    let held = read(&data.join("news_heldout.tsv"))?;

    let mut totals = [0.0; 4];
    for fold in 0..5 {
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for (i, example) in train.iter().enumerate() {
            if i % 5 == fold { outside.push(example) } else { inside.push(example) }
        }
        // Only news are judged: that is what the models are for.
        outside.retain(|(id, ..)| id.starts_with("nyt"));
        let inside = pairs(&inside);
        let (bayes, linear) = (Bayes::train(&borrowed(&inside)), Linear::train(&borrowed(&inside)));
        for (total, share) in totals.iter_mut().zip(judge(&bayes, &linear, &outside)) {
            *total += share / 5.0;
        }
    }
    println!("method           lexicon  bayes    linear   majority");
    println!("cross-validated  {}", totals.map(|t| format!("{t:.4}   ")).concat());

    let all = pairs(&train.iter().collect::<Vec<_>>());
    let (bayes, linear) = (Bayes::train(&borrowed(&all)), Linear::train(&borrowed(&all)));
    let shares = judge(&bayes, &linear, &held.iter().collect::<Vec<_>>());
    println!("held out         {}", shares.map(|t| format!("{t:.4}   ")).concat());
    println!(
        "({} trained on, {} held out; the lexicon's authors gathered these ratings)",
        train.len(),
        held.len()
    );

    if !std::env::args().any(|a| a == "--dry-run") {
        std::fs::create_dir_all(root.join("models"))?;
        std::fs::write(root.join("models/bayes.bin"), bayes.to_bytes())?;
        std::fs::write(root.join("models/linear.bin"), linear.to_bytes())?;
    }
    Ok(())
}
