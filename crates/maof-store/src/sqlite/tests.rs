//! The contract on a file, and beyond it: what survives, who may open it, what is refused.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use maof_core::{
    Account, Audit as _, AuditRow, Charge, ErrorKind, Journal, Ledger, Measure, Name, RunFilter, Timestamp,
    Window,
};
use tempfile::TempDir;

use super::SqliteStore;
use crate::Config;

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

maof_testkit::journal_contract!(journal());
maof_testkit::ledger_contract!(ledger());

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[tokio::test]
async fn what_was_spent_and_noted_outlives_the_process() {
    let (store, dir) = store().await;
    let account =
        Account { tenant: name("t"), name: name("a"), measure: Measure::Requests, window: Window::Total };
    let now = Timestamp::from_micros(1);
    let key: Arc<str> = "k".into();
    let charge = Charge { account: account.clone(), amount: 1, limit: Some(1) };
    store.hold(&key, std::slice::from_ref(&charge), now).await.unwrap();
    let attempt: maof_core::Attempt = serde_json::from_value(serde_json::json!({
        "id": uuid::Uuid::from_u128(1), "call": uuid::Uuid::nil(), "tenant": "t", "user": "u", "run": null,
        "step": null, "agent": "a", "endpoint": "e", "model": "m", "began": 1, "micros": 1, "usage": {}, "cost": 0,
    }))
    .unwrap();
    store.charge(&key, attempt);
    let row = AuditRow {
        at: now,
        tenant: name("t"),
        user: name("u"),
        action: "call".into(),
        subject: "x".into(),
        outcome: "ok".into(),
    };
    store.note(row.clone());
    drop(store);
    let again = SqliteStore::open(&config(&dir)).await.unwrap();
    assert_eq!(again.balance(&account, now).await.unwrap().spent, 1);
    assert!(again.hold(&"other".into(), &[charge], now).await.is_err(), "a restart refills no budget");
    assert_eq!(again.attempts(&name("t"), None, 9).await.unwrap().len(), 1);
    assert_eq!(again.trail(&name("t"), 9).await.unwrap(), [row]);
}

#[tokio::test]
async fn one_process_works_with_a_file_and_others_look() {
    let (_store, dir) = store().await;
    let error = SqliteStore::open(&config(&dir)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains(&format!("process {}", std::process::id())), "{error}");
    let looker = SqliteStore::open_shared(&config(&dir)).await.unwrap();
    assert!(
        looker.runs(&name("t"), RunFilter { limit: 9, ..RunFilter::default() }).await.unwrap().is_empty()
    );
    assert_eq!(
        looker.hold(&"k".into(), &[], Timestamp::default()).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
}

#[tokio::test]
async fn what_is_no_database_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir);
    assert_eq!(SqliteStore::open_shared(&config).await.unwrap_err().kind(), ErrorKind::NotFound);
    std::fs::write(&config.path, "this is a diary, not a database ".repeat(100)).unwrap();
    for error in
        [SqliteStore::open(&config).await.unwrap_err(), SqliteStore::open_shared(&config).await.unwrap_err()]
    {
        assert!(error.message().contains("maof.db"), "{error}");
        assert_eq!(error.field(), Some("store.path"));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_the_owners_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_store, dir) = store().await;
    let mode = std::fs::metadata(config(&dir).path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
