//! What is brief is written by whoever sends it; what may take long is not.
#![allow(clippy::unwrap_used)]

use maof_core::{Batch, Finished, Journal as _, RunState};
use rusqlite::Connection;

use super::*;
use crate::Durability;
use crate::sqlite::job::How;
use crate::sqlite::{journal, write};

/// The name of the thread that does the work of a job.
async fn thread_of(store: &SqliteStore, how: How) -> Option<String> {
    let ask = |_: &Connection| Ok(Ok(std::thread::current().name().map(str::to_owned)));
    store.inner.writes.as_ref().unwrap().writer.write(how, ask).await.unwrap()
}

#[tokio::test]
async fn only_what_is_brief_and_not_synced_is_written_here() {
    let here = std::thread::current().name().map(str::to_owned);
    let there = Some("maof-sqlite".to_owned());
    for (durability, how, expect) in [
        (Durability::ProcessCrash, How::Brief, &here),
        (Durability::ProcessCrash, How::Plain, &there),
        (Durability::ProcessCrash, How::Synced, &there),
        (Durability::OsCrash, How::Brief, &there),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&Config { durability, ..config(&dir) }).await.unwrap();
        assert_eq!(thread_of(&store, how).await, *expect, "{durability:?} {how:?}");
    }
}

/// Another process that writes just now is waited for, but not here.
#[tokio::test]
async fn who_leads_does_not_wait_for_another_process() {
    let (store, dir) = store().await;
    let other = Connection::open(config(&dir).path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut write = Box::pin(thread_of(&store, How::Brief));
    // Who leads has its turn within the first two polls, and gives way.
    for _ in 0..3 {
        assert!(survives::poll_once(&mut write).is_pending());
        tokio::task::yield_now().await;
    }
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(write.await.as_deref(), Some("maof-sqlite"));
}

/// A job that panics where it is led spoils no other, and loses no row.
#[tokio::test]
async fn a_job_that_panics_here_spoils_nothing() {
    let (store, _dir) = store().await;
    store.charge(&"k".into(), attempt(1, NOW));
    let mut dies = tokio::task::JoinSet::new();
    let mine = Arc::clone(&store);
    dies.spawn(async move {
        let writer = &mine.inner.writes.as_ref().unwrap().writer;
        writer
            .write(How::Brief, |_| -> rusqlite::Result<maof_core::Result<()>> { panic!("for the test") })
            .await
    });
    assert!(dies.join_next().await.unwrap().is_err());
    store.accept(new(NOW, 1, "t")).await.unwrap();
    assert_eq!(store.attempts(&name("t"), None, 9).await.unwrap().len(), 1);
}

/// The log is copied into the file now and then, though whoever commits here does not do it.
#[tokio::test]
async fn the_log_stays_short_whoever_writes() {
    let (store, dir) = store().await;
    store.accept(new(NOW, 1, "t")).await.unwrap();
    let run = claim(&store, 1, NOW).await.remove(0);
    for seq in 1..2_500 {
        let records = vec![Bytes::from(vec![b'r'; 2_000])];
        let batch = Batch { run: run.id, fence: run.fence, seq, records, finished: None, at: NOW };
        store.commit(batch).await.unwrap();
    }
    let log = std::fs::metadata(dir.path().join("maof.db-wal")).unwrap().len();
    assert!(log < 12 << 20, "the log has {log} bytes");
}

#[test]
fn what_is_large_is_not_written_here() {
    let check = |record: usize, result: usize, expect: How| {
        let finished = Finished {
            state: RunState::Completed,
            result: Some(serde_json::json!("x".repeat(result))),
            failure: None,
        };
        let records = vec![Bytes::from(vec![b'r'; record])];
        let batch = Batch { run: id(NOW, 1), fence: 1, seq: 1, records, finished: Some(finished), at: NOW };
        let texts = write::Texts::new(&batch).unwrap();
        assert_eq!(journal::how(&batch, &texts), expect, "{record} {result}");
    };
    check(1, 1, How::Brief);
    check(30_000, 1_000, How::Brief);
    check(40_000, 1, How::Plain);
    check(1, 40_000, How::Plain);
    check(20_000, 20_000, How::Plain);
}
