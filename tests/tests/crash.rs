//! D01: killed with SIGKILL at any write point and resumed, a run completes, its answers are those of an
//! undisturbed run, and no call whose answer was committed is made twice, by the upstream's own count.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use maof::{Config, Principal, Record, RunFilter, Tasks};
use maof_core::Journal as _;
use maof_store::SqliteStore;
use maof_tests::crash::POINTS;
use serde_json::Value;

/// How often each point's turn comes; with eight points, 160 deaths.
const SEEDS: u64 = 20;

/// The scripted upstream as a process of its own.
struct Upstream(Child, String);

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn worker(db: &Path, upstream: &str, point: &str, nth: u64, run: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crash-worker"));
    command.arg(db).arg(upstream).arg(point).arg(nth.to_string()).args(run);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

/// What was committed when the process died: the run, and the steps' slots that have an answer.
async fn committed(db: &Path) -> Option<(String, BTreeSet<String>)> {
    let mut config = Config::default();
    config.store.path = db.into();
    let tasks = Tasks::open(&config).await.ok()?;
    let who = Principal::local();
    let runs = tasks.runs(&who, RunFilter { limit: 10, ..RunFilter::default() }).await.unwrap();
    let [run] = runs.as_slice() else { return None };
    let store = SqliteStore::open_shared(&config.store).await.unwrap();
    let mut answered = BTreeSet::new();
    for row in store.load(&who.tenant, run.id).await.unwrap() {
        if let Record::Answered { step, slot, .. } = Record::decode(&row.bytes).unwrap() {
            answered.insert(format!("{step}/{}", slot.item));
        }
    }
    Some((run.id.to_string(), answered))
}
