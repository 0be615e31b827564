//! Random interleavings of two nodes, against the pure machine that the other stores keep.

use std::collections::HashSet;

use maof_core::Random as _;
use maof_testkit::SeededRandom;

use super::*;
use crate::accounts::Accounts;

const SCRIPTS: usize = 12;
const ACTS: usize = 60;
/// What may be held and spent on the two accounts, and on the agent's.
const LIMITS: [i64; 3] = [100, 60, 80];
const NAMES: [&str; 3] = ["a", "b", "agent:x"];

/// M01: act by act, every balance and every verdict is that of the machine. A key of another node is another hold.
#[tokio::test(flavor = "multi_thread")]
async fn any_interleaving_of_two_nodes_is_that_of_one_machine() {
    let Some(database) = services::postgres().await else { return };
    let random = SeededRandom::announced();
    let nodes = [open(database.url(), "one").await, open(database.url(), "two").await];
    for script in 0..SCRIPTS {
        let mut machine = Accounts::default();
        let mut sent = HashSet::new();
        let tenant = name(&format!("t{script}"));
        let account = |at: usize| Account { tenant: tenant.clone(), ..account(NAMES[at]) };
        for act in 0..ACTS {
            let number = random.below(2) as usize;
            let (node, text) = (&nodes[number], format!("{script}-{}", random.below(4)));
            let (theirs, ours) = (key(&text), key(&format!("{number}/{text}")));
            match random.below(7) {
                0..3 => {
                    let charges: Vec<Charge> = (0..NAMES.len())
                        .map(|at| Charge {
                            account: account(at),
                            amount: random.below(40) as i64,
                            limit: (random.below(8) > 0).then_some(LIMITS[at]),
                        })
                        .collect();
                    let held = node.hold(&theirs, &charges, HoldMode::Strict, NOW).await;
                    let expect = machine.hold(&ours, &charges, HoldMode::Strict, NOW);
                    let message = |error: maof_core::Error| error.message().to_owned();
                    let expect = expect.map(|(held, _)| held.standing);
                    assert_eq!(held.map_err(message), expect.map_err(message), "script {script}, act {act}");
                }
                3..6 => {
                    // An attempt belongs to one key: its id is never used by another.
                    let id = (random.below(6) as u128) << 8 | (number as u128) << 4;
                    let id = ((script as u128) << 32 | id << 16)
                        + u128::from(text.bytes().last().unwrap_or_default());
                    let agent = name(if random.below(3) == 0 { "y" } else { "x" });
                    let attempt =
                        Attempt { tenant: tenant.clone(), agent, ..attempt(id, random.below(60) as i64) };
                    node.charge(&theirs, attempt.clone());
                    if sent.insert(attempt.id) {
                        machine.charge(&ours, &attempt);
                    }
                }
                _ => {
                    node.close(&theirs);
                    machine.close(&ours);
                }
            }
            node.flush().await.unwrap();
            for (at, text) in NAMES.into_iter().enumerate() {
                let read = nodes[0].balance(&account(at), NOW).await.unwrap();
                let expect = machine.balance(&account(at), NOW);
                assert_eq!(read, expect, "script {script}, act {act}, {text}");
            }
        }
    }
}

/// M01: side by side, nothing waits for ever, and at the end what is held is nothing and what is spent is what the
/// attempts say; what exceeds a limit is only what attempts used beyond their holds.
#[tokio::test(flavor = "multi_thread")]
async fn callers_side_by_side_on_two_nodes_lose_and_overspend_nothing() {
    let Some(database) = services::postgres().await else { return };
    let random = Arc::new(SeededRandom::announced());
    let nodes = [open(database.url(), "one").await, open(database.url(), "two").await];
    #[allow(clippy::disallowed_methods, reason = "a test waits for its own tasks")]
    let callers: Vec<_> = (0..16_u128)
        .map(|caller| {
            let (node, random) = (Arc::clone(&nodes[caller as usize % 2]), Arc::clone(&random));
            tokio::spawn(async move { calls(&node, &random, caller).await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    for node in &nodes {
        node.flush().await.unwrap();
    }
    let (mut spent, mut names) = (0, 0);
    for (text, limit) in NAMES.into_iter().zip(LIMITS).take(2) {
        let (now, held) = balance(&nodes[0], text).await;
        assert_eq!(held, 0, "{text}");
        assert!(now <= limit * 100, "{text}: {now} of {}", limit * 100);
        (spent, names) = (spent + now, names + 1);
    }
    let billed = database.number("SELECT coalesce(sum(cost), 0)::BIGINT FROM attempt");
    assert_eq!(spent, names * billed, "each account counts each attempt once");
    assert_eq!(database.number("SELECT count(*) FROM hold WHERE closed IS NULL"), 0);
}

/// Each attempt costs at most what is held for it.
async fn calls(node: &PostgresLedger, random: &SeededRandom, caller: u128) {
    for call in 0..40_u128 {
        let key = key(&format!("{caller}-{call}"));
        let mut order = [0, 1];
        if random.below(2) == 0 {
            order.reverse();
        }
        let worst = random.below(90) as i64;
        for raised in [worst, worst + random.below(40) as i64] {
            let charges = order.map(|at| charge(NAMES[at], raised, LIMITS[at] * 100));
            if node.hold(&key, &charges, HoldMode::Strict, NOW).await.is_err() {
                break;
            }
            if raised > worst || random.below(2) == 0 {
                node.charge(&key, attempt(caller << 32 | call << 8, random.below(1 + worst as u64) as i64));
                break;
            }
        }
        node.close(&key);
    }
}
