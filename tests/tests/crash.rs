//! D01: killed with SIGKILL at any write point and resumed, a run completes, its answers are those of an
//! undisturbed run, and no call whose answer was committed is made twice, by the upstream's own count.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use maof::{Config, Principal, Record, RunFilter, RunState};
use maof_core::Journal as _;
use maof_store::SqliteStore;
use maof_testkit::Stats;
use maof_tests::crash::POINTS;

/// How often each point's turn comes; with eight points, 160 deaths.
const SEEDS: u64 = 20;

/// The scripted upstream as a process of its own.
struct Upstream(Child, String);

impl Upstream {
    fn start() -> Upstream {
        let mut child =
            Command::new(env!("CARGO_BIN_EXE_echo-upstream")).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Upstream(child, format!("http://127.0.0.1:{}", port.trim()))
    }

    async fn stats(&self) -> Stats {
        let text = reqwest::get(format!("{}/__stats", self.1)).await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn worker(db: &Path, upstream: &Upstream, point: &str, nth: u64, run: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crash-worker"));
    command.arg(db).arg(format!("{}/v1", upstream.1)).arg(point).arg(nth.to_string()).args(run);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

/// What was on disk when the process died: the run, whether it had ended, and the calls that have an answer,
/// by their effect keys.
async fn committed(db: &Path) -> Option<(String, bool, BTreeSet<String>)> {
    let mut config = Config::default();
    config.store.path = db.into();
    let store = SqliteStore::open_shared(&config.store).await.ok()?;
    let tenant = Principal::local().tenant.clone();
    let runs = store.runs(&tenant, RunFilter { limit: 10, ..RunFilter::default() }).await.unwrap();
    let [run] = runs.as_slice() else { return None };
    let mut answered = BTreeSet::new();
    for row in store.load(&tenant, run.id).await.unwrap() {
        if let Record::Answered { slot, .. } = Record::decode(&row.bytes).unwrap() {
            answered.insert(format!("{}/{}/{}/{}", run.id, slot.step, slot.item, slot.member));
        }
    }
    Some((run.id.to_string(), run.state == RunState::Completed, answered))
}

/// One death at `point`, the `nth` time that it is reached, and the resumption. False if it was never reached.
async fn die_and_resume(point: &str, nth: u64, undisturbed: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("maof.db");
    let upstream = Upstream::start();
    let died = worker(&db, &upstream, point, nth, None);
    let at = format!("{point} {nth}");
    let survived = died.status.success();
    let left = committed(&db).await;
    assert!(survived || left.is_some() || point == "accept.before", "{at}: an accepted task is lost");
    // A caller who was not told that the task was accepted submits it again, under the same key.
    let id = left.as_ref().map(|(id, ..)| id.as_str()).filter(|_| !point.starts_with("accept"));
    let resumed = worker(&db, &upstream, "never", 1, id);
    let said = String::from_utf8_lossy(&resumed.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&resumed.stderr).into_owned();
    assert!(resumed.status.success(), "{at}: not resumed: {stderr}");
    assert_eq!(said, undisturbed, "{at}: another answer");

    let (_, ended, answered) = committed(&db).await.expect("the run is there");
    assert!(ended && answered.len() == 7, "{at}: {answered:?}");
    let stats = upstream.stats().await;
    if let Some((_, _, before)) = left {
        for effect in before {
            assert_eq!(stats.effects.get(&effect), Some(&1), "{at}: {effect} was called again");
        }
    }
    let most = stats.effects.values().max().copied().unwrap_or(0);
    assert!(most <= 2, "{at}: {:?}", stats.effects);
    !survived
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_at_any_write_point_goes_on_without_calling_twice() {
    maof::init();
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::start();
    let undisturbed = worker(&dir.path().join("maof.db"), &upstream, "never", 1, None);
    assert!(undisturbed.status.success(), "{}", String::from_utf8_lossy(&undisturbed.stderr));
    let undisturbed = String::from_utf8(undisturbed.stdout).unwrap();
    for point in POINTS {
        let once = matches!(point, "accept.before" | "accept.after" | "claim.after" | "finish.after");
        let mut deaths = 0;
        for seed in 0..SEEDS {
            // What happens once in a run is hit once; the rest at a place that the seed chooses.
            let nth = if once { 1 } else { 1 + seed % 7 };
            eprintln!("{point}: seed {seed}, time {nth}");
            deaths += u64::from(die_and_resume(point, nth, &undisturbed).await);
        }
        // How often the journal is written depends on which answers come together.
        let expected = if once { SEEDS } else { SEEDS / 2 };
        assert!(deaths >= expected, "{point}: {deaths} deaths");
    }
}
