//! Nine models: quality and cost.

use anyhow::{Context as _, Result};
use maof_core::Name;
use maof_router::learned::evaluate::interval;
use maof_router::learned::{Model, Policy, Prices, Scratch, Seeded, Training, arms_of, shuffle};

use super::{Halves, ROUNDS, Row, folder, goal, mean, outcomes, read};

/// Where other halvings begin.
const SEEDS: [u64; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

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
    let others: Vec<f64> = SEEDS.iter().map(|seed| halved(&halves, *seed)).collect::<Result<_>>()?;
    println!(
        "  the same in ten other halvings (seeds {SEEDS:?}): {:+.1} points (goal 1.5 {})  {others:.1?}",
        mean(others.iter().copied()),
        goal(mean(others.iter().copied()), 1.5),
    );
    for floor in [1.0, 0.98, 0.95, 0.9] {
        let asked = ask(&model, &halves.judge, model.at_quality(floor))?;
        let kept = mean(asked.iter().map(|a| a.quality)) / base;
        println!("  quality >= {floor}: {kept:.3} found, at {:.0} % of the cost", relative_cost(&asked));
    }
    // The whole curve, judged: what is saved where quality is just that of the best single model.
    let weights = model.calibration().tradeoffs.iter().map(|at| at.cost_weight);
    let mut parity = None;
    for weight in weights {
        let asked = ask(&model, &halves.judge, Policy::Weigh(weight))?;
        if mean(asked.iter().map(|a| a.quality)) >= base {
            parity = Some((weight, 100.0 - relative_cost(&asked)));
        }
    }
    if let Some((weight, saved)) = parity {
        println!(
            "  at parity on the judged curve (weight {weight:.3}): {saved:.0} % cheaper (goal 45 {})",
            goal(saved, 45.0)
        );
    }
    Ok(())
}

/// Learns from one random half, and gives the points above the best single model on the other.
fn halved(halves: &Halves, seed: u64) -> Result<f64> {
    let mut rows: Vec<Row> = halves.train.iter().chain(&halves.judge).cloned().collect();
    shuffle(&mut rows, &Seeded::new(seed));
    let judge = rows.split_off(rows.len() / 2);
    let asked = ask(&learn(&rows)?, &judge, Policy::Weigh(0.0))?;
    Ok(100.0 * mean(asked.iter().map(|a| a.quality - a.single)))
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
