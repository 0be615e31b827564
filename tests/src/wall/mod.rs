//! The failure wall: every fault that an upstream is known for, played by a process of its own at a real
//! server, and judged by the bytes at the caller, the upstream's own counters, and the ledger.
//!
//! docs/failure-wall.md says how to run it. A new fault is a row in [`mod@rows`] or [`mod@more`], a row about a layer
//! one in [`mod@guards`]; a new layer to take away is an entry in [`layers`].

pub mod caller;
pub mod capacity;
pub mod case;
pub mod guards;
pub mod judge;
pub mod layers;
pub mod more;
pub mod report;
pub mod rows;
pub mod seen;
pub mod stage;
pub mod storm;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use maof::SystemClock;
use maof_core::Clock as _;
use serde_json::Value;

use case::{Drive, Row};
use judge::Played;
use layers::Layer;
use report::{Line, Report};
use seen::Seen;
use stage::{Named, Stage};

/// Cases that are played at the same time.
const AT_ONCE: usize = 16;
/// How long a caller waits for the end of an answer.
const PATIENCE: Duration = Duration::from_secs(25);

/// Every row.
pub fn rows() -> Vec<Row> {
    let mut rows = rows::sixteen();
    rows.extend(more::added());
    rows.extend(guards::guarded());
    rows
}

/// Plays rows, `without` these layers.
///
/// # Errors
/// When a program cannot be started or read; a red row is no error.
pub async fn play(rows: Vec<Row>, without: &[Layer]) -> Result<Report> {
    ensure!(!rows.is_empty(), "there are no such rows");
    let since = SystemClock.instant();
    let mut report =
        Report { without: without.iter().map(|layer| layer.name).collect(), ..Report::default() };
    let (own, common): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.setting.is_some());
    if !common.is_empty() {
        report.rows.extend(play_together(common, None, without).await?);
    }
    for row in own {
        let setting = row.setting;
        report.rows.extend(play_together(vec![row], setting, without).await?);
    }
    report.seconds = SystemClock.instant().saturating_duration_since(since).as_secs_f64();
    Ok(report)
}

/// Plays rows at one server.
async fn play_together(
    rows: Vec<Row>,
    setting: Option<fn(&mut Value)>,
    without: &[Layer],
) -> Result<Vec<(Row, Vec<Line>)>> {
    let named: Vec<Vec<Named>> = rows.iter().map(named).collect();
    let cases: Vec<Named> = named.iter().flatten().cloned().collect();
    let stage = Stage::start(&cases, setting, without).await?;
    let (alone, together): (Vec<Named>, Vec<Named>) = cases.into_iter().partition(|case| case.case.alone());
    let stage_ref = &stage;
    let played = futures::stream::iter(together)
        .map(|case| async move { (case.name.clone(), play_one(stage_ref, &case).await) })
        .buffer_unordered(AT_ONCE);
    let mut played: BTreeMap<String, Played> = played.collect().await;
    for case in alone {
        played.insert(case.name.clone(), play_one(&stage, &case).await);
    }
    let stats = stage.stats().await?;
    let mut ledger = stage.finish().await?;
    let mut judged = Vec::new();
    for (row, cases) in rows.into_iter().zip(&named) {
        let mut lines = Vec::new();
        for case in cases {
            let mut played = played.remove(&case.name).context("a case was not played")?;
            for up in &played.names {
                played.ups.push(stats.by_model.get(up).cloned().unwrap_or_default());
                played.rows.push(ledger.remove(up).unwrap_or_default());
            }
            lines.push(Line::of(row.code, case, &played, judge::judge(&case.case, &played)));
        }
        judged.push((row, lines));
    }
    Ok(judged)
}

/// The row's cases with their names.
fn named(row: &Row) -> Vec<Named> {
    let name = |n: usize| format!("{}.{}", row.code.to_lowercase(), n + 1);
    row.cases.iter().enumerate().map(|(n, case)| Named { name: name(n), case: case.clone() }).collect()
}

/// Plays a case; its counters and rows come later.
async fn play_one(stage: &Stage, named: &Named) -> Played {
    let before = stage.memory();
    if named.case.alone() {
        stage.forget_peak();
    }
    let calls = match named.case.drive {
        Drive::Once => vec![ask(stage, named).await],
        Drive::Every(ms, for_ms) => {
            let ask_at = |at: u64| async move {
                tokio::time::sleep(Duration::from_millis(at)).await;
                ask(stage, named).await
            };
            futures::future::join_all((0..for_ms / ms).map(|n| ask_at(n * ms))).await
        }
    };
    Played {
        calls,
        ups: Vec::new(),
        rows: Vec::new(),
        names: (0..named.case.ups.len()).map(|at| named.up(at)).collect(),
        settled: stage.is_settled(named).await,
        healthy: stage.is_healthy().await,
        grown_kib: stage.peak().saturating_sub(before),
    }
}

async fn ask(stage: &Stage, named: &Named) -> Seen {
    let case = &named.case;
    let (path, body) = (case.path(&named.name), case.body(&named.name));
    Seen::of(case.way, caller::post(stage.server_at, &path, &stage.key, &body, PATIENCE).await)
}
