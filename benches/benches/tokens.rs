//! Counting tokens, beside `tiktoken-rs` in the same run: text that was not seen before, and each text that
//! tokenizers stumble over. Prints the ratio of the two medians, and ends with an error where it misses its goal.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark's own program")]

use std::cell::RefCell;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::measurement::Measurement as _;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use maof_benches::CpuTime;
use maof_budget::tokens::Encoding;

/// How much of unseen text is counted at a time, in bytes.
const SLICE: usize = 4_400;

/// The repository's own prose, code and data.
fn corpus() -> String {
    fn read(folder: &Path, text: &mut String) {
        let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                read(&path, text);
            } else if path.extension().is_some_and(|e| ["rs", "md", "tsv", "csv"].iter().any(|x| e == *x)) {
                text.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut text = String::new();
    for folder in ["crates", "docs", "examples", "tests/src", "tests/tests"] {
        read(&root.join(folder), &mut text);
    }
    text
}

fn slices(text: &str) -> Vec<&str> {
    let mut slices = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (slice, after) = rest.split_at(rest.floor_char_boundary(SLICE.min(rest.len())));
        slices.push(slice);
        rest = after;
    }
    slices
}

/// A linear congruential generator (Knuth's MMIX): the same texts on every machine.
fn random(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % below
}

fn chosen(n: usize, choices: &[&str]) -> String {
    let mut seed = 7;
    (0..n).map(|_| choices[random(&mut seed, choices.len() as u64) as usize]).collect()
}

fn letters(n: usize, from: u32, many: u64) -> String {
    let mut seed = 7;
    (0..n).map(|_| char::from_u32(from + random(&mut seed, many) as u32).unwrap()).collect()
}

fn adversarial() -> Vec<(&'static str, String)> {
    let white = [" ", "  ", "\n", "\t", "\r\n", "   ", "\n\n", " \n", "\u{3000}", "        "];
    let emoji = ["👩‍👩‍👧", "🌍", "naïve", "é̂", "مرحبا", " ", "🏳️‍🌈"];
    let mut seed = 7;
    let json = (0..3_000).map(|i| {
        format!("{{\"id\": {i}, \"v\": [{}, {}]}},\n", random(&mut seed, 1_000), random(&mut seed, 9))
    });
    vec![
        ("short", "Summarise the following report in three sentences, please: ".to_owned()),
        ("one letter", "a".repeat(100_000)),
        ("spaces", " ".repeat(100_000)),
        ("newlines", "\n".repeat(100_000)),
        ("white space, mixed", chosen(80_000, &white)),
        ("random letters", letters(100_000, 0x61, 26)),
        ("random Han", letters(20_000, 0x4e00, 3_000)),
        ("Thai without spaces", "สวัสดีชาวโลกภาษาไทย".repeat(1_800)),
        ("emoji and marks", chosen(4_000, &emoji)),
        ("JSON", json.collect()),
        ("digits", letters(100_000, 0x30, 10)),
        ("signs", "=".repeat(100_000)),
        ("two letters", "ab".repeat(50_000)),
    ]
}

/// Measures one counter on texts in turn: the median CPU time of a text, in nanoseconds.
fn measure(group: &mut Group<'_>, name: String, texts: &[&str], count: impl Fn(&str) -> u64) -> f64 {
    let samples = RefCell::new(Vec::new());
    let mut turn = texts.iter().cycle();
    group.bench_function(name, |b| {
        b.iter_custom(|times| {
            let start = CpuTime.start();
            for text in turn.by_ref().take(usize::try_from(times).unwrap()) {
                black_box(count(black_box(text)));
            }
            let spent = CpuTime.end(start);
            samples.borrow_mut().push(spent as f64 / times as f64);
            spent
        });
    });
    let mut samples = samples.into_inner();
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

type Group<'a> = BenchmarkGroup<'a, CpuTime>;

fn tokens(c: &mut Criterion<CpuTime>) {
    let corpus = corpus();
    let adversarial = adversarial();
    let mut table = Vec::new();
    for (encoding, name, goal) in [(Encoding::Cl100k, "cl100k", 5.0), (Encoding::O200k, "o200k", 4.0)] {
        let reference = match encoding {
            Encoding::Cl100k => tiktoken_rs::cl100k_base().unwrap(),
            Encoding::O200k => tiktoken_rs::o200k_base().unwrap(),
        };
        encoding.load();
        let mut group = c.benchmark_group(name);
        let mut row = |row: &str, texts: &[&str], goal: f64| {
            let ours = measure(&mut group, row.to_owned(), texts, |t| encoding.count(t));
            let theirs = measure(&mut group, format!("{row}, tiktoken-rs"), texts, |t| {
                reference.count_ordinary(t) as u64
            });
            table.push((format!("{name} {row}"), texts[0].len(), ours, theirs, goal));
        };
        // Each slice comes again only after megabytes of others.
        row("unseen", &slices(&corpus), goal);
        for (name, text) in &adversarial {
            row(name, &[text], 1.0);
        }
        group.finish();
    }
    println!("| text | bytes | CPU us | tiktoken-rs us | ratio | goal |\n|---|---|---|---|---|---|");
    let mut missed = 0;
    for (row, bytes, ours, theirs, goal) in table {
        let (ours, theirs, ratio) = (ours / 1e3, theirs / 1e3, theirs / ours);
        println!("| {row} | {bytes} | {ours:.1} | {theirs:.1} | {ratio:.1} | {goal} |");
        missed += usize::from(ratio < goal);
    }
    assert_eq!(missed, 0, "rows that miss their goal");
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .with_measurement(CpuTime)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = tokens
}
criterion_main!(benches);
