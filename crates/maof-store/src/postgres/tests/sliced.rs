//! M01: calls that hold parts of what their nodes hold never spend more than there is.

use std::sync::atomic::{AtomicI64, Ordering};

use maof_core::Random as _;
use maof_testkit::SeededRandom;
use maof_testkit::services::Relay;

use super::*;

/// What an account has: spent, and held by calls and nodes.
async fn whole(ledger: &PostgresLedger) -> (i64, i64) {
    let Balance { spent, held } = ledger.balance(&account("a"), NOW).await.unwrap();
    (spent, held)
}

/// Two nodes, forty callers each, of calls that end, hang up, use more than one attempt, or are dropped while they ask.
#[tokio::test(flavor = "multi_thread")]
async fn callers_of_two_nodes_spend_all_there_is_and_no_more() {
    const LIMIT: i64 = 20_000;
    let Some(database) = services::postgres().await else { return };
    let nodes = [open(database.url(), "one").await, open(database.url(), "two").await];
    let spent = Arc::new(AtomicI64::new(0));
    let seed = SeededRandom::announced().below(u64::MAX);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..80_u64 {
        let (node, spent) = (Arc::clone(&nodes[caller as usize % 2]), Arc::clone(&spent));
        callers.spawn(async move {
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
                        assert_eq!(error.kind(), maof_core::ErrorKind::BudgetExceeded);
                        refused += 1;
                    }
                    None => {}
                }
                node.close(&key);
                if refused > 20 {
                    break;
                }
            }
        });
    }
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
    let spent = spent.load(Ordering::Relaxed);
    for node in &nodes {
        node.flush().await.unwrap();
    }
    assert!(spent <= LIMIT && spent > LIMIT - 200, "{spent}");
    assert_eq!(whole(&nodes[0]).await, (spent, slack(&nodes[1])));
    let [one, two] = nodes;
    drop(one);
    two.flush().await.unwrap();
    while whole(&two).await.1 > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(whole(&two).await, (spent, 0), "who ends gives back what nobody holds");
}

async fn hang_up(patience: u32) {
    for _ in 0..patience {
        tokio::task::yield_now().await;
    }
}

fn slack(ledger: &PostgresLedger) -> i64 {
    ledger.slack(&account("a"), NOW)
}

/// M06: what a node that dies had ready for its calls counts as spent, and its calls go on while the database is away.
#[tokio::test(flavor = "multi_thread")]
async fn the_slice_of_a_node_that_dies_counts_as_spent() {
    let Some(database) = services::postgres().await else { return };
    let relay = Relay::to(database.address()).await;
    let dying = open(&database.at_port(relay.port()), "dying").await;
    let hold = async |number: u32| {
        dying
            .hold(&key(&number.to_string()), &[charge("a", 10, 3_210)], HoldMode::Batched, NOW)
            .await
            .map(drop)
    };
    hold(0).await.unwrap();
    assert_eq!(slack(&dying), 0, "nobody knows yet what is left");
    hold(1).await.unwrap();
    assert_eq!(slack(&dying), 3_200 / 32);
    dying.charge(&key("0"), attempt(1, 4));
    dying.close(&key("0"));
    dying.flush().await.unwrap();
    assert_eq!(slack(&dying), 106);
    relay.cut().await;
    for number in 2..12 {
        hold(number).await.unwrap();
    }
    assert_eq!(hold(12).await.unwrap_err().kind(), maof_core::ErrorKind::Unavailable);
    let again = open(database.url(), "dying").await;
    assert_eq!(whole(&again).await, (4 + 116, 0));
    let lost = "SELECT sum(amount)::BIGINT FROM lost_hold WHERE name = 'dying' AND key LIKE 'slice|t|a|%'";
    assert_eq!(database.number(lost), 116);
}

/// M01: a slice that is given back while it grows, since nobody holds any of it yet, has not grown.
#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_is_given_back_while_it_grows_covers_nothing() {
    let Some(database) = services::postgres().await else { return };
    let nodes = [open(database.url(), "one").await, open(database.url(), "two").await];
    for round in 0..100 {
        let (key, charges) = (key(&round.to_string()), [charge(&format!("a{round}"), 10, 10)]);
        let held = tokio::join!(
            nodes[0].hold(&key, &charges, HoldMode::Batched, NOW),
            async { nodes[0].give_back_idle() },
            nodes[1].hold(&key, &charges, HoldMode::Batched, NOW)
        );
        assert!(held.0.is_err() || held.2.is_err(), "{round}");
    }
}

/// M01: of two budgets of one account the lower holds on every node, for all that is held.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_limits_the_lower_holds_on_every_node() {
    let Some(database) = services::postgres().await else { return };
    let nodes = [open(database.url(), "one").await, open(database.url(), "two").await];
    let charges = |amount| [charge("a", amount - 1, 10), charge("a", amount, 8)];
    nodes[0].hold(&key("k"), &charges(4), HoldMode::Batched, NOW).await.unwrap();
    let refused = nodes[1].hold(&key("l"), &charges(5), HoldMode::Batched, NOW).await;
    assert_eq!(refused.unwrap_err().kind(), maof_core::ErrorKind::BudgetExceeded);
    nodes[1].hold(&key("l"), &charges(4), HoldMode::Batched, NOW).await.unwrap();
    assert_eq!(slack(&nodes[0]), 0, "what is held is what was asked for");
    assert_eq!(whole(&nodes[1]).await, (0, 8));
}

/// M01: what was asked for under a higher limit is not for who has a lower one: for him counts what is held, on any node.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_lower_limit_uses_nothing_that_others_asked_for() {
    let Some(database) = services::postgres().await else { return };
    let nodes = [open(database.url(), "one").await, open(database.url(), "two").await];
    let hold = async |at: usize, text: &str, amount, limit| {
        nodes[at].hold(&key(text), &[charge("a", amount, limit)], HoldMode::Batched, NOW).await.map(drop)
    };
    hold(0, "first", 10, 3_200).await.unwrap();
    hold(0, "second", 10, 3_200).await.unwrap();
    assert_eq!(slack(&nodes[0]), 99);
    hold(1, "third", 60, 3_200).await.unwrap();
    let refused = hold(0, "low", 30, 100).await.unwrap_err();
    assert_eq!(refused.kind(), maof_core::ErrorKind::BudgetExceeded);
    nodes[0].close(&key("low"));
    hold(0, "low", 30, 300).await.unwrap();
    hold(0, "low", 30, 300).await.unwrap();
    hold(0, "low", 31, 300).await.unwrap();
    assert_eq!(whole(&nodes[0]).await, (0, 10 + 10 + 31 + 60), "what it grew by is held by the calls");
    hold(0, "high", 20, 3_200).await.unwrap();
    assert!(hold(1, "rest", 3_200 - 200, 3_200).await.is_err());
}

/// What nobody uses is there for other nodes after a while.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_slice_is_given_back() {
    let Some(database) = services::postgres().await else { return };
    let node = open(database.url(), "node").await;
    for number in 0..3 {
        node.hold(&key(&number.to_string()), &[charge("a", 10, 3_200)], HoldMode::Batched, NOW)
            .await
            .unwrap();
    }
    let idle = || {
        node.give_back_idle();
        slack(&node) == 0
    };
    assert!(!idle() && !idle(), "it is held");
    (0..3).for_each(|number| node.close(&key(&number.to_string())));
    assert!(idle());
    let other = open(database.url(), "other").await;
    node.flush().await.unwrap();
    other.hold(&key("all"), &[charge("a", 3_200, 3_200)], HoldMode::Batched, NOW).await.unwrap();
    let refused = node.hold(&key("x"), &[charge("a", 1, 3_200)], HoldMode::Batched, NOW).await.unwrap_err();
    assert!(refused.message().contains("has $0.00 of $0.0000032 left"), "{refused}");
}
