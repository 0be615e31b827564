//! Bandits, replayed: 6,000 requests drawn from the nine models' outcomes, all of them, since nothing is trained
//! before.

use anyhow::{Context as _, Result};
use maof_core::{Name, Random as _};
use maof_router::learned::bandit::{Candidate, Linear, Thompson, linear, thompson};
use maof_router::learned::{Arm, Contexts, Prices, Scratch, Seeded, arms_of};

use super::{Row, folder, goal, mean, outcomes, read};

const REQUESTS: usize = 6_000;
const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];
/// What the dearest model's cost takes off its quality, where cost matters.
const PENALTY: f64 = 0.05;

pub(super) fn replay() -> Result<()> {
    let halves = read("llmrouter9")?;
    let rows: Vec<Row> = halves.train.iter().chain(&halves.judge).cloned().collect();
    let arms = arms_of(&outcomes(&rows));
    let qualities =
        |arm: &Name| mean(rows.iter().filter_map(|row| row.outcome.quality.get(arm).copied().map(f64::from)));
    let means: Vec<f64> = arms.iter().map(qualities).collect();
    let best = means.iter().copied().fold(0.0, f64::max);
    let random = 100.0 * (1.0 - mean(means.iter().copied()) / best);
    println!(
        "\nBandits, {REQUESTS} requests to nine models (seeds {SEEDS:?}); a random choice loses {random:.0} %"
    );
    let mut lost = Vec::new();
    let mut recovered = Vec::new();
    for seed in SEEDS {
        lost.push(100.0 * discounted(&rows, &arms, best, seed)?);
        recovered.push(100.0 * dropped(&rows, &arms, &means, seed)?);
    }
    let found = mean(lost.iter().copied());
    println!(
        "  Thompson by class, against the best fixed arm: {found:.1} % lost (goal 2.5 {})  {lost:.1?}",
        goal(2.5, found)
    );
    let found = mean(recovered.iter().copied());
    println!(
        "  the best arm drops to a third at 3,000; of the last 1,000 requests, against the best from then on: \
              {found:.1} % lost  {recovered:.1?}"
    );
    let linear: Vec<f64> =
        SEEDS.iter().map(|seed| linear(&halves.train, &halves.judge, &arms, *seed)).collect::<Result<_>>()?;
    let found = mean(linear.iter().copied());
    println!(
        "  linear Thompson, warm from {} labelled rows, cost taken off, on the others: {found:.1} % lost (goal 0 {})  {linear:.1?}",
        halves.train.len(),
        goal(0.0, found)
    );
    Ok(())
}

fn free(arms: &[Name]) -> Vec<Candidate<'_>> {
    arms.iter().map(|arm| Candidate { arm, penalty: 0.0 }).collect()
}

fn drawn<'a>(rows: &'a [Row], random: &Seeded) -> Option<&'a Row> {
    rows.get(random.below(rows.len() as u64) as usize)
}

fn quality(row: &Row, arm: &Name) -> f64 {
    row.outcome.quality.get(arm).copied().unwrap_or_default().into()
}

/// The share lost against always asking the best arm on the same requests.
fn discounted(rows: &[Row], arms: &[Name], best: f64, seed: u64) -> Result<f64> {
    let random = Seeded::new(seed);
    let mut bandit = Thompson::new(thompson::Config::default(), Name::new("node")?)?;
    let mut gained = 0.0;
    for _ in 0..REQUESTS {
        let row = drawn(rows, &random).context("no rows")?;
        let class = Name::new(&row.class)?;
        let choice = bandit.choose(&class, &free(arms), &random).context("no arms")?;
        let arm = arms.get(choice.arm).context("no such arm")?;
        gained += quality(row, arm);
        bandit.observe(&class, arm, quality(row, arm))?;
    }
    Ok(1.0 - gained / best / REQUESTS as f64)
}

/// The share lost in the last thousand requests, when the best arm has become a third as good halfway.
fn dropped(rows: &[Row], arms: &[Name], means: &[f64], seed: u64) -> Result<f64> {
    let random = Seeded::new(seed);
    let mut bandit = Thompson::new(thompson::Config::default(), Name::new("node")?)?;
    let best = (0..arms.len()).max_by(|a, b| means[*a].total_cmp(&means[*b])).context("no arms")?;
    let second = means.iter().enumerate().filter(|(at, _)| *at != best).map(|(_, m)| *m).fold(0.0, f64::max);
    let mut gained = 0.0;
    for request in 0..REQUESTS {
        let row = drawn(rows, &random).context("no rows")?;
        let class = Name::new(&row.class)?;
        let choice = bandit.choose(&class, &free(arms), &random).context("no arms")?;
        let arm = arms.get(choice.arm).context("no such arm")?;
        let worse = request >= REQUESTS / 2 && choice.arm == best;
        let found = quality(row, arm) / if worse { 3.0 } else { 1.0 };
        gained += if request >= REQUESTS - 1_000 { found } else { 0.0 };
        bandit.observe(&class, arm, found)?;
    }
    Ok(1.0 - gained / second / 1_000.0)
}

/// The share of utility (quality less cost) lost against the best fixed arm, in percent; below zero where it is beaten.
fn linear(train: &[Row], judge: &[Row], arms: &[Name], seed: u64) -> Result<f64> {
    let random = Seeded::new(seed);
    let prices = Prices::parse(&std::fs::read_to_string(folder().join("prices.json"))?, arms)?;
    let cost =
        |name: &Name| Arm { name: name.clone(), tariff: prices.of(name), output_tokens: 256.0 }.cost(400);
    let penalties: Vec<f64> = arms.iter().map(cost).collect();
    let dearest = penalties.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let candidates: Vec<Candidate<'_>> = arms
        .iter()
        .zip(&penalties)
        .map(|(arm, cost)| Candidate { arm, penalty: PENALTY * cost / dearest })
        .collect();
    let utility = |row: &Row, one: &Candidate<'_>| quality(row, one.arm) - one.penalty;
    let mut bandit = Linear::new(linear::Config::default(), Name::new("node")?)?;
    let (contexts, mut scratch) = (Contexts::default(), Scratch::default());
    for row in train {
        let context = contexts.of(&row.outcome.prompt, &mut scratch);
        for arm in arms {
            bandit.observe(&context, arm, quality(row, arm))?;
        }
    }
    let fixed = |one: &Candidate<'_>| mean(judge.iter().map(|row| utility(row, one)));
    let best = candidates.iter().map(fixed).fold(0.0, f64::max);
    let mut gained = 0.0;
    for _ in 0..REQUESTS {
        let row = drawn(judge, &random).context("no rows")?;
        let context = contexts.of(&row.outcome.prompt, &mut scratch);
        let choice = bandit.choose(&context, &candidates, &random)?.context("no arms")?;
        let one = candidates.get(choice.arm).context("no such arm")?;
        gained += utility(row, one);
        bandit.observe(&context, one.arm, quality(row, one.arm))?;
    }
    Ok(100.0 * (1.0 - gained / best / REQUESTS as f64))
}
