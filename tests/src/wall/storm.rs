//! A storm: 50 requests a second while everything fails, then flaps, then is well again.

use std::time::Duration;

use anyhow::Result;
use maof_testkit::Act;
use serde_json::{Value, json};

use super::case::{Case, Drive, WHOLE};
use super::judge::{Played, most_within};
use super::layers::Layer;
use super::stage::{Named, Stage};

/// Milliseconds between two requests: 50 a second.
const EVERY_MS: u64 = 20;
/// The window over which attempts are counted.
const WINDOW_MS: u64 = 10_000;
/// How long it is calm afterwards. A breaker that opens in the storm's last moment rests for a minute; of the last
/// five seconds' calls it is judged where they went.
const CALM_MS: u64 = 70_000;
const LAST_MS: u64 = 5_000;
/// MiB by which the server may grow between the storm's first third and its end.
const FLAT: u64 = 32;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Storm {
    /// Requests of callers.
    pub requests: usize,
    /// Of them, answered; the rest were refused.
    pub answered: usize,
    /// Attempts at all upstreams.
    pub attempts: usize,
    /// The most attempts within any ten seconds.
    pub peak: usize,
    /// The most that the retry budget allows: 1.2 for each request, and 10 a second.
    pub allowed: usize,
    /// Of the last five seconds' requests, those that the primary answered, in percent.
    pub returned: usize,
    /// The server's memory in MiB, one sample a second.
    pub memory: Vec<u64>,
    /// What is wrong.
    pub wrong: Vec<String>,
}

/// Plays a storm of `seconds`: all upstreams fail for half of them, then the primary flaps; then it is calm.
///
/// # Errors
/// As [`super::play`].
pub async fn play(seconds: u64, without: &[Layer]) -> Result<Storm> {
    let storm = seconds * 1_000;
    let flap = |ms, for_ms| Act::Flap { down_ms: storm / 2, ms, for_ms };
    let mut case = Case::new(WHOLE).up([flap(2_000, storm)]).up([flap(storm, storm / 2)]);
    case.drive = Drive::Every(EVERY_MS, storm + CALM_MS);
    let named = Named { name: "storm".to_owned(), case };
    let stage = Stage::start(std::slice::from_ref(&named), None, without).await?;
    let (played, memory) = storming(&stage, &named).await;
    let stats = stage.stats().await?;
    let mut times: Vec<u64> = stats.by_model.values().flat_map(|model| model.at_ms.iter().copied()).collect();
    times.sort_unstable();
    stage.finish().await?;

    let answer = named.case.answer();
    let requests = played.calls.len();
    let well = |seen: &&super::seen::Seen| seen.is_answer(&answer).is_ok();
    let neither = played.calls.iter().filter(|seen| !well(seen) && seen.is_refused().is_err()).count();
    let last = &played.calls[requests.saturating_sub((LAST_MS / EVERY_MS) as usize)..];
    let by_primary = last.iter().filter(|seen| seen.raw.header("x-maof-endpoint") == Some("storm-a")).count();
    let in_window = (WINDOW_MS / EVERY_MS) as usize;
    let mut storm = Storm {
        requests,
        answered: played.calls.iter().filter(well).count(),
        attempts: times.len(),
        peak: most_within(&times, WINDOW_MS),
        allowed: in_window + in_window / 5 + 100,
        returned: by_primary * 100 / last.len().max(1),
        memory,
        wrong: Vec::new(),
    };
    storm.judge(neither, played.healthy && played.settled);
    Ok(storm)
}

/// Plays it, and looks at the server's memory each second.
async fn storming(stage: &Stage, named: &Named) -> (Played, Vec<u64>) {
    let mut memory = Vec::new();
    let mut each_second = tokio::time::interval(Duration::from_secs(1));
    let mut storming = std::pin::pin!(super::play_one(stage, named));
    loop {
        tokio::select! {
            played = &mut storming => return (played, memory),
            _ = each_second.tick() => memory.push(stage.memory() / 1_024),
        }
    }
}

impl Storm {
    fn judge(&mut self, neither: usize, healthy: bool) {
        let Storm { peak, allowed, returned, .. } = *self;
        if peak > allowed {
            self.wrong.push(format!("{peak} attempts within 10 s; the retry budget allows {allowed}"));
        }
        if returned < 90 {
            self.wrong.push(format!("afterwards the primary answered {returned} % of the calls"));
        }
        if neither > 0 {
            self.wrong.push(format!("{neither} calls were neither answered nor refused"));
        }
        if !healthy {
            self.wrong.push("the server is not well afterwards".to_owned());
        }
        let third = self.memory.len() / 3;
        let (early, late) = self.memory.split_at(third.max(1).min(self.memory.len()));
        let (early, late) = (early.iter().max().copied(), late.iter().max().copied());
        if let (Some(early), Some(late)) = (early, late)
            && late > early + FLAT
        {
            self.wrong.push(format!("memory grew from {early} to {late} MiB"));
        }
    }

    /// The table, in Markdown.
    pub fn table(&self) -> String {
        let Storm { requests, answered, attempts, peak, allowed, returned, memory, wrong } = self;
        let most = memory.iter().max().copied().unwrap_or(0);
        let verdict =
            if wrong.is_empty() { "green".to_owned() } else { format!("RED: {}", wrong.join("; ")) };
        format!(
            "| requests | answered | attempts | most in 10 s | allowed | back at the primary | memory | verdict |\n\
             |---|---|---|---|---|---|---|---|\n\
             | {requests} | {answered} | {attempts} | {peak} | {allowed} | {returned} % | {most} MiB | {verdict} |\n"
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "requests": self.requests, "answered": self.answered, "attempts": self.attempts, "peak": self.peak,
            "allowed": self.allowed, "returned": self.returned, "memory": self.memory, "wrong": self.wrong,
        })
    }
}
