//! Nodes that die with open holds, and some that only seemed to.

use maof_testkit::services::Relay;

use super::*;

/// Makes every sign of life of a node an old one.
fn silence(database: &Database, node: &str) {
    let sql = format!("UPDATE node SET seen = seen - interval '1 hour' WHERE name = '{node}'");
    database.execute(&sql);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_node_held_counts_as_spent_and_is_written_down() {
    let Some(database) = services::postgres().await else { return };
    let relay = Relay::to(database.address()).await;
    let dying = open(&database.at_port(relay.port()), "dying").await;
    let other = open(database.url(), "other").await;
    let under_way = Account { measure: Measure::Concurrency, ..account("a") };
    let call = Charge { account: under_way.clone(), amount: 1, limit: Some(1) };
    let charges = [charge("a", 6, 10), charge("b", 2, 10), call.clone()];
    dying.hold(&key("k"), &charges, HoldMode::Strict, NOW).await.unwrap();
    dying.charge(&key("k"), attempt(1, 1));
    dying.hold(&key("gone"), &[charge("a", 1, 10)], HoldMode::Strict, NOW).await.unwrap();
    dying.close(&key("gone"));
    dying.flush().await.unwrap();
    relay.cut().await;
    assert_eq!(other.resolve_dead().await.unwrap(), 0, "it was alive a moment ago");
    silence(&database, "dying");
    assert!(other.hold(&key("l"), std::slice::from_ref(&call), HoldMode::Strict, NOW).await.is_err());
    assert_eq!(other.resolve_dead().await.unwrap(), 3);
    assert_eq!(other.resolve_dead().await.unwrap(), 0);
    assert_eq!(balance(&other, "a").await, (6, 0));
    assert_eq!(balance(&other, "b").await, (2, 0));
    let lost = "SELECT sum(amount)::BIGINT FROM lost_hold WHERE name = 'dying' AND key = 'k'";
    assert_eq!(database.number(lost), 7);
    assert_eq!(
        other.balance(&under_way, NOW).await.unwrap(),
        Balance::default(),
        "nobody's call is under way"
    );
    other.hold(&key("l"), &[call], HoldMode::Strict, NOW).await.unwrap();
    assert!(other.hold(&key("l"), &[charge("a", 5, 10)], HoldMode::Strict, NOW).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_again_ends_the_one_before() {
    let Some(database) = services::postgres().await else { return };
    let relay = Relay::to(database.address()).await;
    let first = open(&database.at_port(relay.port()), "same").await;
    let other = open(database.url(), "other").await;
    first.hold(&key("k"), &[charge("a", 6, 10)], HoldMode::Strict, NOW).await.unwrap();
    other.hold(&key("k"), &[charge("a", 1, 10)], HoldMode::Strict, NOW).await.unwrap();
    relay.cut().await;
    let again = open(database.url(), "same").await;
    assert_eq!(balance(&again, "a").await, (6, 1));
    // The run goes on under its old key, and pays again: nobody knows whether the first time was billed.
    again.hold(&key("k"), &[charge("a", 3, 10)], HoldMode::Strict, NOW).await.unwrap();
    again.charge(&key("k"), attempt(1, 2));
    again.close(&key("k"));
    assert_eq!(balance(&again, "a").await, (8, 1));
}

/// A pause of a minute is no death: what counted as spent is held again, and nothing is charged twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lives_after_all_gets_its_holds_back() {
    let Some(database) = services::postgres().await else { return };
    let (slow, other) = (open(database.url(), "slow").await, open(database.url(), "other").await);
    slow.hold(&key("k"), &[charge("a", 6, 10)], HoldMode::Strict, NOW).await.unwrap();
    slow.hold(&key("l"), &[charge("a", 2, 10)], HoldMode::Strict, NOW).await.unwrap();
    silence(&database, "slow");
    assert_eq!(other.resolve_dead().await.unwrap(), 2);
    assert_eq!(balance(&other, "a").await, (8, 0));
    slow.charge(&key("k"), attempt(1, 4));
    slow.flush().await.unwrap();
    assert_eq!(balance(&other, "a").await, (4, 4));
    slow.close(&key("k"));
    slow.hold(&key("l"), &[charge("a", 3, 10)], HoldMode::Strict, NOW).await.unwrap();
    assert_eq!(balance(&slow, "a").await, (4, 3));
    let restored = "SELECT count(*) FROM lost_hold WHERE restored IS NULL";
    assert_eq!(database.number(restored), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_is_forgotten_and_what_counts_is_kept() {
    let Some(database) = services::postgres().await else { return };
    let ledger = open(database.url(), "a").await;
    for text in ["k", "open"] {
        ledger.hold(&key(text), &[charge("a", 3, 10)], HoldMode::Strict, NOW).await.unwrap();
    }
    ledger.charge(&key("k"), attempt(1, 2));
    ledger.close(&key("k"));
    let today = Window::Day.start(NOW);
    let total = Charge { account: Account { window: Window::Total, ..account("a") }, ..charge("a", 1, 5) };
    ledger.hold(&key("t"), &[total, charge("b", 1, 5)], HoldMode::Strict, NOW).await.unwrap();
    ledger.close(&key("t"));
    ledger.flush().await.unwrap();
    database.execute("UPDATE hold SET closed = closed - interval '1 hour'");
    database.execute("SELECT ledger_sweep(1, 90)");
    assert_eq!(database.number("SELECT count(*) FROM hold"), 1, "one is open");
    assert_eq!(database.number("SELECT count(*) FROM attempt"), 0, "it is years old");
    let kept = format!("SELECT count(*) FROM account WHERE start = 0 OR start = {}", today.micros());
    assert_eq!(database.number(&kept), 2, "a total has no end, and a window that holds is kept");
}
