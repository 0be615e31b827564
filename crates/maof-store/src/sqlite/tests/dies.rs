//! M04, M06: what a process that dies held counts as spent, and is written down.

use maof_core::{Balance, ErrorKind};
use rusqlite::Connection;

use super::*;

/// The file as a process that is killed now would leave it.
async fn killed(store: &SqliteStore, dir: &TempDir) -> (Arc<SqliteStore>, TempDir) {
    store.write_rows().await.unwrap();
    as_it_is(dir).await
}

/// The same, without what is not written yet.
async fn as_it_is(dir: &TempDir) -> (Arc<SqliteStore>, TempDir) {
    let other = tempfile::tempdir().unwrap();
    for name in ["maof.db", "maof.db-wal"] {
        let from = dir.path().join(name);
        if from.exists() {
            std::fs::copy(from, other.path().join(name)).unwrap();
        }
    }
    (Arc::new(SqliteStore::open(&config(&other)).await.unwrap()), other)
}

fn costs(amount: i64, limit: i64) -> [Charge; 1] {
    [Charge { limit: Some(limit), amount, ..charge(Window::Total, limit) }]
}

async fn balance(store: &SqliteStore) -> (i64, i64) {
    let Balance { spent, held } = store.balance(&account(Window::Total), NOW).await.unwrap();
    (spent, held)
}

/// Keys and amounts of lost holds.
fn lost(dir: &TempDir) -> Vec<(Option<String>, i64)> {
    let c = Connection::open(config(dir).path).unwrap();
    let mut rows = c.prepare("SELECT key, amount FROM lost_hold ORDER BY id").unwrap();
    let rows = rows.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(|row| row.unwrap()).collect()
}

#[tokio::test]
async fn a_strict_hold_is_there_when_it_is_answered_and_counts_as_spent() {
    let (store, dir) = store().await;
    let hold = async |key: &str, amount| {
        store.hold(&key.into(), &costs(amount, 100), HoldMode::Strict, NOW).await.unwrap();
    };
    hold("open", 7).await;
    hold("raised", 3).await;
    hold("raised", 5).await;
    let (at_once, other) = as_it_is(&dir).await;
    assert_eq!(balance(&at_once).await, (12, 0));
    assert_eq!(lost(&other), [(Some("open".to_owned()), 7), (Some("raised".to_owned()), 5)]);

    hold("closed", 2).await;
    store.close(&"closed".into());
    // One request of the seven that were held; the test's account counts them.
    store.charge(&"open".into(), attempt(1, NOW));
    let (later, other) = killed(&store, &dir).await;
    assert_eq!(balance(&store).await, (1, 11));
    assert_eq!(balance(&later).await, (12, 0));
    assert_eq!(lost(&other), [(Some("open".to_owned()), 6), (Some("raised".to_owned()), 5)]);
    let refused = later.hold(&"new".into(), &costs(89, 100), HoldMode::Strict, NOW).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::BudgetExceeded);
    later.hold(&"new".into(), &costs(88, 100), HoldMode::Strict, NOW).await.unwrap();
}

/// Calls that were under way are not any more: nobody waits for them for ever.
#[tokio::test]
async fn what_was_under_way_in_a_process_that_died_is_free_again() {
    let (store, dir) = store().await;
    let one = |limit| {
        let account = Account { measure: Measure::Concurrency, ..account(Window::Total) };
        [Charge { account, amount: 1, limit: Some(limit) }]
    };
    store.hold(&"strict".into(), &one(2), HoldMode::Strict, NOW).await.unwrap();
    store.hold(&"batched".into(), &one(2), HoldMode::Batched, NOW).await.unwrap();
    let (again, _other) = killed(&store, &dir).await;
    assert!(store.hold(&"third".into(), &one(2), HoldMode::Strict, NOW).await.is_err());
    assert_eq!(again.balance(&one(2)[0].account, NOW).await.unwrap(), Balance::default());
    again.hold(&"third".into(), &one(1), HoldMode::Strict, NOW).await.unwrap();
}

/// However many are held: of what a process that dies had, no more counts as spent than a part of what was left.
#[tokio::test]
async fn a_batched_hold_is_covered_by_what_was_promised() {
    let (store, dir) = store().await;
    let hold = async |key: u128, amount| {
        store.hold(&key.to_string().into(), &costs(amount, 3_200), HoldMode::Batched, NOW).await.unwrap();
    };
    for key in 0..300 {
        hold(key, 3).await;
        // Whenever it is killed, what is held is covered.
        if key % 30 == 0 {
            let (dead, other) = as_it_is(&dir).await;
            let (spent, held) = balance(&store).await;
            let after = balance(&dead).await.0;
            assert!(
                after >= spent + held && after <= spent + held + 100 + 90,
                "{key}: {spent}, {held}, {after}"
            );
            assert!(lost(&other).iter().all(|(key, _)| key.is_none()));
        }
        if key % 3 > 0 {
            store.charge(&key.to_string().into(), attempt(key, NOW));
            store.close(&key.to_string().into());
        }
    }
    assert_eq!(balance(&store).await, (200, 300));
}

#[tokio::test]
async fn who_ends_in_order_loses_nothing() {
    let (store, dir) = store().await;
    for (key, mode) in [("a", HoldMode::Strict), ("b", HoldMode::Batched), ("c", HoldMode::Batched)] {
        store.hold(&key.into(), &costs(5, 1_000), mode, NOW).await.unwrap();
        store.charge(&key.into(), attempt(u128::from(key.as_bytes()[0]), NOW));
        store.close(&key.into());
    }
    drop(store);
    let again = SqliteStore::open(&config(&dir)).await.unwrap();
    assert_eq!(balance(&again).await, (3, 0));
    assert_eq!(lost(&dir), []);
}

/// M06: two processes after each other that die with the same hold.
#[tokio::test]
async fn each_death_counts_for_itself() {
    let (store, dir) = store().await;
    store.hold(&"k".into(), &costs(4, 100), HoldMode::Strict, NOW).await.unwrap();
    let (second, dir) = killed(&store, &dir).await;
    second.hold(&"k".into(), &costs(4, 100), HoldMode::Strict, NOW).await.unwrap();
    let (third, dir) = killed(&second, &dir).await;
    assert_eq!(balance(&third).await, (8, 0));
    assert_eq!(lost(&dir).len(), 2);
    third.hold(&"k".into(), &costs(93, 100), HoldMode::Strict, NOW).await.unwrap_err();
}
