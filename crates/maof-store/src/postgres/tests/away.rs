//! A database that is away for a while.

use maof_core::{ErrorKind, Retry};
use maof_testkit::services::Relay;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_holds_are_refused_and_nothing_is_lost() {
    let Some(database) = services::postgres().await else { return };
    let relay = Relay::to(database.address()).await;
    let ledger = open(&database.at_port(relay.port()), "a").await;
    ledger.hold(&key("k"), &[charge("a", 60, 100)], HoldMode::Strict, NOW).await.unwrap();
    relay.cut().await;
    for number in 0..40 {
        ledger.charge(&key("k"), attempt(number, 1));
    }
    let error = ledger.hold(&key("l"), &[charge("a", 1, 100)], HoldMode::Strict, NOW).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Here));
    assert!(!error.message().contains("127.0.0.1"), "{error}");
    assert_eq!(ledger.flush().await.unwrap_err().kind(), ErrorKind::Unavailable);
    for number in 40..50 {
        ledger.charge(&key("k"), attempt(number, 1));
    }
    ledger.close(&key("k"));
    relay.mend();
    while ledger.flush().await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(balance(&ledger, "a").await, (50, 0));
    assert_eq!(ledger.attempts(&name("t"), None, 99).await.unwrap().len(), 50);
    ledger.hold(&key("l"), &[charge("a", 50, 100)], HoldMode::Strict, NOW).await.unwrap();
}

/// M06: the connection dies at any moment, also between the commit and its answer; each attempt counts once.
#[tokio::test(flavor = "multi_thread")]
async fn a_wire_that_is_cut_again_and_again_loses_and_doubles_nothing() {
    let Some(database) = services::postgres().await else { return };
    let relay = Relay::to(database.address()).await;
    let ledger = open(&database.at_port(relay.port()), "a").await;
    let (mut sent, mut refused) = (0, 0);
    for round in 0..12_u128 {
        for number in 0..30_u128 {
            let key = key(&format!("{round}-{number}"));
            match ledger.hold(&key, &[charge("a", 2, 1_000_000)], HoldMode::Strict, NOW).await {
                Ok(_) => {
                    ledger.charge(&key, attempt(round * 100 + number, 1));
                    sent += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                    refused += 1;
                }
            }
            ledger.close(&key);
            if number == 10 + round {
                relay.cut().await;
            }
        }
        relay.mend();
        while ledger.flush().await.is_err() {
            tokio::task::yield_now().await;
        }
    }
    assert!(sent > 0 && refused > 0, "{sent} were sent, {refused} refused");
    assert_eq!(balance(&ledger, "a").await, (sent, 0));
    assert_eq!(database.number("SELECT count(*) FROM attempt"), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_cannot_be_read_or_reached_are_told_without_their_password() {
    let check = async |url: &str, kind: ErrorKind, field: Option<&str>| {
        let config = config(url);
        let opened = PostgresLedger::open(&config, &name("a"), &TaskTracker::new()).await;
        let error = opened.unwrap_err();
        assert_eq!((error.kind(), error.field()), (kind, field), "{error}");
        let shown = format!("{error} {error:?} {config:?} {}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    };
    check("", ErrorKind::InvalidRequest, Some("url")).await;
    check("postgres://u:hunter2@[bad/x", ErrorKind::InvalidRequest, Some("url")).await;
    check("mysql://u:hunter2@localhost/x", ErrorKind::InvalidRequest, Some("url")).await;
    // Nobody listens at port 1.
    check("postgres://u:hunter2@127.0.0.1:1/x", ErrorKind::Unavailable, None).await;
}
