//! M01: random interleavings of two nodes, with a Redis that forgets: never more than there is.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use maof_core::{ErrorKind, Random as _};
use maof_testkit::SeededRandom;

use super::*;

const LIMIT: i64 = 20_000;

/// Forty callers each, of calls that end, hang up, use more than one attempt, or are dropped while they ask, while Redis is
/// flushed again and again.
#[tokio::test(flavor = "multi_thread")]
async fn callers_of_two_nodes_spend_all_there_is_and_no_more() {
    let Some(services) = services().await else { return };
    let tracker = TaskTracker::new();
    let (database, redis) = (services.database.url(), services.redis.url());
    let nodes =
        [open(database, &redis, "one", &tracker).await, open(database, &redis, "two", &tracker).await];
    let first = nodes[0].shared().current().id();
    let (spent, ended) = (Arc::new(AtomicI64::new(0)), AtomicBool::new(false));
    let seed = SeededRandom::announced().below(u64::MAX);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..80_u64 {
        let (node, spent) = (Arc::clone(&nodes[caller as usize % 2]), Arc::clone(&spent));
        callers.spawn(async move { call(&node, &spent, caller, seed).await });
    }
    let flushes = async {
        while !ended.load(Ordering::Relaxed) {
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
            services.redis.command(&["FLUSHALL"]);
        }
    };
    let all = async {
        while let Some(done) = callers.join_next().await {
            done.unwrap();
        }
        ended.store(true, Ordering::Relaxed);
    };
    tokio::join!(flushes, all);
    let spent = spent.load(Ordering::Relaxed);
    // What old generations still hold is refused for a moment.
    assert!(spent <= LIMIT && spent > LIMIT / 2, "{spent}");
    assert!(nodes[0].shared().current().id() > first, "it was flushed");
    drop(nodes);
    tracker.close();
    tracker.wait().await;
    assert_eq!((services.spent() - users(&services), services.held(), services.lost()), (spent, 0, 0));
}

/// What the accounts of single callers have spent.
fn users(services: &Services) -> i64 {
    services.database.number("SELECT coalesce(sum(spent), 0) FROM account WHERE name <> 'a'")
}

async fn call(node: &RedisLedger, spent: &AtomicI64, caller: u64, seed: u64) {
    let random = SeededRandom::new(seed.wrapping_add(caller));
    let mut refused = 0;
    for call in 0.. {
        let key: Arc<str> = format!("{caller}-{call}").into();
        let most = 1 + random.below(60) as i64;
        let mode = if random.below(4) == 0 { HoldMode::Strict } else { HoldMode::Batched };
        let charges = [charge("a", most, LIMIT), charge(&format!("u{caller}"), most, i64::MAX)];
        let patience = if random.below(8) == 0 { 1 } else { 1_000_000 };
        let held = tokio::select! {
            biased;
            held = node.hold(&key, &charges, mode, NOW) => Some(held),
            () = hang_up(patience) => None,
        };
        match held {
            Some(Ok(_)) => {
                let mut left = most;
                for number in 0..random.below(3) {
                    let cost = random.below(1 + left as u64) as i64;
                    left -= cost;
                    let id = u128::from(caller) << 64 | (call as u128) << 8 | u128::from(number);
                    node.charge(&key, attempt(id, cost));
                    node.charge(&key, attempt(id, cost));
                    spent.fetch_add(cost, Ordering::Relaxed);
                }
            }
            Some(Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::BudgetExceeded, "{error}");
                refused += 1;
            }
            None => {}
        }
        node.close(&key);
        if refused > 20 {
            break;
        }
    }
}

async fn hang_up(patience: u32) {
    for _ in 0..patience {
        tokio::task::yield_now().await;
    }
}
