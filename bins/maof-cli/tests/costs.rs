//! `maof cost` and `maof budget` as people use them: after a run, beside nobody.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const CONFIG: &str = "
endpoints:
  - {name: dear, local: lexicon, price: {request: 0.01}}
  - {name: cheap, local: lexicon, price: {request: 0.001}}
agents:
  - {name: analyst, endpoints: [dear, cheap]}
budgets:
  - {account: 'agent:analyst', limit_usd: 5, window: month}
  - {account: tenant, limit_requests: 100}
";
const FLOW: &str = "name: w\nsteps:\n  - {id: a, agent: analyst, ask: '{{ input }}'}\n";

fn run(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maof"));
    command.current_dir(dir).args(args).env_remove("MAOF_CONFIG").env_remove("MAOF_DB");
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder in which so many tasks were run.
fn after(tasks: usize) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("maof.yaml"), CONFIG).unwrap();
    std::fs::write(dir.path().join("w.yaml"), FLOW).unwrap();
    for _ in 0..tasks {
        let output = run(dir.path(), &["run", "w.yaml", "--content", "A lovely day.", "-q"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    dir
}

fn check(dir: &Path, args: &[&str], code: i32, parts: &[&str]) -> String {
    let output = run(dir, args);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    for part in parts {
        assert!(said.contains(part), "{args:?} does not say {part:?} but {said}");
    }
    said
}

#[test]
fn what_was_spent_is_told_as_a_table_as_csv_and_as_json() {
    let dir = after(2);
    let dir = dir.path();
    check(
        dir,
        &["cost", "breakdown", "--by", "agent,task_type"],
        0,
        &["agent    task_type", "analyst  w", "$0.02", "(all)"],
    );
    let csv = check(dir, &["cost", "breakdown", "--by", "endpoint", "--csv"], 0, &["\ndear,2,0,2,0.02,"]);
    assert!(csv.starts_with("endpoint,attempts,"), "{csv}");
    let json =
        check(dir, &["cost", "breakdown", "--by", "user", "--only", "endpoint=dear", "--json"], 0, &[]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["rows"][0]["user"], &json["total"]["cost_usd"]), (&"local".into(), &"0.02".into()));
    check(dir, &["cost", "breakdown", "--only", "endpoint=cheap"], 0, &["(all)         0"]);
    check(dir, &["cost", "suggestions"], 0, &["saves $0.01", "evidence: 1 of 2 attempts"]);
    check(dir, &["cost", "forecast"], 0, &["no complete day"]);
    check(dir, &["budget", "show"], 0, &["agent:analyst  money     month", "$4.98", "tenant", "never"]);
    let json: Value = serde_json::from_str(&check(dir, &["budget", "show", "--json"], 0, &[])).unwrap();
    assert_eq!((&json["budgets"][0]["spent"], &json["budgets"][1]["left"]), (&"0.02".into(), &98.into()));
}

#[test]
fn what_cannot_be_told_is_refused_by_name() {
    let dir = after(0);
    let dir = dir.path();
    check(dir, &["cost", "breakdown"], 3, &["there is no database"]);
    check(dir, &["cost", "breakdown", "--by", "colour"], 2, &["`colour` is none of agent"]);
    check(dir, &["cost", "breakdown", "--since", "today"], 2, &["2026-11-01"]);
    check(dir, &["cost", "breakdown", "--only", "agent"], 2, &["DIMENSION=VALUE"]);
    check(dir, &["cost", "suggestions", "--days", "0"], 2, &["1..=3660"]);
    check(dir, &["budget", "reconcile", "x.csv"], 2, &["--since"]);
    let dir = after(1);
    check(dir.path(), &["cost", "breakdown", "--by", "agent,agent"], 2, &["said twice"]);
    check(dir.path(), &["cost", "breakdown", "--limit", "0"], 2, &["limit"]);
}

#[test]
fn the_ledger_is_compared_with_what_a_provider_says() {
    let dir = after(2);
    let dir = dir.path();
    let said = check(dir, &["cost", "breakdown", "--by", "model", "--json"], 0, &[]);
    let input = serde_json::from_str::<Value>(&said).unwrap()["rows"][0]["input_tokens"].as_u64().unwrap();
    let export = |cost: &str| {
        let rows = format!("Model,In,cost\nlexicon-2024-08-06,{input},{cost}\nlexicon,0,0.005\n");
        std::fs::write(dir.join("usage.csv"), rows).unwrap();
    };
    let args = [
        "budget",
        "reconcile",
        "usage.csv",
        "--since",
        "2020-01-01",
        "--until",
        "2100-01-01",
        "--input",
        "In",
    ];
    let with = |more: &[&'static str]| [&args[..], &["--model", "Model"], more].concat();
    export("0.015");
    check(dir, &with(&[]), 0, &["lexicon", "agrees"]);
    export("0.0149");
    check(dir, &with(&[]), 1, &["$0.0199", "differs"]);
    check(dir, &with(&["--tolerance", "1"]), 0, &["agrees"]);
    check(dir, &with(&["--json"]), 1, &["\"agree\":false"]);
    check(dir, &args, 2, &["no row has a column `model`"]);
    check(dir, &with(&["--cost", "Model"]), 2, &["no number of tokens or dollars"]);
}
