//! What a call pays to its ledger: hold, charge and close over four accounts, in memory, in SQLite and in PostgreSQL, in both
//! modes; alone, and many callers side by side on the same accounts. CPU time of this process: what PostgreSQL uses is not
//! in it. Without `MAOF_TEST_POSTGRES_URL` (`scripts/services with postgres -- cargo bench …`) its rows are left out.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark's own program")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use maof_benches::CpuTime;
use maof_core::{
    Account, Attempt, Charge, HoldMode, Ledger, Measure, Name, Secret, Timestamp, Unit, Usage, Window,
};
use maof_store::postgres::PostgresLedger;
use maof_store::{Config, MemoryStore, SqliteStore, postgres};
use tokio::task::JoinSet;

/// What the programs that are shipped allocate with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// 2023-11-14T22:13:20Z
const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
/// Calls of one measurement where many are side by side.
const AT_ONCE: u64 = 1_024;

static NUMBER: AtomicU64 = AtomicU64::new(1);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A tenant's and a user's money, and a user's requests and tokens: far from their limits.
fn charges() -> Vec<Charge> {
    let charge = |account: &str, measure, amount| Charge {
        account: Account { tenant: name("t"), name: name(account), measure, window: Window::Month },
        amount,
        limit: Some(i64::MAX / 4),
    };
    vec![
        charge("tenant", Measure::Money, 900_000),
        charge("user:ann", Measure::Money, 900_000),
        charge("user:ann", Measure::Requests, 1),
        charge("user:ann", Measure::Tokens, 3_000),
    ]
}

/// An attempt, to be given a number.
fn prototype() -> Attempt {
    let id = "00000000-0000-7000-8000-000000000000";
    let mut attempt: Attempt = serde_json::from_value(serde_json::json!({
        "id": id, "call": id, "tenant": "t", "user": "ann", "run": null, "step": null, "agent": "a", "endpoint": "e",
        "model": "gpt-4o", "began": NOW, "micros": 5, "usage": {}, "cost": 420_000, "tier": "default",
    }))
    .unwrap();
    attempt.usage = Usage::default().with(Unit::Input, 700).with(Unit::Output, 90);
    attempt
}

fn attempt(of: &Attempt, number: u64) -> Attempt {
    let id = format!("00000000-0000-7000-8000-{number:012x}").parse().unwrap();
    Attempt { id, ..of.clone() }
}

/// The life of one hold.
async fn one(ledger: &dyn Ledger, (charges, of): &(Vec<Charge>, Attempt), mode: HoldMode) {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let key: Arc<str> = number.to_string().into();
    ledger.hold(&key, charges, mode, NOW).await.unwrap();
    ledger.charge(&key, attempt(of, number));
    ledger.close(&key);
}

async fn side_by_side(ledger: &Arc<dyn Ledger>, callers: u64, mode: HoldMode) {
    let mut all = JoinSet::new();
    for _ in 0..callers {
        let (ledger, call) = (Arc::clone(ledger), (charges(), prototype()));
        all.spawn(async move {
            for _ in 0..AT_ONCE / callers {
                one(&*ledger, &call, mode).await;
            }
        });
    }
    all.join_all().await;
}

fn holds(c: &mut Criterion<CpuTime>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let sqlite = Config { path: dir.path().join("maof.db"), ..Config::default() };
    let sqlite = runtime.block_on(SqliteStore::open(&sqlite)).unwrap();
    let mut ledgers: Vec<(&str, Arc<dyn Ledger>)> =
        vec![("memory", Arc::new(MemoryStore::default())), ("SQLite", Arc::new(sqlite))];
    let database = runtime.block_on(maof_testkit::services::postgres());
    if let Some(database) = &database {
        let config = postgres::Config { url: Secret::new(database.url()), ..postgres::Config::default() };
        let tracker = tokio_util::task::TaskTracker::new();
        let ledger = runtime.block_on(PostgresLedger::open(&config, &name("bench"), &tracker)).unwrap();
        ledgers.push(("PostgreSQL", Arc::new(ledger)));
    }
    let call = (charges(), prototype());
    let mut group = c.benchmark_group("hold, charge, close");
    group.bench_function("no ledger: the attempt alone", |b| {
        b.iter(|| attempt(&call.1, NUMBER.fetch_add(1, Ordering::Relaxed)));
    });
    for (store, ledger) in &ledgers {
        for mode in [HoldMode::Batched, HoldMode::Strict] {
            let what = format!("{store}, {}", mode.as_str());
            group.throughput(Throughput::Elements(1));
            group.bench_function(&what, |b| {
                b.iter(|| runtime.block_on(one(&**ledger, &call, mode)));
            });
            for callers in [16, 64] {
                group.throughput(Throughput::Elements(AT_ONCE));
                group.bench_function(format!("{what}, {callers} callers"), |b| {
                    b.iter(|| runtime.block_on(side_by_side(ledger, callers, mode)));
                });
            }
            // One that has fallen behind refuses.
            runtime.block_on(ledger.flush()).unwrap();
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).sample_size(20);
    targets = holds
}
criterion_main!(benches);
