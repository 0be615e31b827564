//! What a hold costs, beside the ledger in one file. `cargo nextest run -p maof-store --run-ignored only speed
//! --no-capture` prints it; durable as `scripts/services` starts PostgreSQL means that nothing is synced.

use std::time::Duration;

use maof_core::Clock as _;
use maof_testkit::TokioClock;

use super::*;

const ROUNDS: u32 = 200;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures time"]
async fn a_hold_a_charge_and_a_close() {
    let Some(database) = services::postgres().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = crate::Config { path: dir.path().join("maof.db"), ..crate::Config::default() };
    let sqlite: Arc<dyn Ledger> = Arc::new(crate::SqliteStore::open(&file).await.unwrap());
    let postgres: Arc<dyn Ledger> = open(database.url(), "a").await;
    for (what, ledger) in [("sqlite", &sqlite), ("postgres", &postgres)] {
        for callers in [1, 16, 200] {
            rounds(ledger, callers, 0).await;
            let took = rounds(ledger, callers, 1).await;
            let calls = f64::from(callers * ROUNDS);
            let (each, rate) = (took.as_secs_f64() * 1e6 / f64::from(ROUNDS), calls / took.as_secs_f64());
            println!("{what}: {callers} callers: {each:.0} us a call, {rate:.0} calls a second");
        }
    }
}

async fn rounds(ledger: &Arc<dyn Ledger>, callers: u32, warm: u128) -> Duration {
    let clock = TokioClock::new();
    let began = clock.instant();
    #[allow(clippy::disallowed_methods, reason = "a test waits for its own tasks")]
    let callers: Vec<_> = (0..callers)
        .map(|caller| {
            let ledger = Arc::clone(ledger);
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    let key = key(&format!("{warm}-{caller}-{round}"));
                    let charges = ["tenant", "user:u", "agent:x", "key:k"].map(|to| charge(to, 5, i64::MAX));
                    ledger.hold(&key, &charges, HoldMode::Strict, NOW).await.unwrap();
                    let id = warm << 100 | u128::from(callers) << 80 | u128::from(caller) << 40;
                    ledger.charge(&key, attempt(id | u128::from(round), 3));
                    ledger.close(&key);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    ledger.flush().await.unwrap();
    clock.instant() - began
}
