//! Overload: an upstream that answers only so many at once is offered what it can do, then twice that.
//!
//! Who is let in must be answered about as fast as before: what is too much is refused at once, and not queued.
//! Who knows what the upstream can do says so to a bulkhead; who does not leaves it to the door, which finds out.

use std::time::Duration;

use anyhow::Result;
use maof_testkit::Act;
use serde_json::{Value, json};

use super::case::{Case, Drive, WHOLE};
use super::layers::Layer;
use super::seen::Seen;
use super::stage::{Named, Stage};

/// Requests that the upstream answers at once.
const AT_ONCE: usize = 100;
/// Milliseconds that each takes in the mean: with [`AT_ONCE`], 62.5 requests a second, so that the upstream is the
/// bottleneck and not the machine that plays all of it.
const EACH_MS: u64 = 1_600;
/// Milliseconds between two requests at capacity.
const EVERY_MS: u64 = EACH_MS / AT_ONCE as u64;
/// Milliseconds for which each load lasts.
const LASTS_MS: u64 = 6_000;
/// Rounds; the median counts.
const ROUNDS: usize = 5;
/// The most by which overload may slow those down who are let in.
const MOST: f64 = 1.5;

/// What holds the overload back.
#[derive(Clone, Copy, Debug)]
struct Guard {
    name: &'static str,
    set: fn(&mut Value),
    /// Milliseconds of each load that are not judged: a limit that is found out is not found at once.
    settles_ms: u64,
}

const GUARDS: [Guard; 2] = [
    Guard {
        name: "bulkhead",
        set: |config| {
            let places = json!({"max_concurrent": AT_ONCE, "max_queue": AT_ONCE / 10, "max_wait_ms": 1_000});
            config["resilience"]["bulkhead"] = places;
        },
        settles_ms: 0,
    },
    Guard {
        name: "load_shed",
        // The defaults, which know nothing of the upstream.
        set: |config| config["resilience"]["load_shed"] = json!({}),
        settles_ms: 8_000,
    },
];

/// What came of one load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Requests.
    pub requests: usize,
    /// Of them, answered; the rest were refused.
    pub answered: usize,
    /// Milliseconds within which 99 of 100 answers came.
    pub p99_ms: u64,
    /// Milliseconds within which 99 of 100 refusals came.
    pub refused_ms: u64,
}

/// What came of all rounds behind one layer.
#[derive(Clone, Debug)]
pub struct Capacity {
    /// The layer.
    pub guard: &'static str,
    /// Each round: at capacity, and at twice that.
    pub rounds: Vec<[Load; 2]>,
    /// What is wrong.
    pub wrong: Vec<String>,
}

/// Plays the rounds behind each layer, one after the other at one server, after a warm-up at half of the capacity.
///
/// # Errors
/// As [`super::play`].
pub async fn play(without: &[Layer]) -> Result<Vec<Capacity>> {
    let mut all = Vec::new();
    for guard in GUARDS {
        all.push(play_behind(guard, without).await?);
    }
    Ok(all)
}

async fn play_behind(guard: Guard, without: &[Layer]) -> Result<Capacity> {
    let case = Case::new(WHOLE).up([Act::Busy { at_once: AT_ONCE, ms: EACH_MS }]);
    let named = Named { name: "capacity".to_owned(), case };
    let stage = Stage::start(std::slice::from_ref(&named), Some(guard.set), without).await?;
    let mut neither = load(&stage, &named, 2 * EVERY_MS, 0).await.1;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (at, wrong) = load(&stage, &named, EVERY_MS, 0).await;
        let (twice, more) = load(&stage, &named, EVERY_MS / 2, guard.settles_ms).await;
        neither += wrong + more;
        rounds.push([at, twice]);
    }
    let healthy = stage.is_settled(&named).await && stage.is_healthy().await;
    stage.finish().await?;
    let mut capacity = Capacity { guard: guard.name, rounds, wrong: Vec::new() };
    if capacity.slower() > MOST {
        let slower = capacity.slower();
        capacity
            .wrong
            .push(format!("at twice the capacity the 99th percentile is {slower:.2} times as long"));
    }
    if neither > 0 {
        capacity.wrong.push(format!("{neither} calls were neither answered nor refused"));
    }
    if !healthy {
        capacity.wrong.push("the server is not well afterwards".to_owned());
    }
    Ok(capacity)
}

/// Offers a request in each of these milliseconds, and judges those that come after the limits have settled; also the
/// number of calls that were neither answered nor refused.
async fn load(stage: &Stage, named: &Named, every_ms: u64, settles_ms: u64) -> (Load, usize) {
    let mut named = named.clone();
    named.case.drive = Drive::Every(every_ms, settles_ms + LASTS_MS);
    let mut calls = super::play_one(stage, &named).await.calls;
    let calls = calls.split_off((settles_ms / every_ms) as usize);
    let answer = named.case.answer();
    let (answered, rest): (Vec<&Seen>, Vec<&Seen>) =
        calls.iter().partition(|seen| seen.is_answer(&answer).is_ok());
    let neither = rest.iter().filter(|seen| seen.is_refused().is_err()).count();
    let load = Load {
        requests: calls.len(),
        answered: answered.len(),
        p99_ms: p99(&answered),
        refused_ms: p99(&rest),
    };
    (load, neither)
}

/// Milliseconds within which 99 of 100 calls ended; 0 where there are none.
fn p99(calls: &[&Seen]) -> u64 {
    let mut took: Vec<Duration> = calls.iter().map(|seen| seen.raw.took).collect();
    took.sort_unstable();
    let at = (took.len() * 99).div_ceil(100).saturating_sub(1);
    took.get(at).map_or(0, |took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}

impl Capacity {
    /// By what twice the capacity slows answers down: the median of the rounds.
    pub fn slower(&self) -> f64 {
        let mut ratios: Vec<f64> = self.rounds.iter().map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(f64::INFINITY)
    }

    /// The table, in Markdown.
    pub fn table(&self) -> String {
        let mut out = format!("Behind `{}`:\n\n", self.guard);
        out += "| round | offered | requests | answered | p99 of answers | p99 of refusals | twice / once |\n\
             |---|---|---|---|---|---|---|\n";
        for (n, round) in self.rounds.iter().enumerate() {
            for (offered, load) in ["capacity", "twice"].into_iter().zip(round) {
                let Load { requests, answered, p99_ms, refused_ms } = load;
                let slower = if offered == "twice" { format!("{:.2}", ratio(round)) } else { String::new() };
                let round = n + 1;
                out += &format!(
                    "| {round} | {offered} | {requests} | {answered} | {p99_ms} ms | {refused_ms} ms | {slower} |\n"
                );
            }
        }
        let verdict = match self.wrong.as_slice() {
            [] => "green".to_owned(),
            wrong => format!("RED: {}", wrong.join("; ")),
        };
        out + &format!("\nThe median is {:.2}, at most {MOST} is allowed: {verdict}.\n", self.slower())
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let load = |load: &Load| {
            json!({
                "requests": load.requests, "answered": load.answered, "p99_ms": load.p99_ms, "refused_ms": load.refused_ms,
            })
        };
        let rounds =
            self.rounds.iter().map(|[at, twice]| json!({"capacity": load(at), "twice": load(twice)}));
        json!({"guard": self.guard, "rounds": rounds.collect::<Vec<_>>(), "slower": self.slower(), "wrong": self.wrong})
    }
}

fn ratio([at, twice]: &[Load; 2]) -> f64 {
    twice.p99_ms as f64 / at.p99_ms.max(1) as f64
}
