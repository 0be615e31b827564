//! What is old is forgotten, what counts is not, and a long queue is not read through.

use std::time::Duration;

use maof_core::{Audit as _, AuditRow, ErrorKind, Journal as _, Ledger as _, RunFilter};
use rusqlite::Connection;

use super::*;
use crate::sqlite::job::How;

const DAY: Duration = Duration::from_secs(86_400);

async fn count(store: &SqliteStore, table: &'static str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    let ask = move |c: &Connection| c.query_row(&sql, (), |row| row.get(0)).map(Ok);
    store.inner.writes.as_ref().unwrap().writer.write(How::Plain, ask).await.unwrap()
}

fn noted(at: Timestamp) -> AuditRow {
    let (tenant, user) = (name("t"), name("u"));
    AuditRow { at, tenant, user, action: "call".into(), subject: "x".into(), outcome: "ok".into() }
}

/// D03: retention exists from day one.
#[tokio::test]
async fn what_ended_long_ago_is_forgotten_in_slices() {
    let (store, dir) = store().await;
    let old = 150;
    for number in 0..old {
        store.accept(new(NOW, number, "t")).await.unwrap();
        if number > 0 {
            store.cancel(&name("t"), id(NOW, number), NOW).await.unwrap();
        }
        store.note(noted(NOW));
        store.charge(&"k".into(), Attempt { began: NOW, ..attempt(u128::from(number) + 1, NOW) });
    }
    let late = NOW.plus(DAY * 89);
    store.accept(new(late, 0, "t")).await.unwrap();
    store.cancel(&name("t"), id(late, 0), late).await.unwrap();
    store.note(noted(late));
    claim(&store, 0, late).await;
    assert_eq!(count(&store, "run").await, 151, "nothing is 90 days old");

    claim(&store, 0, NOW.plus(DAY * 91)).await;
    assert_eq!(count(&store, "run").await, 51, "a slice");
    claim(&store, 0, NOW.plus(DAY * 91)).await;
    let left = store.runs(&name("t"), RunFilter { limit: 9, ..RunFilter::default() }).await.unwrap();
    let ids: Vec<RunId> = left.iter().map(|r| r.id).collect();
    assert_eq!(ids, [id(late, 0), id(NOW, 0)], "what is young or waits is kept");
    for (table, rows) in [("journal", 2), ("content", 2), ("audit", 1), ("attempt", 0)] {
        assert_eq!(count(&store, table).await, rows, "{table}");
    }
    let gone = store.records(&name("t"), id(NOW, 1), 0, 9).await;
    assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
    drop((store, dir));
}

#[tokio::test]
async fn zero_days_keep_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Config { keep_days: 0, ..config(&dir) }).await.unwrap();
    store.accept(new(NOW, 1, "t")).await.unwrap();
    store.cancel(&name("t"), id(NOW, 1), NOW).await.unwrap();
    store.note(noted(NOW));
    claim(&store, 0, NOW.plus(DAY * 9_999)).await;
    assert_eq!((count(&store, "run").await, count(&store, "audit").await), (1, 1));
}

#[tokio::test]
async fn windows_that_ended_long_ago_are_forgotten_and_open_ones_are_not() {
    let (store, dir) = store().await;
    let all = ["total", "minute", "rolling:24h", "day@Asia/Tokyo", "month@Asia/Tokyo"];
    let all = all.map(|window| window.parse::<Window>().unwrap());
    let left = |store: Arc<SqliteStore>, now| async move {
        claim(&store, 0, now).await;
        count(&store, "account").await
    };
    store.hold(&"k".into(), &all.map(|window| charge(window, 9)), HoldMode::Strict, NOW).await.unwrap();
    store.charge(&"k".into(), attempt(1, NOW));
    assert_eq!(left(Arc::clone(&store), NOW.plus(DAY / 2)).await, 5);
    assert_eq!(left(Arc::clone(&store), NOW.plus(DAY * 2)).await, 4, "not the minute");
    assert_eq!(left(Arc::clone(&store), NOW.plus(DAY * 3)).await, 3, "not the rolling day either");
    assert_eq!(left(Arc::clone(&store), NOW.plus(DAY * 16)).await, 2, "not the day; the month is not over");
    assert_eq!(left(Arc::clone(&store), NOW.plus(DAY * 99)).await, 1);
    drop(store);
    let again = SqliteStore::open(&config(&dir)).await.unwrap();
    assert_eq!(again.balance(&account(Window::Total), NOW).await.unwrap().spent, 1);
}

/// Each statement of the claim, and the attempts of one run, go by an index of their own.
#[tokio::test]
async fn what_is_asked_often_goes_by_an_index() {
    let (store, _dir) = store().await;
    let plan = |sql: &'static str| {
        let store = Arc::clone(&store);
        let ask = move |c: &Connection| {
            let mut statement = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let none = vec![rusqlite::types::Null; statement.parameter_count()];
            let lines =
                statement.query_map(rusqlite::params_from_iter(none), |row| row.get::<_, String>(3))?;
            Ok(Ok(lines.collect::<rusqlite::Result<Vec<_>>>()?.join("; ")))
        };
        async move { store.inner.writes.as_ref().unwrap().writer.write(How::Plain, ask).await.unwrap() }
    };
    use crate::sqlite::{attempts, write};
    for (sql, index) in [
        (write::EXPIRED, "SEARCH run USING INDEX run_lease (lease_until<?)"),
        (write::QUEUED, "SCAN run USING INDEX run_queue"),
        (write::WISHED, "SEARCH run USING PRIMARY KEY (id=?)"),
        (attempts::OF_TENANT, "SEARCH attempt USING PRIMARY KEY (tenant=?)"),
        (attempts::OF_RUN, "SEARCH attempt USING INDEX attempt_run (run=?)"),
    ] {
        let plan = plan(sql).await;
        assert!(plan.starts_with(index), "{sql}: {plan}");
    }
    let waits = plan(write::WAITS).await;
    assert!(waits.contains("run_queue") && waits.contains("INDEX run_lease (lease_until<?)"), "{waits}");
}
