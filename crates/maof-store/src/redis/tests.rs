//! The contract on a real Redis and PostgreSQL; beyond it: nodes that share a pool and die, a Redis that forgets.
//! Without `MAOF_TEST_POSTGRES_URL` and `MAOF_TEST_REDIS_URL` these print SKIP and pass.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod flushed;
mod interleaved;
mod pool;
mod speed;

use std::sync::Arc;

use maof_core::{
    Account, Attempt, AttemptId, Balance, CallId, Charge, HoldMode, Ledger, Measure, Money, Name, Secret,
    Timestamp, Unit, Usage, Window,
};
use maof_testkit::contract::ledger::Store;
use maof_testkit::services::{self, Database, Redis};
use tokio_util::task::TaskTracker;

use super::{Config, RedisLedger};
use crate::postgres;

/// 2023-11-14T22:13:20Z
const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// A database and a Redis of one test.
struct Services {
    database: Database,
    redis: Redis,
}

async fn services() -> Option<Services> {
    Some(Services { database: services::postgres().await?, redis: services::redis().await? })
}

impl Services {
    async fn open(&self, node: &str) -> Arc<RedisLedger> {
        open(self.database.url(), &self.redis.url(), node, &TaskTracker::new()).await
    }

    /// What holds have of all accounts, with what is ready for them.
    fn held(&self) -> i64 {
        self.database.number("SELECT coalesce(sum(held), 0) FROM account")
    }

    fn spent(&self) -> i64 {
        self.database.number("SELECT coalesce(sum(spent), 0) FROM account")
    }

    fn lost(&self) -> i64 {
        self.database.number("SELECT coalesce(sum(amount), 0) FROM lost_hold WHERE restored IS NULL")
    }
}

/// By the real clock, what tests do is years old: it is kept for ever.
async fn open(database: &str, redis: &str, node: &str, tracker: &TaskTracker) -> Arc<RedisLedger> {
    let postgres = postgres::Config {
        url: Secret::new(database),
        keep_days: 0,
        node_timeout_seconds: 3,
        ..Default::default()
    };
    let redis = Config { url: Secret::new(redis), ..Config::default() };
    Arc::new(RedisLedger::open(&redis, &postgres, &name(node), tracker).await.unwrap())
}

maof_testkit::ledger_contract!(async {
    let services = services().await;
    match services {
        Some(services) => Some((Store::batched(services.open("node").await), services)),
        None => None,
    }
});

maof_testkit::shared_ledger_contract!(async {
    let services = services().await;
    match services {
        Some(services) => {
            let nodes = [services.open("one").await as Arc<dyn Ledger>, services.open("two").await];
            Some((nodes, services))
        }
        None => None,
    }
});

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn key(text: &str) -> Arc<str> {
    text.into()
}

fn account(text: &str) -> Account {
    Account { tenant: name("t"), name: name(text), measure: Measure::Money, window: Window::Day }
}

fn charge(text: &str, amount: i64, limit: i64) -> Charge {
    Charge { account: account(text), amount, limit: Some(limit) }
}

fn attempt(number: u128, cost: i64) -> Attempt {
    Attempt {
        id: AttemptId::from_uuid(uuid::Uuid::from_u128(number)),
        call: CallId::from_uuid(uuid::Uuid::from_u128(number)),
        tenant: name("t"),
        user: name("u"),
        key: None,
        team: None,
        tier: name("gold"),
        task_type: None,
        tags: None,
        run: None,
        step: None,
        agent: name("x"),
        endpoint: name("e"),
        model: "m".into(),
        began: NOW,
        micros: 5,
        usage: Usage::default().with(Unit::Input, 3),
        cost: Money::from_nanos(cost),
        failure: None,
        purpose: maof_core::Purpose::Answer,
        asked: None,
        price: None,
        question: None,
        opening: None,
    }
}

async fn balance(ledger: &RedisLedger, text: &str) -> (i64, i64) {
    let Balance { spent, held } = ledger.balance(&account(text), NOW).await.unwrap();
    (spent, held)
}

async fn hold(ledger: &RedisLedger, text: &str, amount: i64, limit: i64) -> maof_core::Result<()> {
    ledger.hold(&key(text), &[charge("a", amount, limit)], HoldMode::Batched, NOW).await.map(drop)
}

/// Waits until something is so; for ten seconds.
async fn until(what: &str, is: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if is() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{what}: not within ten seconds");
}
