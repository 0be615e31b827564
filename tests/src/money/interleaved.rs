//! Random interleavings of calls over a ledger, against a model that only adds up.
//!
//! Each script has an account of its own and a few callers. What happens next is drawn: one of them asks for a hold, waits a
//! little more for one that it has asked for, is dropped while it waits, is charged (also twice), or closes its hold. What
//! the model knows to be spent and held must never exceed the limit; when everybody has gone, what the ledger says must be
//! what the model says.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use maof::{Money, SystemClock};
use maof_core::{
    Account, Attempt, AttemptId, Balance, Balances, CallId, Charge, Clock as _, ErrorKind, HoldMode, Ledger,
    Measure, Name, Purpose, Random as _, Timestamp, Usage, Window,
};
use maof_store::postgres::{self, PostgresLedger};
use maof_store::redis::{self, RedisLedger};
use maof_store::{MemoryStore, SqliteStore};
use maof_testkit::{SeededRandom, services};
use serde_json::json;
use tokio_util::task::TaskTracker;

use super::report::Row;

/// Scripts of a part.
const SCRIPTS: u64 = 10_000;
/// Of them at the same time.
const AT_ONCE: usize = 256;
/// Acts of a script.
const ACTS: usize = 24;
/// Callers of a script.
const CALLERS: usize = 4;
/// How often is looked whether what was held is given back.
const LOOKS: usize = 50;
/// What each account may spend: about three holds.
const LIMIT: i64 = 100;
/// In so many scripts of a hundred somebody has to be refused.
const USED: i64 = 30;
const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// Parts: a store and how holds are written down.
pub const PARTS: [(&str, HoldMode); 6] = [
    ("interleaved.memory", HoldMode::Strict),
    ("interleaved.sqlite.batched", HoldMode::Batched),
    ("interleaved.sqlite.strict", HoldMode::Strict),
    ("interleaved.postgres.batched", HoldMode::Batched),
    ("interleaved.postgres.strict", HoldMode::Strict),
    ("interleaved.redis.batched", HoldMode::Batched),
];

/// Plays a part.
///
/// # Errors
/// When a store cannot be opened or read; a red row is no error.
pub async fn play(part: &str, mode: HoldMode) -> Result<Row> {
    let since = SystemClock.instant();
    let random = SeededRandom::announced();
    let dir = tempfile::tempdir()?;
    let kind = part.split('.').nth(1).unwrap_or_default();
    let database = match kind {
        "postgres" | "redis" => {
            Some(services::postgres().await.context("there is no PostgreSQL; see scripts/services")?)
        }
        _ => None,
    };
    let redis = match kind {
        "redis" => Some(services::redis().await.context("there is no Redis; see scripts/services")?),
        _ => None,
    };
    let (node, tracker) = (Name::new("n")?, TaskTracker::new());
    let ledger: Arc<dyn Ledger> = match (&database, &redis) {
        (Some(database), redis) => {
            let postgres: postgres::Config = serde_json::from_value(json!({"url": database.url()}))?;
            match redis {
                Some(redis) => {
                    let redis: redis::Config = serde_json::from_value(json!({"url": redis.url()}))?;
                    Arc::new(RedisLedger::open(&redis, &postgres, &node, &tracker).await?)
                }
                None => Arc::new(PostgresLedger::open(&postgres, &node, &tracker).await?),
            }
        }
        _ if kind == "sqlite" => {
            let config = serde_json::from_value(json!({"path": dir.path().join("maof.db")}))?;
            Arc::new(SqliteStore::open(&config).await?)
        }
        _ => Arc::new(MemoryStore::default()),
    };
    let scripts = futures::stream::iter(0..SCRIPTS).map(|number| {
        let random = SeededRandom::new(random.next_u64());
        Script::new(&*ledger, mode, number, random).play()
    });
    let mut row = Row { part: part.to_owned(), ..Row::default() };
    let (mut admitted, mut refused, mut dropped, mut full) = (0, 0, 0, 0);
    let mut played = scripts.buffer_unordered(AT_ONCE);
    while let Some(said) = played.next().await {
        let said = said?;
        row.overspend = row.overspend.max(said.over);
        row.open_holds += said.held;
        row.lost_rows += said.missing;
        admitted += said.admitted;
        refused += said.refused;
        dropped += said.dropped;
        full += u64::from(said.refused > 0);
        if row.wrong.len() < 3 {
            row.wrong.extend(said.wrong);
        }
    }
    drop(played);
    drop((ledger, database, redis));
    row.what = format!("{SCRIPTS} scripts: {admitted} holds, {refused} refused, {dropped} dropped");
    row.used_percent = i64::try_from(full * 100 / SCRIPTS)?;
    row.took = SystemClock.instant().saturating_duration_since(since);
    Ok(row.judged(USED))
}

/// What a script has come to.
#[derive(Debug, Default)]
struct Said {
    over: i64,
    held: i64,
    missing: i64,
    admitted: u64,
    refused: u64,
    dropped: u64,
    wrong: Vec<String>,
}

struct Script<'a> {
    ledger: &'a dyn Ledger,
    mode: HoldMode,
    number: u64,
    random: SeededRandom,
    callers: Vec<Caller<'a>>,
    /// What attempts cost.
    spent: i64,
    attempts: u64,
    said: Said,
}

/// A caller, and what the model knows of its hold.
#[derive(Default)]
struct Caller<'a> {
    key: Option<Arc<str>>,
    held: i64,
    /// What it is waiting to hold.
    asks: Option<(i64, BoxFuture<'a, maof::Result<Balances>>)>,
    last: Option<Attempt>,
}

impl<'a> Script<'a> {
    fn new(ledger: &'a dyn Ledger, mode: HoldMode, number: u64, random: SeededRandom) -> Self {
        let callers = (0..CALLERS).map(|_| Caller::default()).collect();
        let (spent, attempts, said) = (0, 0, Said::default());
        Script { ledger, mode, number, random, callers, spent, attempts, said }
    }

    fn account(&self) -> Result<Account> {
        let (tenant, name) = (Name::new(&format!("t{}", self.number))?, Name::new("a")?);
        Ok(Account { tenant, name, measure: Measure::Money, window: Window::Day })
    }

    async fn play(mut self) -> Result<Said> {
        for act in 0..ACTS {
            let at = usize::try_from(self.random.below(CALLERS as u64))?;
            self.act(at, act).await?;
            let held: i64 = self.callers.iter().map(|caller| caller.held).sum();
            self.said.over = self.said.over.max(self.spent + held - LIMIT);
        }
        for at in 0..CALLERS {
            self.close(at);
        }
        let account = self.account()?;
        let mut balance = self.ledger.balance(&account, NOW).await?;
        for _ in 0..LOOKS {
            if balance.held == 0 {
                break;
            }
            // What was lost on its way to Redis and back is given back when its generation has been left.
            tokio::time::sleep(Duration::from_millis(100)).await;
            balance = self.ledger.balance(&account, NOW).await?;
        }
        let Balance { spent, held } = balance;
        let rows = self.ledger.attempts(&account.tenant, None, u32::MAX).await?.len();
        self.said.held = held;
        self.said.missing = i64::try_from(self.attempts)? - i64::try_from(rows)?;
        if spent != self.spent {
            self.said
                .wrong
                .push(format!("script {}: {spent} is spent, and attempts cost {}", self.number, self.spent));
        }
        Ok(self.said)
    }

    /// Something happens to a caller.
    async fn act(&mut self, at: usize, act: usize) -> Result<()> {
        let dice = self.random.below(8);
        if self.callers[at].asks.is_some() {
            match dice {
                // Nobody waits any more: the call is gone, and closes its hold.
                0 => {
                    self.said.dropped += 1;
                    self.close(at);
                }
                1..4 => self.look(at)?,
                _ => self.wait(at).await?,
            }
            return Ok(());
        }
        match dice {
            0..4 => self.ask(at, act)?,
            4 | 5 if self.callers[at].held > 0 => self.charge(at)?,
            6 if self.callers[at].last.is_some() => self.charge_again(at),
            _ => self.close(at),
        }
        Ok(())
    }

    /// Asks for a hold, or for a higher one; one in three is dropped or answered later in any case.
    fn ask(&mut self, at: usize, act: usize) -> Result<()> {
        let (ledger, mode) = (self.ledger, self.mode);
        let key: Arc<str> = format!("{}-{at}-{act}", self.number).into();
        let key = Arc::clone(self.callers[at].key.get_or_insert(key));
        let amount = self.callers[at].held + 1 + i64::try_from(self.random.below(40))?;
        let charge = Charge { account: self.account()?, amount, limit: Some(LIMIT) };
        let asks = async move { ledger.hold(&key, &[charge], mode, NOW).await }.boxed();
        self.callers[at].asks = Some((amount, asks));
        if self.random.below(3) > 0 { self.look(at) } else { Ok(()) }
    }

    /// Looks once whether a hold is answered.
    fn look(&mut self, at: usize) -> Result<()> {
        let Some((amount, asks)) = &mut self.callers[at].asks else { return Ok(()) };
        let amount = *amount;
        match asks.now_or_never() {
            Some(told) => self.told(at, amount, told),
            None => Ok(()),
        }
    }

    /// Waits until a hold is answered, as the others do meanwhile: each call has a task of its own.
    async fn wait(&mut self, at: usize) -> Result<()> {
        while self.callers[at].asks.is_some() {
            let callers = &mut self.callers;
            let (other, amount, told) = std::future::poll_fn(|cx| {
                for (other, caller) in callers.iter_mut().enumerate() {
                    if let Some((amount, asks)) = &mut caller.asks
                        && let Poll::Ready(told) = asks.poll_unpin(cx)
                    {
                        return Poll::Ready((other, *amount, told));
                    }
                }
                Poll::Pending
            })
            .await;
            self.told(other, amount, told)?;
        }
        Ok(())
    }

    fn told(&mut self, at: usize, amount: i64, told: maof::Result<Balances>) -> Result<()> {
        self.callers[at].asks = None;
        match told {
            Ok(_) => {
                self.callers[at].held = self.callers[at].held.max(amount);
                self.said.admitted += 1;
            }
            Err(error) if error.kind() == ErrorKind::BudgetExceeded => self.said.refused += 1,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// An attempt costs a part of what is held, or all of it.
    fn charge(&mut self, at: usize) -> Result<()> {
        let Some(key) = self.callers[at].key.clone() else { return Ok(()) };
        let cost = 1 + i64::try_from(self.random.below(self.callers[at].held.unsigned_abs()))?;
        let id = (u128::from(self.number) << 64) | u128::from(self.attempts);
        self.attempts += 1;
        let name = || Name::new("a");
        let attempt = Attempt {
            id: AttemptId::from_uuid(uuid::Uuid::from_u128(id)),
            call: CallId::from_uuid(uuid::Uuid::from_u128(id)),
            tenant: self.account()?.tenant,
            user: name()?,
            key: None,
            team: None,
            tier: name()?,
            task_type: None,
            tags: None,
            run: None,
            step: None,
            agent: name()?,
            endpoint: name()?,
            model: "m".into(),
            began: NOW,
            micros: 1,
            usage: Usage::default(),
            cost: Money::from_nanos(cost),
            failure: None,
            purpose: Purpose::Answer,
            asked: None,
            price: None,
            question: None,
            opening: None,
        };
        self.ledger.charge(&key, attempt.clone());
        self.spent += cost;
        self.callers[at].held -= cost;
        self.callers[at].last = Some(attempt);
        Ok(())
    }

    /// The last attempt, told twice: it counts once.
    fn charge_again(&self, at: usize) {
        let Caller { key, last, .. } = &self.callers[at];
        if let (Some(key), Some(last)) = (key, last) {
            self.ledger.charge(key, last.clone());
        }
    }

    fn close(&mut self, at: usize) {
        let caller = std::mem::take(&mut self.callers[at]);
        drop(caller.asks);
        if let Some(key) = caller.key {
            self.ledger.close(&key);
        }
    }
}
