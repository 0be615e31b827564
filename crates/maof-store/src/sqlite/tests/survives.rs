//! What outlives the process, a transaction that fails, and a writer that dies.

use std::sync::atomic::{AtomicBool, Ordering};

use maof_core::{Audit as _, AuditRow, Batch, ErrorKind, Journal as _, Ledger as _, Result, RunState};
use rusqlite::Connection;

use super::*;
use crate::Durability;
use crate::sqlite::job::How;
use crate::sqlite::writer::Writer;

fn writer(store: &SqliteStore) -> &Writer {
    &store.inner.writes.as_ref().unwrap().writer
}

fn row() -> AuditRow {
    AuditRow {
        at: NOW,
        tenant: name("t"),
        user: name("u"),
        action: "call".into(),
        subject: "x".into(),
        outcome: "ok".into(),
    }
}

/// Asks for something that the database refuses.
async fn break_a_transaction(store: &SqliteStore) -> Result<()> {
    let ask = |c: &Connection| c.execute("INSERT INTO nowhere VALUES (1)", ()).map(|_| Ok(()));
    writer(store).write(How::Plain, ask).await
}

/// M04.
#[tokio::test]
async fn what_was_spent_and_noted_outlives_the_process() {
    let (store, dir) = store().await;
    let (key, other): (Arc<str>, Arc<str>) = ("k".into(), "l".into());
    store
        .hold(&key, &[charge(Window::Total, 2), charge(Window::Day, 9)], HoldMode::Strict, NOW)
        .await
        .unwrap();
    store.hold(&other, &[charge(Window::Total, 2)], HoldMode::Strict, NOW).await.unwrap();
    store.charge(&key, attempt(1, NOW));
    store.charge(&other, attempt(2, NOW));
    store.note(row());
    drop(store);
    let again = SqliteStore::open(&config(&dir)).await.unwrap();
    let spent = |window, now| {
        let again = again.clone();
        async move { again.balance(&account(window), now).await.unwrap().spent }
    };
    assert_eq!((spent(Window::Total, NOW).await, spent(Window::Day, NOW).await), (2, 1));
    assert_eq!(spent(Window::Day, Timestamp::default()).await, 0);
    let refill = again.hold(&"other".into(), &[charge(Window::Total, 2)], HoldMode::Strict, NOW).await;
    assert_eq!(refill.unwrap_err().kind(), ErrorKind::BudgetExceeded, "a restart refills no budget");
    assert_eq!(again.attempts(&name("t"), None, 9).await.unwrap().len(), 2);
    assert_eq!(again.trail(&name("t"), 9).await.unwrap(), [row()]);
}

#[tokio::test]
async fn what_the_dead_process_had_is_claimed_at_once() {
    let (store, dir) = store().await;
    for number in 0..20 {
        store.accept(new(NOW, number, "old")).await.unwrap();
    }
    assert_eq!(claim(&store, 2, NOW).await.len(), 2);
    drop(store);
    let again = SqliteStore::open(&config(&dir)).await.unwrap();
    for number in 20..30 {
        again.accept(new(NOW, number, "new")).await.unwrap();
    }
    let runs = claim(&again, 8, NOW).await;
    assert_eq!(runs.iter().map(|r| r.fence).collect::<Vec<_>>(), [2, 2, 1, 1, 1, 1, 1, 1]);
    let old = runs.iter().filter(|r| r.task.principal.tenant == "old").count();
    assert!(old > 4, "who came after the restart overtakes who waited: {old} of 8");
}

#[tokio::test]
async fn a_transaction_that_fails_loses_no_row() {
    let (store, _dir) = store().await;
    let key: Arc<str> = "k".into();
    store.hold(&key, &[charge(Window::Total, 9)], HoldMode::Strict, NOW).await.unwrap();
    for number in 1..=3 {
        store.charge(&key, attempt(number, NOW));
        store.note(row());
        let error = break_a_transaction(&store).await.unwrap_err();
        assert_eq!((error.kind(), error.origin()), (ErrorKind::Unavailable, maof_core::Origin::Store));
    }
    assert_eq!(store.attempts(&name("t"), None, 9).await.unwrap().len(), 3);
    assert_eq!(store.trail(&name("t"), 9).await.unwrap().len(), 3, "once each");
    let spent = writer(&store).write(How::Plain, |c| {
        c.query_row("SELECT sum(spent) FROM account", (), |row| row.get::<_, i64>(0)).map(Ok)
    });
    assert_eq!(spent.await.unwrap(), 3);
}

#[tokio::test]
async fn a_job_that_is_refused_spoils_no_other() {
    let (store, _dir) = store().await;
    let run = {
        store.accept(new(NOW, 1, "t")).await.unwrap();
        claim(&store, 1, NOW).await.remove(0)
    };
    let batch = |fence, seq| Batch {
        run: run.id,
        fence,
        seq,
        records: vec![Bytes::from_static(b"r")],
        finished: None,
        at: NOW,
    };
    let answers = tokio::join!(
        store.commit(batch(9, 1)),
        store.commit(batch(1, 1)),
        store.commit(batch(1, 1)),
        store.commit(batch(1, 2))
    );
    let kinds = [answers.0, answers.1, answers.2, answers.3].map(|a| a.err().map(|e| e.kind()));
    assert_eq!(kinds, [Some(ErrorKind::Conflict), None, Some(ErrorKind::Conflict), None]);
    assert_eq!(store.load(&name("t"), run.id).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_dies_leaves_nobody_waiting() {
    let (store, _dir) = store().await;
    let dies =
        writer(&store).write(How::Plain, |_| -> rusqlite::Result<Result<()>> { panic!("for the test") });
    assert!(dies.await.is_err());
    let unavailable = Some(ErrorKind::Unavailable);
    let kind = |result: Result<()>| result.err().map(|e| e.kind());
    // Its end is told a moment after that of its last job.
    while kind(store.hold(&"k".into(), &[], HoldMode::Strict, NOW).await.map(drop)) != unavailable {
        tokio::task::yield_now().await;
    }
    store.charge(&"k".into(), attempt(1, NOW));
    store.note(row());
    assert_eq!(kind(store.flush().await), unavailable);
    assert_eq!(kind(store.accept(new(NOW, 1, "t")).await.map(drop)), unavailable);
}

/// What SQLite calls `synchronous`: 2 syncs every commit to disk, 1 none.
async fn synchronous(store: &SqliteStore) -> i64 {
    let ask = |c: &Connection| c.query_row("PRAGMA synchronous", (), |row| row.get(0)).map(Ok);
    writer(store).write(How::Plain, ask).await.unwrap()
}

/// How often the log was synced for `work`.
async fn syncs<T>(store: &SqliteStore, work: impl Future<Output = Result<T>>) -> (T, u64) {
    let before = writer(store).syncs();
    let done = work.await.unwrap();
    (done, writer(store).syncs() - before)
}

/// An accepted task survives a power loss; a step does where that was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn an_accept_is_synced_to_disk_and_a_step_by_setting() {
    for (durability, every, asked) in [(Durability::ProcessCrash, 1, 1), (Durability::OsCrash, 2, 0)] {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&Config { durability, ..config(&dir) }).await.unwrap();
        assert_eq!(synchronous(&store).await, every, "{durability:?}");
        assert_eq!(syncs(&store, store.accept(new(NOW, 1, "t"))).await.1, asked, "{durability:?}");
        let run = claim(&store, 1, NOW).await.remove(0);
        let records = vec![Bytes::from_static(b"r")];
        let batch = Batch { run: run.id, fence: run.fence, seq: 1, records, finished: None, at: NOW };
        assert_eq!(syncs(&store, store.commit(batch)).await.1, 0, "{durability:?}");
        assert_eq!(
            syncs(&store, store.cancel(&name("t"), run.id, NOW)).await,
            (true, asked),
            "{durability:?}"
        );
        assert_eq!(syncs(&store, store.flush()).await.1, asked, "{durability:?}");
    }
}

/// The job of a caller that gave up is made all the same, and its place in the queue comes back.
#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_takes_no_place() {
    let (store, _dir) = store().await;
    let made = Arc::new(AtomicBool::new(false));
    let (open, wait) = std::sync::mpsc::channel::<()>();
    let busy = writer(&store).write(How::Plain, move |_| Ok(Ok(wait.recv().is_ok())));
    let flag = Arc::clone(&made);
    let dropped = writer(&store).write(How::Plain, move |_| {
        flag.store(true, Ordering::SeqCst);
        Ok(Ok(()))
    });
    let mut both = Box::pin(async { tokio::join!(busy, dropped) });
    assert!(poll_once(&mut both).is_pending());
    drop(both);
    open.send(()).unwrap();
    store.flush().await.unwrap();
    assert!(made.load(Ordering::SeqCst));
}

pub(super) fn poll_once<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::Pin::new(future).poll(&mut context)
}

/// One row that cannot be read keeps nobody else waiting.
#[tokio::test]
async fn a_damaged_run_is_given_up_and_the_rest_goes_on() {
    let (store, _dir) = store().await;
    for number in 1..=4 {
        store.accept(new(NOW, number, "t")).await.unwrap();
    }
    let ids = [id(NOW, 1), id(NOW, 2)].map(|id| id.uuid().into_bytes());
    let harm = move |c: &Connection| {
        c.execute("UPDATE content SET task = '{' WHERE run = ?", [ids[0]])?;
        c.execute("DELETE FROM content WHERE run = ?", [ids[1]])?;
        Ok(Ok(()))
    };
    writer(&store).write(How::Plain, harm).await.unwrap();
    let claimed: Vec<RunId> = claim(&store, 9, NOW).await.iter().map(|r| r.id).collect();
    assert_eq!(claimed, [id(NOW, 3), id(NOW, 4)]);
    let states = writer(&store).write(How::Plain, |c| {
        c.query_row("SELECT count(*) FROM run WHERE state = 3", (), |r| r.get::<_, i64>(0)).map(Ok)
    });
    assert_eq!(states.await.unwrap(), 2, "{:?} is the state of both", RunState::Failed);
}
