//! A strong and a cheap model: by the prompt, and by the cheap model's answer.

use anyhow::{Context as _, Result};
use maof_core::Name;
use maof_router::learned::evaluate::{Case, Curve, interval};
use maof_router::learned::{Answer, Model, Prices, Scratch, Seeded, Training, arms_of, shuffle};

use super::{ROUNDS, Row, folder, goal, mean, outcomes, read};

/// Where drawing fewer labels begins; five draws are averaged.
const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

pub(super) fn mmlu() -> Result<()> {
    let halves = read("routellm_mmlu")?;
    println!("MMLU, mixtral-8x7b or gpt-4-1106, by the prompt; judged on {} rows", halves.judge.len());
    let mut few = Vec::new();
    for seed in SEEDS {
        let mut rows = halves.train.clone();
        shuffle(&mut rows, &Seeded::new(seed));
        rows.truncate(1_500);
        let cases = cases(&train(&rows)?, &halves.judge, |model, row, scratch| {
            Some(model.score(&row.outcome.prompt, scratch))
        })?;
        few.push(Curve::new(&cases, false).apgr());
    }
    let found = mean(few.iter().copied());
    println!("  1,500 labels (seeds {SEEDS:?}): APGR {found:.3} (goal .62 {})  {few:.3?}", goal(found, 0.62));
    let model = train(&halves.train)?;
    let cases =
        cases(&model, &halves.judge, |model, row, scratch| Some(model.score(&row.outcome.prompt, scratch)))?;
    println!("  {} labels (goal .63 {}):", halves.train.len(), goal(Curve::new(&cases, false).apgr(), 0.63));
    table(&cases, false);
    println!(
        "  RouteLLM's best published:  APGR .603, CPT50 35.4 %, CPT80 71.6 % (random .500, 50.1 %, 79.9 %)"
    );
    Ok(())
}

pub(super) fn gsm8k() -> Result<()> {
    let halves = read("routellm_gsm8k")?;
    let (labels, judged) = (halves.train.len(), halves.judge.len());
    println!("\nGSM8K, the same models; {labels} labels, judged on {judged} rows");
    let model = train(&halves.train)?;
    let prompt =
        cases(&model, &halves.judge, |model, row, scratch| Some(model.score(&row.outcome.prompt, scratch)))?;
    println!("  by the prompt (goal .55 {}):", goal(Curve::new(&prompt, false).apgr(), 0.55));
    table(&prompt, false);
    println!(
        "  RouteLLM's best published:  APGR .622, CPT50 33.6 %, CPT80 63.3 % (random .497, 50.0 %, 80.1 %)"
    );
    let answer = cases(&model, &halves.judge, |model, row, scratch| {
        let answer = row.outcome.answers.get(&model.cheap()?.name)?;
        Some(model.check(&row.outcome.prompt, &Answer::new(answer), scratch).gain())
    })?;
    println!(
        "  by the cheap answer, which is always paid (goal .75 {}):",
        goal(Curve::new(&answer, true).apgr(), 0.75)
    );
    table(&answer, true);
    let untrained = cases(&model, &halves.judge, |model, row, _| {
        let answer = row.outcome.answers.get(&model.cheap()?.name)?;
        Some(-Model::check_untrained(&row.outcome.prompt, &Answer::new(answer)))
    })?;
    println!("  the same without training (goal .70 {}):", goal(Curve::new(&untrained, true).apgr(), 0.7));
    table(&untrained, true);
    Ok(())
}

fn train(rows: &[Row]) -> Result<Model> {
    let outcomes = outcomes(rows);
    let prices = std::fs::read_to_string(folder().join("prices.json"))?;
    let prices = Prices::parse(&prices, &arms_of(&outcomes))?;
    Ok(Training { prices, ..Training::default() }.train(&outcomes, &Seeded::new(1))?)
}

/// What a model says of rows that it has not seen.
fn cases(
    model: &Model,
    rows: &[Row],
    score: impl Fn(&Model, &Row, &mut Scratch) -> Option<f32>,
) -> Result<Vec<Case>> {
    let (cheap, strong) = (model.cheap().context("no cheap arm")?, model.strong().context("no strong arm")?);
    let mut scratch = Scratch::default();
    let mut case = |row: &Row| {
        let quality = |arm: &Name| row.outcome.quality.get(arm).copied();
        let chars = row.outcome.prompt.chars().count() as u32;
        Some(Case {
            score: score(model, row, &mut scratch)?,
            cheap: quality(&cheap.name)?,
            strong: quality(&strong.name)?,
            cheap_cost: cheap.cost(chars),
            strong_cost: strong.cost(chars),
        })
    };
    rows.iter().map(|row| case(row).context("a row without an outcome")).collect()
}

/// Every measure with its interval, and what a random mix saves.
fn table(cases: &[Case], cascade: bool) {
    type Measure = fn(&Curve) -> f64;
    let line = |name: &str, of: Measure, scale: f64| {
        let found = of(&Curve::new(cases, cascade)) * scale;
        let (low, high) =
            interval(cases, ROUNDS, &Seeded::new(1), |sample| of(&Curve::new(sample, cascade)) * scale);
        format!("{name} {found:.*} [{low:.*}, {high:.*}]", digits(scale), digits(scale), digits(scale))
    };
    let (apgr, cpt50) = (line("APGR", Curve::apgr, 1.0), line("CPT50 %", |c| c.cpt(0.5), 100.0));
    let (cpt80, save) =
        (line("CPT80 %", |c| c.cpt(0.8), 100.0), line("save@95 %", |c| c.saving(0.95), 100.0));
    let random = 100.0 * Curve::random_saving(cases, 0.95);
    println!("    {apgr}, {cpt50}, {cpt80}, {save} (random mix {random:.1})");
}

fn digits(scale: f64) -> usize {
    if scale > 1.0 { 1 } else { 3 }
}
