//! Makes what is committed under `models/` again, byte for byte, from the training part of `examples/data/`,
//! and says how good it is: `cargo run --release -p maof-local --example train`. With `-- --check` it writes
//! nothing and fails when what is committed differs.
#![allow(clippy::print_stdout, reason = "it reports to whoever trains")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use maof_local::sentiment::{Bayes, Calibration, Example, Linear, Measured, Method, Vote, lexicon};

const FOLDS: usize = 5;
const METHODS: [&str; 3] = ["lexicon", "bayes", "linear"];
/// News are what the models are for, and the other genres are many: each snippet of news counts for three.
const NEWS_WEIGHT: f64 = 3.0;

/// A rated snippet.
struct Snippet {
    id: String,
    positive: bool,
    text: String,
}

impl Snippet {
    fn is_news(&self) -> bool {
        self.id.starts_with("nyt_")
    }

    fn example(&self) -> Example<'_> {
        let weight = if self.is_news() { NEWS_WEIGHT } else { 1.0 };
        Example { text: &self.text, positive: self.positive, weight }
    }

    /// Which fold judges it; none for other genres, which are always trained on. An article is not divided.
    fn fold(&self) -> Option<usize> {
        let article = self.id.strip_prefix("nyt_")?.split('_').next()?;
        article.parse::<usize>().ok().map(|number| number % FOLDS)
    }
}

/// Raw scores of some snippets, by method, in the order of [`METHODS`].
type Scores = [Vec<(f64, bool)>; 3];

fn main() -> Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let data = root.join("../../examples/data");
    let (train, held) = (read(&data.join("train.tsv"))?, read(&data.join("news_heldout.tsv"))?);

    let validated = cross_validate(&train);
    let all: Vec<Example<'_>> = train.iter().map(Snippet::example).collect();
    let (bayes, linear) = (Bayes::train(&all), Linear::train(&all));
    let judged = scores(&bayes, &linear, held.iter());
    let measured = measure(&validated, &judged, train.len());
    report(&measured);

    let record = serde_json::to_string_pretty(&measured)? + "\n";
    let files = [
        ("bayes.bin", bayes.to_bytes()),
        ("linear.bin", linear.to_bytes()),
        ("measured.json", record.into_bytes()),
    ];
    for (name, bytes) in files {
        let path = root.join("models").join(name);
        if std::env::args().any(|argument| argument == "--check") {
            ensure!(std::fs::read(&path)? == bytes, "models/{name} is not what training gives; train again");
        } else {
            std::fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Snippet>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let rows = text.lines().skip(1).map(|line| {
        let mut cells = line.splitn(3, '\t');
        let (id, label, text) = (cells.next(), cells.next(), cells.next());
        let id = id.context("no id")?.to_owned();
        Ok(Snippet { id, positive: label == Some("positive"), text: text.context("no text")?.to_owned() })
    });
    rows.collect()
}

/// Scores of all news, each by models that saw no snippet of its article.
fn cross_validate(train: &[Snippet]) -> Scores {
    let mut all = Scores::default();
    for fold in 0..FOLDS {
        let seen: Vec<Example<'_>> =
            train.iter().filter(|s| s.fold() != Some(fold)).map(Snippet::example).collect();
        let unseen = train.iter().filter(|s| s.fold() == Some(fold));
        let scored = scores(&Bayes::train(&seen), &Linear::train(&seen), unseen);
        for (all, scored) in all.iter_mut().zip(scored) {
            all.extend(scored);
        }
    }
    all
}

fn scores<'a>(bayes: &Bayes, linear: &Linear, snippets: impl Iterator<Item = &'a Snippet>) -> Scores {
    let mut all = Scores::default();
    for Snippet { text, positive, .. } in snippets {
        let raw = [lexicon::compound(text), bayes.log_odds(text), linear.log_odds(text)];
        for (all, raw) in all.iter_mut().zip(raw) {
            all.push((raw, *positive));
        }
    }
    all
}

/// Calibrates on what was cross-validated, judges on what was held out.
fn measure(validated: &Scores, judged: &Scores, trained_on: usize) -> Measured {
    let methods = METHODS.iter().zip(validated.iter().zip(judged)).map(|(name, (validated, judged))| {
        let calibration = Calibration::fit(validated);
        let right = |scores: &[(f64, bool)]| {
            share(scores.iter().map(|(raw, positive)| (calibration.probability(*raw) >= 0.5) == *positive))
        };
        let method = Method { accuracy: right(validated), held_out: right(judged), calibration };
        ((*name).to_owned(), method)
    });
    let methods: BTreeMap<String, Method> = methods.collect();
    let of_each = METHODS.map(|name| methods[name]);
    let (validated_votes, mut judged_votes) = (votes(&of_each, validated), votes(&of_each, judged));
    let both = validated_votes.into_iter().map(|(name, accuracy)| {
        let held_out = judged_votes.remove(&name).unwrap_or_default();
        (name, Vote { accuracy, held_out })
    });
    let votes = both.collect();
    let [news, ..] = validated;
    let [held, ..] = judged;
    Measured { version: 1, trained_on, validated_on: news.len(), held_out: held.len(), methods, votes }
}

/// Shares that votes of all three methods get right.
fn votes(methods: &[Method; 3], [lexicon, bayes, linear]: &Scores) -> BTreeMap<String, f64> {
    let log_odds = |p: f64| (p / (1.0 - p)).ln();
    let mut right: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
    for ((lexicon, bayes), linear) in lexicon.iter().zip(bayes).zip(linear) {
        let positive = lexicon.1;
        let p: Vec<(f64, f64)> = methods
            .iter()
            .zip([lexicon.0, bayes.0, linear.0])
            .map(|(method, raw)| (method.accuracy, method.calibration.probability(raw)))
            .collect();
        let sign = |p: f64| if p >= 0.5 { 1.0 } else { -1.0 };
        let ballots = [
            ("majority", p.iter().map(|(_, p)| sign(*p)).sum::<f64>()),
            ("weighted", p.iter().map(|(accuracy, p)| sign(*p) * log_odds(*accuracy)).sum()),
            ("pooled", p.iter().map(|(_, p)| log_odds(*p)).sum()),
            ("always_negative", -1.0),
        ];
        for (name, ballot) in ballots {
            right.entry(name).or_default().push((ballot >= 0.0) == positive);
        }
    }
    right.into_iter().map(|(name, right)| (name.to_owned(), share(right.into_iter()))).collect()
}

/// The share of what is true, to four decimals.
fn share(all: impl Iterator<Item = bool>) -> f64 {
    let (right, count) = all.fold((0_u32, 0_u32), |(right, count), x| (right + u32::from(x), count + 1));
    (f64::from(right) / f64::from(count.max(1)) * 1e4).round() / 1e4
}

fn report(measured: &Measured) {
    let Measured { trained_on, validated_on, held_out, .. } = measured;
    println!(
        "trained on {trained_on} snippets; {validated_on} of them news, cross-validated; {held_out} held out"
    );
    println!("{:<16} cross-validated  held out", "");
    for (name, method) in &measured.methods {
        println!("{name:<16} {:>15.4}  {:>8.4}", method.accuracy, method.held_out);
    }
    for (name, vote) in &measured.votes {
        println!("{name:<16} {:>15.4}  {:>8.4}", vote.accuracy, vote.held_out);
    }
    println!("The authors of the lexicon's method gathered these ratings, which favours it.");
}
