//! What survives a restart, an orderly end, and rows that cannot be written.

use maof_core::{ErrorKind, Failure};

use super::*;

/// M04: the database is the truth, and a process that starts finds it.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_refills_nothing() {
    let Some(database) = services::postgres().await else { return };
    let first = open(database.url(), "a").await;
    first.hold(&key("k"), &[charge("a", 10, 10)], HoldMode::Strict, NOW).await.unwrap();
    first.charge(&key("k"), attempt(1, 8));
    first.close(&key("k"));
    first.flush().await.unwrap();
    let again = open(database.url(), "a").await;
    assert_eq!(balance(&again, "a").await, (8, 0));
    assert!(again.hold(&key("k"), &[charge("a", 3, 10)], HoldMode::Strict, NOW).await.is_err());
    again.hold(&key("k"), &[charge("a", 2, 10)], HoldMode::Strict, NOW).await.unwrap();
}

/// What is sent before the last handle goes is written.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_written_at_the_end() {
    let Some(database) = services::postgres().await else { return };
    let tracker = TaskTracker::new();
    let ledger = PostgresLedger::open(&config(database.url()), &name("a"), &tracker).await.unwrap();
    ledger.hold(&key("k"), &[charge("a", 100, 1_000)], HoldMode::Strict, NOW).await.unwrap();
    for number in 0..50 {
        ledger.charge(&key("k"), attempt(number, 1));
    }
    ledger.close(&key("k"));
    drop(ledger);
    tracker.close();
    tracker.wait().await;
    assert_eq!(database.number("SELECT count(*) FROM attempt"), 50);
    assert_eq!(database.number("SELECT spent FROM account WHERE held = 0"), 50);
    assert_eq!(database.number("SELECT count(*) FROM node WHERE ended IS NULL"), 0);
}

/// A row that the database will never take stops no other, and its text is kept where it can be.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_database_refuses_stop_nobody() {
    let Some(database) = services::postgres().await else { return };
    let ledger = open(database.url(), "a").await;
    ledger.hold(&key("k"), &[charge("a", 9, 10)], HoldMode::Strict, NOW).await.unwrap();
    let failure: Failure = maof_core::Error::internal("a\0b").failure();
    ledger.charge(&key("k"), Attempt { failure: Some(failure), model: "m\0".into(), ..attempt(1, 1) });
    // PostgreSQL's indexes take no key that is longer than some 2,700 bytes, where it cannot be compressed.
    let noise = |n: u64| format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31));
    let vast: String = (1..1_000).map(noise).collect();
    let (vast, little) = (key(&vast), [charge("a", 1, 10)]);
    let held = ledger.hold(&vast, &little, HoldMode::Strict, NOW);
    ledger.charge(&key("k"), attempt(2, 2));
    assert_eq!(held.await.unwrap_err().kind(), ErrorKind::Internal);
    ledger.charge(&key("k"), attempt(3, 3));
    assert_eq!(balance(&ledger, "a").await, (6, 3));
    let read = ledger.attempts(&name("t"), None, 9).await.unwrap();
    assert_eq!(read.len(), 3);
    assert_eq!(&*read[2].model, "m\u{fffd}");
}

/// Whichever of two limits is the lower one, and whichever of two amounts the larger.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_limits_the_lower_holds_for_the_larger_amount() {
    let Some(database) = services::postgres().await else { return };
    let ledger = open(database.url(), "a").await;
    for (first, second) in [(5, 9), (9, 5)] {
        let charges = [charge("a", 4, first), charge("a", 6, second)];
        assert!(ledger.hold(&key("k"), &charges, HoldMode::Strict, NOW).await.is_err());
    }
    assert_eq!(balance(&ledger, "a").await, (0, 0));
}
