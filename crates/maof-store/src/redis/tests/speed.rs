//! What a batched hold costs where two nodes spend an account to its end, beside PostgreSQL alone.
//! `scripts/services with postgres redis -- cargo nextest run -p maof-store --run-ignored only redis::tests::speed
//! --no-capture` prints it; durable as `scripts/services` starts PostgreSQL means that nothing is synced.

use std::time::Duration;

use maof_core::Clock as _;
use maof_testkit::TokioClock;

use super::*;
use crate::postgres::PostgresLedger;

const CALLERS: u128 = 32;
const LIMIT: i64 = 100_000;
/// What a call holds, and spends.
const AMOUNT: i64 = 10;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures time"]
async fn an_account_that_two_nodes_spend() {
    let Some(services) = services().await else { return };
    let config =
        postgres::Config { url: Secret::new(services.database.url()), keep_days: 0, ..Default::default() };
    for round in 0..3_u128 {
        let mut alone: Vec<Arc<dyn Ledger>> = Vec::new();
        let mut pooled: Vec<Arc<dyn Ledger>> = Vec::new();
        for node in ["one", "two"] {
            let node = name(&format!("{node}-{round}"));
            let ledger = PostgresLedger::open(&config, &node, &TaskTracker::new()).await.unwrap();
            alone.push(Arc::new(ledger));
            pooled.push(services.open(&format!("pooled-{node}")).await);
        }
        for (at, (what, nodes)) in [("postgres", alone), ("redis", pooled)].into_iter().enumerate() {
            let account = format!("{what}-{round}");
            let (calls, took) = spend(&nodes, &account, 2 * round + at as u128).await;
            let each = took.as_secs_f64() * 1e6 / f64::from(calls);
            let used = i64::from(calls) * AMOUNT * 100 / LIMIT;
            println!("{what}: {calls} calls, {each:.0} us each, {used} % used before all were refused");
        }
    }
}

/// All callers at once, each until it is refused.
async fn spend(nodes: &[Arc<dyn Ledger>], account: &str, part: u128) -> (u32, Duration) {
    let clock = TokioClock::new();
    let began = clock.instant();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let (ledger, account) = (Arc::clone(&nodes[caller as usize % nodes.len()]), account.to_owned());
        callers.spawn(async move {
            let mut calls = 0_u32;
            loop {
                let key = key(&format!("{account}-{caller}-{calls}"));
                let charges = [charge(&account, AMOUNT, LIMIT)];
                if ledger.hold(&key, &charges, HoldMode::Batched, NOW).await.is_err() {
                    return calls;
                }
                let id = part << 96 | caller << 64 | u128::from(calls);
                ledger.charge(&key, attempt(id, AMOUNT));
                ledger.close(&key);
                calls += 1;
            }
        });
    }
    let calls = callers.join_all().await.into_iter().sum();
    (calls, clock.instant() - began)
}
