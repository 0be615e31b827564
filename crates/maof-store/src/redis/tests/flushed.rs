//! A Redis that forgets, goes away, and comes back with old numbers.

use maof_testkit::services::Relay;

use super::super::script::{Op, Said};
use super::*;
use crate::postgres::slice_key;

const LIMIT: i64 = 1_000;

/// What happens to Redis.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Flush,
    /// It starts again, with what it had when it was last saved.
    Restart,
    /// It stops, and comes back at the end.
    Stop,
}

/// M06: at every point of what two nodes do, Redis forgets, or remembers wrongly, or is away. No more is admitted than
/// there is, and nothing stays held.
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_point_costs_no_money() {
    for point in 0..8 {
        let at = async |fault| {
            if let Some(services) = services().await {
                fault_at(&services, fault, point).await;
            }
        };
        tokio::join!(at(Fault::Flush), at(Fault::Restart), at(Fault::Stop));
    }
}

async fn fault_at(services: &Services, fault: Fault, point: usize) {
    let tracker = TaskTracker::new();
    let (database, url) = (services.database.url(), services.redis.url());
    let nodes = [open(database, &url, "one", &tracker).await, open(database, &url, "two", &tracker).await];
    let redis = &services.redis;
    let happens = async |at: usize| {
        if at + 2 == point {
            redis.command(&["SAVE"]);
        }
        if at != point {
            return;
        }
        match fault {
            Fault::Flush => drop(redis.command(&["FLUSHALL"])),
            Fault::Restart => {
                redis.stop();
                redis.start().await;
            }
            Fault::Stop => redis.stop(),
        }
    };
    let spend = async |node: usize, number: u128, amount: i64| {
        let key = key(&number.to_string());
        let held = nodes[node].hold(&key, &[charge("a", amount, LIMIT)], HoldMode::Batched, NOW).await;
        if held.is_ok() {
            nodes[node].charge(&key, attempt(number, amount));
        }
        nodes[node].close(&key);
        held.map(|_| amount).unwrap_or_default()
    };
    let mut spent = 0;
    for step in 0..8 {
        happens(step).await;
        let open = key(&format!("open{step}"));
        let held = nodes[0].hold(&open, &[charge("a", 30, LIMIT)], HoldMode::Batched, NOW).await;
        spent += spend(1, step as u128 * 10, 25).await + spend(0, step as u128 * 10 + 1, 25).await;
        held.unwrap();
        nodes[0].close(&open);
    }
    if matches!(fault, Fault::Stop) {
        redis.start().await;
    }
    let mut refused = 0;
    for number in 0.. {
        let now = spend(number % 2, 1_000 + number as u128, 7).await;
        refused = if now == 0 { refused + 1 } else { 0 };
        spent += now;
        if refused > 8 {
            break;
        }
    }
    assert!(spent <= LIMIT && spent > LIMIT - 120, "{fault:?} at {point}: {spent}");
    drop(nodes);
    tracker.close();
    tracker.wait().await;
    assert_eq!((services.spent(), services.held(), services.lost()), (spent, 0, 0), "{fault:?} at {point}");
}

/// A Redis that comes back with old numbers is told by its run: what was in it then may be spent by now.
#[tokio::test(flavor = "multi_thread")]
async fn old_numbers_are_not_used() {
    let Some(services) = services().await else { return };
    let node = services.open("node").await;
    hold(&node, "first", 10, 3_210).await.unwrap();
    hold(&node, "second", 10, 3_210).await.unwrap();
    let window = slice_key(&(account("a"), Window::Day.start(NOW)));
    let free = async || {
        let said = node.shared().current().ask(&window, Op::Read).await;
        matches!(said, Said::Done(Some(free)) if free > 0)
    };
    assert!(free().await);
    services.redis.command(&["SAVE"]);
    let before = node.shared().current().id();
    services.redis.stop();
    services.redis.start().await;
    let kept = services.redis.command(&["KEYS", "*"]);
    assert!(kept.contains(&format!("pool:{before}")), "{kept}");
    // More than this node has ready.
    hold(&node, "third", 60, 3_210).await.unwrap();
    until("a new generation begins", || node.shared().current().id() > before).await;
    assert!(!free().await, "its pool is empty");
}

/// Redis is away: calls go on, and it is used again when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_away_stops_nobody() {
    let Some(services) = services().await else { return };
    let relay = Relay::to(services.redis.address()).await;
    relay.cut().await;
    let node =
        open(services.database.url(), &services.redis.at_port(relay.port()), "n", &TaskTracker::new()).await;
    for number in 0..5 {
        hold(&node, &number.to_string(), 10, 100).await.unwrap();
    }
    assert!(node.shared().current().run.is_empty());
    relay.mend();
    let begun = async {
        for number in 0.. {
            let (key, charges) = (key(&format!("x{number}")), [charge(&format!("x{number}"), 1, 10)]);
            node.hold(&key, &charges, HoldMode::Batched, NOW).await.unwrap();
            node.close(&key);
            if !node.shared().current().run.is_empty() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), begun).await.expect("it is found again");
    assert_eq!(balance(&node, "a").await, (0, 50), "what was held before is held");
}
