//! Two hundred callers on one key, until its budget has ended.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use maof_testkit::SeededRandom;
use maof_testkit::services::Redis;

use super::asked::Asked;
use super::stage::Stage;
use crate::wall::caller;

/// Callers at the same time.
pub const CALLERS: usize = 200;
/// Refusals one after the other after which a caller goes.
const REFUSALS: usize = 3;
/// Questions of one caller, at most.
const QUESTIONS: usize = 400;
/// How long a caller waits after it was refused, or finds nobody.
const PAUSE: Duration = Duration::from_millis(60);
/// From the start of a server to its being killed.
const BETWEEN_KILLS: Duration = Duration::from_millis(900);
/// From one flush of Redis to the next.
const BETWEEN_FLUSHES: Duration = Duration::from_millis(400);

/// What callers were told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Answers with status 200, cut streams included.
    pub answered: usize,
    /// Refusals for want of money.
    pub refused: usize,
    /// Other failures.
    pub failed: usize,
    /// Callers that had hung up or found nobody.
    pub nobody: usize,
    /// How often a server was killed.
    pub kills: usize,
    /// How often Redis was flushed.
    pub flushes: usize,
}

/// Asks until the budget has ended; meanwhile kills a server and flushes a Redis again and again, if there is one to be.
///
/// # Errors
/// When a server does not come up again.
pub async fn spend(
    stage: &Arc<Stage>,
    random: &Arc<SeededRandom>,
    killed: Option<usize>,
    flushed: Option<&Redis>,
) -> Result<Tally> {
    let mut all: FuturesUnordered<_> = (0..CALLERS).map(|n| asks(stage, random, n)).collect();
    let callers = async {
        let mut sum = Tally::default();
        while let Some(one) = all.next().await {
            sum.answered += one.answered;
            sum.refused += one.refused;
            sum.failed += one.failed;
            sum.nobody += one.nobody;
        }
        sum
    };
    let mut kills = 0;
    let killer = async {
        let Some(at) = killed else {
            return std::future::pending::<Result<()>>().await;
        };
        loop {
            tokio::time::sleep(BETWEEN_KILLS).await;
            stage.kill(at);
            kills += 1;
            stage.begin(at).await?;
        }
    };
    let mut flushes = 0;
    let flusher = async {
        let Some(redis) = flushed else {
            return std::future::pending::<()>().await;
        };
        loop {
            tokio::time::sleep(BETWEEN_FLUSHES).await;
            flushes += usize::from(redis.command(&["FLUSHALL"]) == "OK");
        }
    };
    let sum = tokio::select! {
        sum = callers => sum,
        failed = killer => return failed.map(|()| Tally::default()),
        () = flusher => Tally::default(),
    };
    // It may have been killed a moment ago.
    if let Some(at) = killed
        && stage.server(at).is_none()
    {
        stage.begin(at).await?;
    }
    Ok(Tally { kills, flushes, ..sum })
}

async fn asks(stage: &Stage, random: &SeededRandom, caller: usize) -> Tally {
    let mut tally = Tally::default();
    let mut in_a_row = 0;
    for question in 0..QUESTIONS {
        let Asked { body, patience_ms } = Asked::any(random);
        let Some(at) = stage.server(caller + question) else {
            tally.nobody += 1;
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let patience = Duration::from_millis(patience_ms);
        let raw = caller::post(at, "/v1/chat/completions", stage.key(), &body, patience).await;
        let broke = raw.status == 429 && String::from_utf8_lossy(&raw.body).contains("insufficient_quota");
        in_a_row = if broke { in_a_row + 1 } else { 0 };
        match raw.status {
            200 => tally.answered += 1,
            0 => tally.nobody += 1,
            _ if broke => tally.refused += 1,
            _ => tally.failed += 1,
        }
        if in_a_row >= REFUSALS {
            break;
        }
        if raw.status != 200 {
            tokio::time::sleep(PAUSE).await;
        }
    }
    tally
}
