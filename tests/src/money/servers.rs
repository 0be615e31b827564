//! Real servers: callers spend a key's budget to its end, and the upstream's counters, the callers and the ledger's tables are
//! compared.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use maof::SystemClock;
use maof_core::{Clock as _, Money};
use maof_testkit::services::Redis;
use maof_testkit::{SeededRandom, Stats, services};

use super::asked::{self, EXACT, PRICE};
use super::books::{Books, Tables};
use super::callers::{self, CALLERS, Tally};
use super::report::Row;
use super::stage::{Setting, Stage};

/// A part with servers.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    servers: usize,
    holds: &'static str,
    counted: In,
    killing: bool,
    /// What the key may spend, in nano-dollars.
    limit: i64,
}

/// Where is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum In {
    Sqlite,
    Postgres,
    /// In PostgreSQL, by way of a Redis that is flushed again and again.
    Redis,
}

/// Part of the budget that has to be used, in percent.
const USED: i64 = 98;
/// How often a server has to be killed, or Redis flushed, for a part that does.
const KILLS: usize = 4;

/// Parts with servers.
pub const PARTS: [Part; 10] = [
    part("sqlite.batched", In::Sqlite, false, "batched"),
    part("sqlite.strict", In::Sqlite, false, "strict"),
    part("postgres.batched", In::Postgres, false, "batched"),
    part("postgres.strict", In::Postgres, false, "strict"),
    part("sqlite.batched.killed", In::Sqlite, true, "batched"),
    part("sqlite.strict.killed", In::Sqlite, true, "strict"),
    part("postgres.batched.killed", In::Postgres, true, "batched"),
    part("postgres.strict.killed", In::Postgres, true, "strict"),
    part("redis.batched", In::Redis, false, "batched"),
    part("redis.batched.killed", In::Redis, true, "batched"),
];

const fn part(name: &'static str, counted: In, killing: bool, holds: &'static str) -> Part {
    let limit = if killing { 600_000_000 } else { 250_000_000 };
    Part { name, servers: if matches!(counted, In::Sqlite) { 1 } else { 2 }, holds, counted, killing, limit }
}

impl Part {
    /// Plays it.
    ///
    /// # Errors
    /// When a program cannot be started or read; a red row is no error.
    pub async fn play(self) -> Result<Row> {
        let since = SystemClock.instant();
        let random = Arc::new(SeededRandom::announced());
        let database = match self.counted {
            In::Sqlite => None,
            _ => Some(services::postgres().await.context("there is no PostgreSQL; see scripts/services")?),
        };
        let redis = match self.counted {
            In::Redis => Some(services::redis().await.context("there is no Redis; see scripts/services")?),
            _ => None,
        };
        let Part { servers, holds, limit, .. } = self;
        let postgres = database.as_ref().map(|database| database.url().to_owned());
        let setting = Setting {
            servers,
            holds,
            postgres,
            redis: redis.as_ref().map(Redis::url),
            limit: Money::from_nanos(limit),
        };
        let stage = Arc::new(Stage::start(setting).await?);
        let kills = self.killing.then_some(servers - 1);
        let tally = callers::spend(&stage, &random, kills, redis.as_ref()).await?;
        let stats = stage.drained().await?;
        let file = stage.end().await?;
        let tables = match &database {
            Some(database) => Tables::Postgres(database),
            None => Tables::of_file(&file)?,
        };
        let mut row = self.judge(tally, &Bill::of(&stats), &tables.read()?);
        row.took = SystemClock.instant().saturating_duration_since(since);
        Ok(row)
    }

    fn judge(self, tally: Tally, bill: &Bill, books: &Books) -> Row {
        let rows: i64 = books.rows.values().map(|(rows, _)| rows).sum();
        let cost: i64 = books.rows.values().map(|(_, cost)| cost).sum();
        let missing_of =
            |name| (bill.by_endpoint(name).0 - books.rows.get(name).map_or(0, |(rows, _)| *rows)).max(0);
        let missing: i64 = asked::endpoints().map(missing_of).sum();
        // A strict hold that is lost covers its call. Of batched ones only the amount is known: whether it covers the bill.
        let covered = match self.holds {
            "strict" => books.lost_calls,
            _ if bill.nanos <= books.spent => missing,
            _ => 0,
        };
        let Tally { answered, refused, failed, nobody, kills, flushes } = tally;
        let mut faults = if self.killing { format!(", {kills} kills") } else { String::new() };
        if self.counted == In::Redis {
            faults += &format!(", {flushes} flushes");
        }
        let mut row = Row {
            part: self.name.to_owned(),
            what: format!(
                "{CALLERS} callers: {answered} answered, {refused} refused, {failed} failed, {nobody} hung up{faults}"
            ),
            overspend: (books.spent.max(bill.nanos) - self.limit).max(0),
            lost_rows: (missing - covered).max(0),
            open_holds: books.open,
            captured: Some((bill.calls - missing, bill.calls)),
            used_percent: books.spent * 100 / self.limit,
            ..Row::default()
        }
        .judged(USED);
        let mut wrong = |is: bool, why: String| {
            if is {
                row.wrong.push(why);
            }
        };
        wrong(refused == 0, "nobody was refused".to_owned());
        wrong(
            cost + books.lost != books.spent,
            format!("spent {} is not rows {cost} and lost {}", books.spent, books.lost),
        );
        wrong(
            rows + books.requests.1 != books.requests.0,
            format!("requests {:?} are not {rows} rows", books.requests),
        );
        wrong(
            bill.nanos > books.spent,
            format!("the upstream bills {}, and {} is spent", bill.nanos, books.spent),
        );
        wrong(self.counted == In::Redis && flushes < KILLS, format!("only {flushes} flushes"));
        if self.killing {
            wrong(kills < KILLS, format!("only {kills} kills"));
            return row;
        }
        wrong(books.lost != 0, format!("{} counts as lost, and nobody was killed", books.lost));
        for name in asked::endpoints() {
            let (counted, cost) = books.rows.get(name).copied().unwrap_or_default();
            let (calls, billed) = bill.by_endpoint(name);
            // Who hangs up may do so before the request has left: a row all the same, since nobody knows.
            let right = counted == calls || name == asked::HUNG_UP && counted > calls;
            wrong(!right, format!("{name}: {counted} rows of {calls} calls"));
            let right = if EXACT.contains(&name) { cost == billed } else { cost >= billed };
            wrong(!right, format!("{name}: {cost} charged of {billed} billed"));
        }
        row
    }
}

/// What the upstream bills.
#[derive(Debug)]
struct Bill {
    calls: i64,
    nanos: i64,
    stats: Stats,
}

impl Bill {
    fn of(stats: &Stats) -> Bill {
        let mut bill = Bill { calls: 0, nanos: 0, stats: stats.clone() };
        for name in asked::endpoints() {
            let (calls, nanos) = bill.by_endpoint(name);
            bill.calls += calls;
            bill.nanos += nanos;
        }
        bill
    }

    /// Calls, and what they cost.
    fn by_endpoint(&self, name: &str) -> (i64, i64) {
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let model = self.stats.by_model.get(name).cloned().unwrap_or_default();
        let calls = count(self.stats.models.get(name).copied().unwrap_or_default());
        (calls, count(model.billed_input) * PRICE.0 + count(model.billed_output) * PRICE.1)
    }
}
