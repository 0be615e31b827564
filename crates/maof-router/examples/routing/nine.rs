//! Nine models: quality and cost.

use anyhow::{Context as _, Result};
use maof_core::Name;
use maof_router::learned::evaluate::interval;
use maof_router::learned::{Model, Policy, Prices, Scratch, Seeded, Training, arms_of, shuffle};

use super::{Halves, ROUNDS, Row, folder, goal, mean, outcomes, read};

/// Where other halvings begin.
const SEEDS: [u64; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

/// Parts of the best single model's quality that are asked for.
const FLOORS: [f32; 4] = [1.0, 0.98, 0.95, 0.9];

/// What asking one model about one prompt came to.
#[derive(Clone, Copy)]
struct Asked {
    quality: f64,
    /// At its list price times a fixed length, since the data has no counts of tokens.
    cost: f64,
    /// The same of the best single model in training.
    single: f64,
    single_cost: f64,
    /// Of the best model for this very prompt.
    oracle: f64,
}

pub(super) fn choose() -> Result<()> {
    let halves = read("llmrouter9")?;
    let model = learn(&halves.train)?;
    let single = model.strong().context("no strong arm")?.name.clone();
    println!("\nNine models; {} labels each, judged on {} rows", halves.train.len(), halves.judge.len());
    let best = ask(&model, &halves.judge, Policy::Weigh(0.0))?;
    let base = mean(best.iter().map(|a| a.single));
    let oracle = mean(best.iter().map(|a| a.oracle));
    println!("  best single, {single}: quality {base:.3}; the best for every prompt: {oracle:.3}");
    let gain = |sample: &[Asked]| 100.0 * mean(sample.iter().map(|a| a.quality - a.single));
    let (low, high) = interval(&best, ROUNDS, &Seeded::new(1), gain);
    let (found, closed) = (gain(&best), gain(&best) / (oracle - base));
    println!(
        "  highest quality: {found:+.1} points [{low:.1}, {high:.1}] (goal 1.5 {}), {closed:.0} % of the gap closed, \
         at {:.0} % of the cost",
        goal(found, 1.5),
        relative_cost(&best),
    );
    for floor in FLOORS {
        let asked = ask(&model, &halves.judge, model.at_quality(floor))?;
        println!(
            "  quality >= {floor}: {:.3} found, at {:.0} % of the cost",
            kept(&asked),
            relative_cost(&asked)
        );
    }
    let saved = parity(&model, &halves.judge)?;
    println!("  at parity on the judged curve: {saved:.0} % cheaper (goal 45 {})", goal(saved, 45.0));
    others(&halves)
}

/// The same in other halvings: each learns from one random half, and is judged on the other; and on those rows of the
/// other alone that no setting was chosen on.
fn others(halves: &Halves) -> Result<()> {
    let (mut gains, mut unseen, mut saved) = (Vec::new(), Vec::new(), Vec::new());
    let mut floors = FLOORS.map(|floor| (floor, Vec::new(), Vec::new()));
    for seed in SEEDS {
        let rows = halves.train.iter().map(|row| (row, false));
        let mut rows: Vec<(&Row, bool)> = rows.chain(halves.judge.iter().map(|row| (row, true))).collect();
        shuffle(&mut rows, &Seeded::new(seed));
        let others = rows.split_off(rows.len() / 2);
        let all = |rows: &[(&Row, bool)]| rows.iter().map(|(row, _)| (*row).clone()).collect::<Vec<_>>();
        let (model, judge) = (learn(&all(&rows))?, all(&others));
        let best = ask(&model, &judge, Policy::Weigh(0.0))?;
        let gain =
            |asked: &mut dyn Iterator<Item = &Asked>| 100.0 * mean(asked.map(|a| a.quality - a.single));
        gains.push(gain(&mut best.iter()));
        unseen.push(gain(
            &mut best.iter().zip(&others).filter(|(_, (_, judge))| *judge).map(|(asked, _)| asked),
        ));
        saved.push(parity(&model, &judge)?);
        for (floor, found, costs) in &mut floors {
            let asked = ask(&model, &judge, model.at_quality(*floor))?;
            found.push(kept(&asked));
            costs.push(relative_cost(&asked));
        }
    }
    let average = |values: &[f64]| mean(values.iter().copied());
    let found = average(&gains);
    println!("  in ten other halvings (seeds {SEEDS:?}), means:");
    println!("    highest quality: {found:+.1} points (goal 1.5 {})  {gains:.1?}", goal(found, 1.5));
    let found = average(&unseen);
    println!("    the same on rows that no setting was chosen on: {found:+.1} points  {unseen:.1?}");
    let found = average(&saved);
    println!("    at parity: {found:.0} % cheaper (goal 45 {})  {saved:.0?}", goal(found, 45.0));
    for (floor, found, costs) in &floors {
        let times = found.iter().filter(|found| **found >= f64::from(*floor)).count();
        let (found, cost) = (average(found), average(costs));
        println!("    quality >= {floor}: {found:.3} found, kept {times} times, at {cost:.0} % of the cost");
    }
    Ok(())
}

/// The part of the best single model's quality that was found.
fn kept(asked: &[Asked]) -> f64 {
    mean(asked.iter().map(|a| a.quality)) / mean(asked.iter().map(|a| a.single))
}

/// What is saved, in percent, where quality is just that of the best single model, over the whole judged curve.
fn parity(model: &Model, judge: &[Row]) -> Result<f64> {
    let mut saved = 0.0_f64;
    for at in &model.calibration().tradeoffs {
        let asked = ask(model, judge, Policy::Weigh(at.cost_weight))?;
        if kept(&asked) >= 1.0 {
            saved = saved.max(100.0 - relative_cost(&asked));
        }
    }
    Ok(saved)
}

fn learn(rows: &[Row]) -> Result<Model> {
    let outcomes = outcomes(rows);
    let prices = std::fs::read_to_string(folder().join("prices.json"))?;
    let prices = Prices::parse(&prices, &arms_of(&outcomes))?;
    Ok(Training { prices, ..Training::default() }.train(&outcomes, &Seeded::new(1))?)
}

fn relative_cost(asked: &[Asked]) -> f64 {
    100.0 * mean(asked.iter().map(|a| a.cost)) / mean(asked.iter().map(|a| a.single_cost))
}

fn ask(model: &Model, rows: &[Row], policy: Policy) -> Result<Vec<Asked>> {
    const LENGTH: u32 = 400;
    let mut scratch = Scratch::default();
    let single = model.strong().context("no strong arm")?;
    let mut one = |row: &Row| {
        let quality = |arm: &Name| row.outcome.quality.get(arm).copied().map(f64::from);
        let chosen = model.choose(&row.outcome.prompt, policy, |_| true, &mut scratch)?.arm;
        Some(Asked {
            quality: quality(&chosen.name)?,
            cost: chosen.cost(LENGTH),
            single: quality(&single.name)?,
            single_cost: single.cost(LENGTH),
            oracle: row.outcome.quality.values().copied().fold(0.0, f32::max).into(),
        })
    };
    rows.iter().map(|row| one(row).context("a row without an outcome")).collect()
}
