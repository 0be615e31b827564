//! The contract on a real PostgreSQL; beyond it: several nodes, nodes that die, a database that is away.
//! Without `MAOF_TEST_POSTGRES_URL` these print SKIP and pass.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod away;
mod dead;
mod interleaved;
mod sliced;
mod speed;
mod survives;

use std::sync::Arc;

use maof_core::{
    Account, Attempt, AttemptId, Balance, CallId, Charge, HoldMode, Ledger, Measure, Money, Name, Secret,
    Snapshots, Timestamp, Unit, Usage, Window,
};
use maof_testkit::services::{self, Database};
use tokio_util::task::TaskTracker;

use super::{Config, PostgresLedger};

/// 2023-11-14T22:13:20Z
const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// Keeps everything for ever: by the real clock, what tests do is years old.
fn config(url: &str) -> Config {
    Config { url: Secret::new(url), keep_days: 0, ..Config::default() }
}

async fn open(url: &str, node: &str) -> Arc<PostgresLedger> {
    let ledger = PostgresLedger::open(&config(url), &name(node), &TaskTracker::new()).await.unwrap();
    Arc::new(ledger)
}

async fn ledger() -> Option<(Arc<dyn Ledger>, Database)> {
    let database = services::postgres().await?;
    let ledger = open(database.url(), "node").await;
    Some((ledger, database))
}

async fn nodes() -> Option<([Arc<dyn Ledger>; 2], Database)> {
    let database = services::postgres().await?;
    let nodes = [open(database.url(), "one").await as Arc<dyn Ledger>, open(database.url(), "two").await];
    Some((nodes, database))
}

maof_testkit::ledger_contract!(ledger());

/// The same where calls hold parts of what their node holds.
mod batched {
    use maof_testkit::contract::ledger::Store;

    maof_testkit::ledger_contract!(async {
        let made = super::ledger().await;
        made.map(|(ledger, keep)| (Store::batched(ledger), keep))
    });
}

maof_testkit::shared_ledger_contract!(nodes());
maof_testkit::snapshots_contract!(async {
    let database = services::postgres().await?;
    let ledger = open(database.url(), "node").await as Arc<dyn Snapshots>;
    Some((ledger, database))
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

async fn balance(ledger: &PostgresLedger, text: &str) -> (i64, i64) {
    let Balance { spent, held } = ledger.balance(&account(text), NOW).await.unwrap();
    (spent, held)
}
