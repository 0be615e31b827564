//! The contract on a file; beyond it: what is refused, what survives, what is forgotten.
#![allow(clippy::unwrap_used, clippy::panic)]

mod dies;
mod forgotten;
mod led;
mod refused;
mod survives;

use std::sync::Arc;

use bytes::Bytes;
use maof_core::{
    Account, Attempt, Audit, Charge, Claim, HoldMode, Journal, Ledger, Measure, Name, NewRun, Principal, Run,
    RunId, Snapshots, Timestamp, Window,
};
use tempfile::TempDir;

use super::SqliteStore;
use crate::Config;

/// 2023-11-14T22:13:20Z
const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn config(dir: &TempDir) -> Config {
    Config { path: dir.path().join("maof.db"), ..Config::default() }
}

async fn store() -> (Arc<SqliteStore>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Arc::new(SqliteStore::open(&config(&dir)).await.unwrap()), dir)
}

async fn journal() -> (Arc<dyn Journal>, TempDir) {
    let (store, dir) = store().await;
    (store, dir)
}

async fn ledger() -> (Arc<dyn Ledger>, TempDir) {
    let (store, dir) = store().await;
    (store, dir)
}

async fn audit() -> (Arc<dyn Audit>, TempDir) {
    let (store, dir) = store().await;
    (store, dir)
}

async fn snapshots() -> (Arc<dyn Snapshots>, TempDir) {
    let (store, dir) = store().await;
    (store, dir)
}

maof_testkit::journal_contract!(journal());
maof_testkit::ledger_contract!(ledger());

/// The same where nobody waits for a commit of his own.
mod batched {
    use maof_testkit::contract::ledger::Store;

    maof_testkit::ledger_contract!(async {
        let (ledger, dir) = super::ledger().await;
        (Store::batched(ledger), dir)
    });
}

maof_testkit::audit_contract!(audit());
maof_testkit::snapshots_contract!(snapshots());

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The id of the `number`th run that is accepted at a time.
fn id(at: Timestamp, number: u64) -> RunId {
    let millis = u64::try_from(at.micros() / 1_000).unwrap();
    let random: [u8; 10] = u128::from(number).to_be_bytes()[6..].try_into().unwrap();
    RunId::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

fn new(at: Timestamp, number: u64, tenant: &str) -> NewRun {
    let id = id(at, number);
    let principal = Principal { tenant: name(tenant), ..(*Principal::local()).clone() };
    let task = serde_json::json!({
        "id": id, "task_type": "t", "content": number, "priority": 0, "deadline": null, "principal": principal,
    });
    NewRun {
        id,
        workflow: name("w"),
        version: "v".to_owned(),
        task: serde_json::from_value(task).unwrap(),
        idempotency_key: None,
        records: vec![Bytes::from_static(b"first")],
        at,
        claim: None,
    }
}

async fn claim(store: &SqliteStore, limit: u32, now: Timestamp) -> Vec<Run> {
    let (versions, lease) = (["v".to_owned()], std::time::Duration::from_secs(30));
    store
        .claim(Claim { owner: "me", limit, now, lease, only: None, versions: Some(&versions) })
        .await
        .unwrap()
}

fn attempt(number: u128, at: Timestamp) -> Attempt {
    serde_json::from_value(serde_json::json!({
        "id": uuid::Uuid::from_u128(number), "call": uuid::Uuid::nil(), "tenant": "t", "user": "u", "tier": "x",
        "run": null, "step": null, "agent": "a", "endpoint": "e", "model": "m", "began": at, "micros": 1, "usage": {},
        "cost": 0,
    }))
    .unwrap()
}

fn account(window: Window) -> Account {
    Account { tenant: name("t"), name: name("a"), measure: Measure::Requests, window }
}

fn charge(window: Window, limit: i64) -> Charge {
    Charge { account: account(window), amount: 1, limit: Some(limit) }
}
