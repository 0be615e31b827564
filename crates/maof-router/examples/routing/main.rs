//! Trains on one half of the public outcomes and judges on the other: `just routing`.
//!
//! The data is read from `MAOF_DATA` (default `../shared/data`); `just data` says where it comes from. Nothing is
//! judged on what was trained on: a row belongs to one half or the other by a hash of its id, for good. docs/routing.md
//! says on which rows the settings were chosen.
#![allow(clippy::print_stdout, reason = "it reports to whoever runs it")]

mod bandits;
mod nine;
mod pair;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use maof_router::learned::{Outcome, Question};
use serde_json::Value;

/// Rounds of resampling for each interval.
const ROUNDS: usize = 1000;

fn main() -> Result<()> {
    pair::mmlu()?;
    pair::gsm8k()?;
    nine::choose()?;
    bandits::replay()
}

/// Where the data is.
fn folder() -> PathBuf {
    let data = std::env::var_os("MAOF_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    data.join("routing")
}

/// One row: its outcome, and the class of its task where the data has one.
#[derive(Clone)]
struct Row {
    outcome: Outcome,
    class: String,
}

/// The half that is trained on, and the half that is judged.
struct Halves {
    train: Vec<Row>,
    judge: Vec<Row>,
}

fn read(set: &str) -> Result<Halves> {
    let path = folder().join(format!("{set}.train.jsonl.gz"));
    let file = std::fs::File::open(&path)
        .with_context(|| format!("{}: set MAOF_DATA, or see `just data`", path.display()))?;
    let mut halves = Halves { train: Vec::new(), judge: Vec::new() };
    for line in BufReader::new(flate2::read::MultiGzDecoder::new(file)).lines() {
        let line = line?;
        let (id, outcome) = (Question::parse(&line, None)?.id, Outcome::parse(&line)?);
        let Some(outcome) = outcome else { continue };
        let class = match serde_json::from_str::<Value>(&line)?.get("cluster") {
            Some(Value::Number(cluster)) => format!("cluster-{cluster}"),
            _ => "other".to_owned(),
        };
        let half = if is_train(&id) { &mut halves.train } else { &mut halves.judge };
        half.push(Row { outcome, class });
    }
    Ok(halves)
}

/// Which half a row belongs to: a bit of the FNV-1a hash of its id, scrambled.
fn is_train(id: &str) -> bool {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
    hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 0
}

fn outcomes(rows: &[Row]) -> Vec<Outcome> {
    rows.iter().map(|row| row.outcome.clone()).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    sum / f64::max(count, 1.0)
}

/// A goal that is met or missed.
fn goal(found: f64, goal: f64) -> &'static str {
    if found >= goal { "met" } else { "MISSED" }
}
