//! D01, M06: a process that commits is killed with SIGKILL at random points; whatever it was told is durable
//! is there, with what it cost, and the next process goes on with its runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use maof_core::{
    Account, Attempt, Batch, Charge, Claim, HoldMode, Journal as _, Ledger as _, Measure, Name, NewRun,
    Principal, Random as _, Run, RunId, Timestamp, Window,
};
use maof_store::{Config, SqliteStore};
use maof_testkit::SeededRandom;
use uuid::Uuid;

const DEATHS: u64 = 10;
const RUNS: u128 = 8;
const DB: &str = "MAOF_STORE_KILL_TEST_DB";
const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn tenant() -> Name {
    Principal::local().tenant.clone()
}

fn account() -> Account {
    Account { tenant: tenant(), name: name("a"), measure: Measure::Requests, window: Window::Total }
}

async fn open(db: &Path) -> SqliteStore {
    SqliteStore::open(&Config { path: db.to_owned(), ..Config::default() }).await.unwrap()
}

fn new(number: u128) -> NewRun {
    let id = Uuid::from_u128(number);
    let task = serde_json::json!({
        "id": id, "task_type": "t", "content": "c", "priority": 0, "deadline": null,
        "principal": &*Principal::local(),
    });
    NewRun {
        id: RunId::from_uuid(id),
        workflow: name("w"),
        version: "v".to_owned(),
        task: serde_json::from_value(task).unwrap(),
        idempotency_key: Some(number.to_string()),
        records: vec![Bytes::from_static(b"accepted")],
        at: NOW,
        claim: None,
    }
}

/// One attempt a record, with an id that tells which.
fn attempt(run: RunId, fence: i64, seq: u64) -> Attempt {
    let id = Uuid::from_u128(run.uuid().as_u128() << 96 | (fence as u128) << 64 | u128::from(seq));
    serde_json::from_value(serde_json::json!({
        "id": id, "call": id, "tenant": tenant(), "user": "u", "tier": "x", "run": run, "step": null,
        "agent": "a", "endpoint": "e", "model": "m", "began": NOW, "micros": 1, "usage": {}, "cost": 0,
    }))
    .unwrap()
}

/// Commits for ever, and says on its standard output what it was told is durable.
async fn work(store: Arc<SqliteStore>, run: Run) {
    let key: Arc<str> = run.id.to_string().into();
    for seq in run.seq.. {
        // Raised before each attempt, as calls do; some wait for their commit and some do not.
        let mode =
            if run.id.uuid().as_u128().is_multiple_of(2) { HoldMode::Strict } else { HoldMode::Batched };
        let charge = Charge { account: account(), amount: 1, limit: Some(10_000_000) };
        store.hold(&key, &[charge], mode, NOW).await.unwrap();
        store.charge(&key, attempt(run.id, run.fence, seq));
        let record = Bytes::from(format!("{} {}", run.fence, seq + 1));
        let batch =
            Batch { run: run.id, fence: run.fence, seq, records: vec![record], finished: None, at: NOW };
        store.commit(batch).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "acked {} {} {}", run.id, run.fence, seq + 1).unwrap();
    }
}

/// Not a test: what the test below starts, and kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "only as the process that is killed"]
async fn child() {
    let Some(db) = std::env::var_os(DB) else { return };
    let store = Arc::new(open(Path::new(&db)).await);
    for number in 1..=RUNS {
        store.accept(new(number)).await.unwrap();
    }
    let versions = ["v".to_owned()];
    let lease = Duration::from_secs(3_600);
    let claim = Claim { owner: "me", limit: 99, now: NOW, lease, only: None, versions: Some(&versions) };
    let runs = store.claim(claim).await.unwrap();
    assert_eq!(runs.len() as u128, RUNS, "what the dead one had is claimed at once");
    let mut all = tokio::task::JoinSet::new();
    for run in runs {
        all.spawn(work(Arc::clone(&store), run));
    }
    all.join_next().await.unwrap().unwrap();
}

/// Starts the child, kills it after so many lines, and gives everything that it had said: the last record
/// of each run, with its fence.
fn live_and_die(db: &Path, lines: u64) -> HashMap<RunId, (i64, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(DB, db)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = HashMap::new();
    let mut left = lines;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // The harness writes its own words before the first of ours, without a new line.
        let Some((_, acked)) = line.split_once("acked ") else { continue };
        let mut words = acked.split(' ');
        let mut word = || words.next();
        // The last line may be half a line.
        if let (Some(run), Some(fence), Some(seq)) = (word(), word(), word())
            && let (Ok(run), Ok(fence), Ok(seq)) = (run.parse(), fence.parse(), seq.parse())
        {
            said.insert(run, (fence, seq));
        }
        left = left.saturating_sub(1);
        if left == 0 {
            // Again and again until its end is read: once it is dead it says nothing more.
            child.kill().unwrap();
        }
    }
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success(), "killed, not ended");
    assert_eq!(left, 0, "it died by itself: {}", String::from_utf8_lossy(&output.stderr));
    said
}

/// What processes held when they were killed: it counts as spent.
fn lost(db: &Path) -> i64 {
    let c = rusqlite::Connection::open(db).unwrap();
    let held: i64 = c.query_row("SELECT count(*) FROM hold", (), |row| row.get(0)).unwrap();
    assert_eq!(held, 0, "what was held is resolved");
    c.query_row("SELECT coalesce(sum(amount), 0) FROM lost_hold", (), |row| row.get(0)).unwrap()
}

async fn check(db: &Path, said: &HashMap<RunId, (i64, u64)>, round: u64) {
    let c = rusqlite::Connection::open(db).unwrap();
    let sound: String = c.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok", "round {round}");
    drop(c);
    let store = open(db).await;
    let mut attempts = 0;
    for (&run, &(fence, last)) in said {
        let records = store.load(&tenant(), run).await.unwrap();
        let seqs: Vec<u64> = records.iter().map(|r| r.seq).collect();
        assert_eq!(seqs, (1..=records.len() as u64).collect::<Vec<_>>(), "round {round}: no gap");
        let record =
            records.get(last as usize - 1).unwrap_or_else(|| panic!("round {round}: {last} is lost"));
        assert_eq!(record.bytes, format!("{fence} {last}"), "round {round}");
        // Where a record is durable, so is what it cost.
        let written = store.attempts(&tenant(), Some(run), u32::MAX).await.unwrap();
        assert!(written.len() + 1 >= records.len(), "round {round}: {} of {}", written.len(), records.len());
        attempts += written.len() as i64;
    }
    assert_eq!(said.len() as u128, RUNS, "every run went on");
    let spent = store.balance(&account(), NOW).await.unwrap().spent;
    let lost = lost(db);
    assert_eq!(
        spent,
        attempts + lost,
        "round {round}: the account is the sum of its attempts, and of what was held"
    );
}

#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost_by_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("maof.db");
    let random = SeededRandom::announced();
    for round in 0..DEATHS {
        let lines = 200 + random.below(2_000);
        let said = live_and_die(&db, lines);
        check(&db, &said, round).await;
    }
}
