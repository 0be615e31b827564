//! A clock that jumps an hour, forward and back: no window is spent twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use maof::{Config, Maof, Principal, SystemClock, SystemIds, SystemRandom, Timestamp};
use maof_core::{Attempt, Call, Clock as _, Tariff, Unit, Window};
use maof_testkit::{FakeClock, ScriptedEndpoint, endpoint, services};
use serde_json::json;

use super::report::Row;

/// Where the time of day is, in minutes from noon, one time after the other: within an hour, over its end, back, and far.
const MINUTES: [i64; 12] = [0, 20, 70, 59, 61, 0, 130, 65, 1, 125, -10, 200];
/// What the tenant may spend in an hour, in nano-dollars: six answers.
const LIMIT: i64 = 600_000;
/// Calls at each time, at once: twice what an hour has money for.
const CALLS: usize = 12;
const NOON: Timestamp = Timestamp::from_micros(1_767_268_800_000_000);

/// Parts: where is counted, and how holds are written down.
pub const PARTS: [(&str, &str); 5] = [
    ("jumps.sqlite.batched", "batched"),
    ("jumps.sqlite.strict", "strict"),
    ("jumps.postgres.batched", "batched"),
    ("jumps.postgres.strict", "strict"),
    ("jumps.redis.batched", "batched"),
];

/// Plays a part.
///
/// # Errors
/// When nothing can be built; a red row is no error.
pub async fn play(part: &str, holds: &str) -> Result<Row> {
    let since = SystemClock.instant();
    let dir = tempfile::tempdir()?;
    let database = match part.contains("sqlite") {
        true => None,
        false => Some(services::postgres().await.context("there is no PostgreSQL; see scripts/services")?),
    };
    let redis = match part.contains("redis") {
        true => Some(services::redis().await.context("there is no Redis; see scripts/services")?),
        false => None,
    };
    let mut config = json!({
        "store": {"path": dir.path().join("maof.db")}, "ledger": {"holds": holds, "node": "n"},
        "budgets": [{"account": "tenant", "limit_usd": "0.0006", "window": "hour"}],
    });
    if let Some(database) = &database {
        config["ledger"]["postgres"] = json!({"url": database.url()});
    }
    if let Some(redis) = &redis {
        config["ledger"]["redis"] = json!({"url": redis.url()});
    }
    let clock = FakeClock::at(NOON);
    let tariff = Tariff::default().with(Unit::Request, 100_000_000_000);
    let endpoint = Arc::new(ScriptedEndpoint::new("test").tariff(tariff));
    let maof = Maof::builder(Config::parse(&config.to_string())?)
        .endpoint(Arc::clone(&endpoint) as Arc<dyn maof_core::Endpoint>)
        .ports(
            Arc::clone(&clock) as Arc<dyn maof_core::Clock>,
            Arc::new(SystemIds),
            Arc::new(SystemRandom::default()),
        )
        .build()
        .await?;
    let mut refused = 0;
    for minutes in MINUTES {
        clock.jump(Timestamp::from_micros(NOON.micros() + minutes * 60_000_000));
        refused +=
            futures::future::join_all((0..CALLS).map(|_| spends(&maof))).await.into_iter().sum::<i64>();
        // Bounds of what is measured by the other time do not notice.
        clock.advance(Duration::from_millis(1));
    }
    maof.shutdown().await;
    let attempts = maof.ledger().attempts(&Principal::local().tenant, None, u32::MAX).await?;
    let mut row = judge(part, &attempts, refused, i64::try_from(endpoint.counts().calls)?);
    row.took = SystemClock.instant().saturating_duration_since(since);
    Ok(row)
}

/// 1 if the call was refused.
async fn spends(maof: &Maof) -> i64 {
    let asked = endpoint::call("a question");
    let reply = maof.call(Call::new(asked.id, asked.target, Principal::local(), asked.body)).await;
    match reply {
        Ok(reply) => i64::from(reply.collect().await.is_err()),
        Err(_) => 1,
    }
}

fn judge(part: &str, attempts: &[Attempt], refused: i64, calls: i64) -> Row {
    let mut spent: BTreeMap<Timestamp, i64> = BTreeMap::new();
    for attempt in attempts {
        *spent.entry(Window::Hour.start(attempt.began)).or_default() += attempt.cost.nanos();
    }
    let over = spent.values().map(|spent| spent - LIMIT).max().unwrap_or_default();
    let used = spent.values().sum::<i64>() * 100 / (LIMIT * i64::try_from(spent.len()).unwrap_or(1).max(1));
    let rows = i64::try_from(attempts.len()).unwrap_or_default();
    Row {
        part: part.to_owned(),
        what: format!("{} jumps over {} hours, {refused} refused", MINUTES.len() - 1, spent.len()),
        overspend: over.max(0),
        lost_rows: calls - rows,
        captured: Some((rows, calls)),
        used_percent: used,
        ..Row::default()
    }
    .judged(98)
}
