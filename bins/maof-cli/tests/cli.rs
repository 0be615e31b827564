//! The command line as people use it: exit codes, one clear message each, and a run that goes on after Ctrl-C.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

fn maof() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_maof"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(maof());
    command.current_dir(dir).args(args).env_remove("MAOF_CONFIG").env_remove("MAOF_DB");
    command.env_remove("MAOF_API_KEY").env("NO_PROXY", "127.0.0.1");
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn check(files: &[(&str, &str)], args: &[&str], code: i32, parts: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    let output = run(dir.path(), args);
    let said = text(&output.stderr) + &text(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    for part in parts {
        assert!(said.contains(part), "{args:?} does not say {part:?} but {said}");
    }
    assert!(code == 0 || !dir.path().join("maof.db").exists(), "{args:?}: a database was left behind");
}

const FLOW: &str = "name: w\nsteps:\n  - {id: a, agent: lexicon, ask: '{{ input }}'}\n";

#[test]
fn wrong_configuration_is_told_by_file_line_and_key() {
    let conf = |text| [("maof.yaml", text)];
    let args = ["config", "check"];
    check(&conf("sever: {}\n"), &args, 2, &["maof.yaml:1:1", "`sever`", "did you mean `server`"]);
    check(&conf("server: {body_limit: lots}\n"), &args, 2, &["maof.yaml:1:22"]);
    check(&conf("server: {body_limit: 0}\n"), &args, 2, &["server.body_limit", "1 to 1,073,741,824"]);
    check(&conf("server: {listen: nowhere}\n"), &args, 2, &["server.listen", "host:port"]);
    check(
        &conf("providers: {p: {profile: openai, api_key: '${NO_SUCH_KEY}'}}\n"),
        &args,
        2,
        &["NO_SUCH_KEY", "not set"],
    );
    check(&conf("agents: [{name: lexikon}]\n"), &args, 2, &["agents[0].endpoints", "did you mean `lexicon`"]);
    check(
        &conf("endpoints: [{name: a, local: lexikon}]\n"),
        &args,
        2,
        &["endpoints[0].local", "did you mean"],
    );
    check(&conf("endpoints: [{name: a, provider: p, model: m}]\n"), &args, 2, &["provider called `p`"]);
    check(
        &conf("budgets: [{account: tenant, limit_usd: -1}]\n"),
        &args,
        2,
        &["budgets[0].limit_usd", "above 0"],
    );
    check(
        &conf("budgets: [{account: 'agent:nobody', limit_usd: 1}]\n"),
        &args,
        2,
        &["budgets[0].account", "nobody"],
    );
    check(&conf("workflows: [nope.yaml]\n"), &args, 3, &["nope.yaml"]);
    check(&conf("log: {filter: 'maof=loud'}\n"), &args, 2, &["log.filter"]);
    check(&conf("log: {filter: info}\n"), &args, 0, &["is valid"]);
    check(&[], &["config", "check", "no.yaml"], 3, &["no.yaml"]);
}

#[test]
fn secrets_are_never_shown() {
    let conf = "providers: {p: {profile: openai, api_key: sk-SECRETPROBE}}\n";
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("maof.yaml"), conf).unwrap();
    for args in [&["config", "show"][..], &["config", "check", "--json"], &["agents"]] {
        let output = run(dir.path(), args);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!said.contains("SECRETPROBE"), "{args:?}: {said}");
    }
}

#[test]
fn wrong_workflows_and_inputs_are_told_before_anything_is_opened() {
    let flow = |text| [("w.yaml", text)];
    let args = ["run", "w.yaml", "--content", "q"];
    check(&flow("name: w\nstep: []\n"), &args, 2, &["w.yaml:2:1", "did you mean `steps`"]);
    check(&flow("name: w\nsteps: [\n"), &args, 2, &["w.yaml:"]);
    check(&[], &args, 3, &["w.yaml"]);
    let with = |more: &str| format!("name: w\n{more}steps:\n  - {{id: a, agent: lexicon}}\n");
    let inputs = with("inputs: {news: {file: news.tsv}}\n");
    check(&[("w.yaml", &inputs)], &["run", "w.yaml"], 3, &["inputs.news", "news.tsv"]);
    let inputs = with("inputs: {news: {file: news.json}}\n");
    check(&[("w.yaml", &inputs), ("news.json", "{\n\"a\": }")], &["run", "w.yaml"], 2, &["news.json:2"]);
    check(&flow(FLOW), &["run", "w.yaml", "--content", "{"], 2, &["content"]);
    check(&[], &["run"], 2, &["Usage"]);
    check(&[], &["frobnicate"], 2, &["unrecognized subcommand"]);
}

#[test]
fn a_workflow_that_does_not_fit_is_refused_and_nothing_is_accepted() {
    let refuse = |flow: &str, content: &str, parts: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("w.yaml"), flow).unwrap();
        let output = run(dir.path(), &["run", "w.yaml", "--content", content]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        let listed = run(dir.path(), &["tasks", "list"]);
        assert!(text(&listed.stdout).contains("no tasks"), "{}", text(&listed.stdout));
    };
    refuse("name: w\nsteps:\n  - {id: a, agent: lexikon}\n", "q", &["steps.a", "did you mean `lexicon`"]);
    refuse(
        "name: w\nsteps:\n  - {id: a, agent: lexicon, needs: [b]}\n  - {id: b, agent: lexicon}\n",
        "q",
        &["wait for one another", "a, b"],
    );
    refuse(FLOW, " ", &["content", "empty"]);
}

/// The main job on a copy of its data, with a database of its own.
fn market_brief(dir: &TempDir, args: &[&str]) -> Output {
    let example = root().join("examples/market-brief");
    let config = example.join("maof.yaml");
    let db = dir.path().join("brief.db");
    let mut command = Command::new(maof());
    command.args(["--config", config.to_str().unwrap(), "--db", db.to_str().unwrap()]).args(args);
    command.current_dir(dir.path()).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn the_main_job_shows_who_did_what_and_what_a_budget_changed() {
    let dir = tempfile::tempdir().unwrap();
    let workflow = root().join("examples/market-brief/workflow.yaml");
    let output = market_brief(&dir, &["run", workflow.to_str().unwrap(), "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["state"], "completed");
    let step = |name: &str| {
        let steps = report["steps"].as_array().unwrap();
        steps.iter().find(|s| s["step"] == name).unwrap().clone()
    };
    let vote = step("sentiment");
    let right = |v: &Value| v["right"][0].as_u64().unwrap();
    let best = vote["agents"].as_array().unwrap().iter().map(right).max().unwrap();
    assert!(right(&vote["vote"]) >= best, "the vote does no harm: {} against {best}", right(&vote["vote"]));
    assert_eq!(vote["vote"]["items"], 603);
    let agents = step("summaries")["agents"].clone();
    let clerk = agents.as_array().unwrap().iter().find(|a| a["agent"] == "clerk").unwrap().clone();
    assert_eq!(clerk["instead_of"][0]["agent"], "editor");
    assert_eq!(clerk["instead_of"][0]["error"], "budget_exceeded");

    let shown = market_brief(&dir, &["tasks", "show", report["run"].as_str().unwrap()]);
    let shown = text(&shown.stdout);
    assert!(shown.contains("clerk stood in 3 times for editor, whose budget was used up"), "{shown}");
    let listed = market_brief(&dir, &["tasks", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["tasks"][0]["state"], "completed");
}

#[test]
fn an_interrupted_run_says_how_to_go_on_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("brief.db");
    let workflow = root().join("examples/market-brief/workflow.yaml");
    let config = root().join("examples/market-brief/maof.yaml");
    let mut child = Command::new(maof())
        .args(["--config", config.to_str().unwrap(), "--db", db.to_str().unwrap(), "run"])
        .arg(&workflow)
        .current_dir(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Interrupted as soon as it works on the run: it has said which one that is.
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    told.read_line(&mut said).unwrap();
    assert!(said.starts_with("run "), "{said}");
    let me = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(me, rustix::process::Signal::INT).unwrap();
    told.read_to_string(&mut said).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{said}");
    let line = said.lines().find(|l| l.starts_with("resume with: maof run --resume ")).unwrap();
    let id = line.split_whitespace().nth(5).unwrap();
    assert!(said.contains("maof tasks cancel"), "{said}");
    let resumed = market_brief(&dir, &["run", "--resume", id, "--json"]);
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    let report: Value = serde_json::from_slice(&resumed.stdout).unwrap();
    assert_eq!((&report["state"], &report["run"]), (&Value::from("completed"), &Value::from(id)));
}

#[test]
fn a_server_reads_its_configuration_again_at_a_hangup() {
    let dir = tempfile::tempdir().unwrap();
    let write = |agents: &str| {
        std::fs::write(
            dir.path().join("maof.yaml"),
            format!("log: {{format: json, filter: info}}\nagents: [{agents}]\n"),
        )
        .unwrap()
    };
    write("{name: one, endpoints: [lexicon]}");
    let mut child = Command::new(maof())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .current_dir(dir.path())
        .env_remove("MAOF_CONFIG")
        .env_remove("MAOF_DB")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut until = |part: &str| loop {
        let mut line = String::new();
        assert_ne!(told.read_line(&mut line).unwrap(), 0, "it ended before it said {part:?}");
        if line.contains(part) {
            return line;
        }
    };
    until("listening on http://");
    let me = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let hang_up = || rustix::process::kill_process(me, rustix::process::Signal::HUP).unwrap();
    write("{name: one, endpoints: [lexicon]}, {name: two, endpoints: [bayes]}");
    hang_up();
    assert!(until("the configuration was reloaded").contains("+1 -0 ~0"));
    write("{name: one, endpoints: [nowhere]}");
    hang_up();
    let line = until("the configuration was not reloaded");
    assert!(line.contains("agents[0].endpoints"), "{line}");
    rustix::process::kill_process(me, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Outcomes of two models: the cheap one can do what is easy, the strong one everything.
fn outcomes() -> String {
    let line = |n: u32| {
        let (prompt, cheap, said) = if n.is_multiple_of(2) {
            (format!("add {n} and two"), 1, "1 + 2 = 3. #### 3")
        } else {
            (format!("prove lemma {n} of the book"), 0, "Then the")
        };
        let y = serde_json::json!({"cheap": cheap, "strong": 1});
        let out = serde_json::json!({"cheap": said, "strong": "Yes."});
        serde_json::json!({"id": n, "prompt": prompt, "y": y, "out": out}).to_string()
    };
    (0..200).map(|n| line(n) + "\n").collect()
}

fn run_with(dir: &Path, args: &[&str], input: &str) -> Output {
    let mut command = Command::new(maof());
    command.current_dir(dir).args(args).env_remove("MAOF_CONFIG").env_remove("MAOF_DB");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that refuses its arguments does not read.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn a_trained_model_scores_and_chooses_for_prompts_it_has_not_seen() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("o.jsonl"), outcomes()).unwrap();
    std::fs::write(dir.path().join("prices.json"), r#"{"cheap": [1, 1], "strong": [10, 10]}"#).unwrap();
    let output = run(dir.path(), &["route", "train", "o.jsonl", "--model", "m"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("strong: strong, cheap: cheap") && said.contains("APGR"), "{said}");
    let answers = |args: &[&str], questions: &str| -> Vec<String> {
        let output = run_with(dir.path(), args, questions);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout).lines().map(str::to_owned).collect()
    };
    let score = |line: &str| line.split_once('\t').unwrap().1.parse::<f64>().unwrap();
    let questions = "{\"id\": \"e\", \"prompt\": \"add 999 and two\"}\n\n{\"id\": 7, \"prompt\": \"prove lemma 999 of the book\"}\n";
    let found = answers(&["route", "score", "--model", "m"], questions);
    assert!(found[0].starts_with("e\t") && found[1].starts_with("7\t"), "{found:?}");
    assert!(score(&found[1]) > score(&found[0]) + 0.2, "{found:?}");
    let chosen = answers(&["route", "choose", "--model", "m", "--quality", "0.95"], questions);
    assert_eq!(chosen, ["e\tcheap", "7\tstrong"]);
    // The same prompt: only the cheap model's answer differs, and nothing else of the line is looked at.
    let answered = |said: &str| {
        format!(
            "{{\"id\": 1, \"prompt\": \"add 1 and two\", \"y\": 5, \"out\": {{\"cheap\": \"{said}\", \"strong\": 5}}}}\n"
        )
    };
    let pair = answered("1 + 2 = 3. #### 3") + &answered("1 + 2 = 4, then the");
    let found = answers(&["route", "score", "--cascade", "--model", "m"], &pair);
    assert!(score(&found[1]) > score(&found[0]) + 0.2, "{found:?}");
}

#[test]
fn route_explains_whom_it_would_ask_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let config = "\
agents: [{name: quick, endpoints: [lexicon]}, {name: thorough, endpoints: [bayes]}]
routing:
  strategy: {filter: [tags], rank: [complexity]}
  default_agents: [quick, thorough]
  tiers: [{up_to: 0.3, agents: [quick]}, {agents: [thorough]}]
  tags: [{tag: team, is: finance, agents: [thorough]}]
";
    std::fs::write(dir.path().join("maof.yaml"), config).unwrap();
    let say = |args: &[&str], input: &str| {
        let output = run_with(dir.path(), &[&["route", "explain"], args].concat(), input);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let order = |args: &[&str], input: &str| {
        let said: Value = serde_json::from_str(&say(&[args, &["--json"]].concat(), input)).unwrap();
        let agent = |one: &Value| one["agent"].as_str().unwrap().to_owned();
        said["candidates"].as_array().unwrap().iter().map(agent).collect::<Vec<_>>()
    };
    let task = ["--task-type", "any"];
    assert_eq!(order(&task, "hi"), ["quick", "thorough"]);
    assert_eq!(order(&task, &"why? explain, prove, compare. ".repeat(2_000)), ["thorough", "quick"]);
    assert_eq!(order(&["--task-type", "any", "--tag", "team=finance"], "hi"), ["thorough"]);
    assert_eq!(order(&["--model", "bayes"], "hi"), ["bayes"]);
    let said = say(&["--task-type", "any", "--tag", "team=finance"], "hi");
    for part in [
        "strategy composed: nobody is named",
        "1. thorough at bayes  complexity 1",
        "not quick at lexicon: tags",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let wrong = |args: &[&str], parts: &[&str]| check(&[("maof.yaml", config)], args, 2, parts);
    wrong(&["route", "explain"], &["--task-type"]);
    wrong(&["route", "explain", "--model", "x", "--tag", "y"], &["KEY=VALUE"]);
    let bad = config.replace("up_to: 0.3", "up_to: 3");
    check(
        &[("maof.yaml", &bad)],
        &["route", "explain", "--task-type", "any"],
        2,
        &["routing.tiers[0].up_to"],
    );
}

#[test]
fn bad_input_to_route_is_told_by_file_line_and_field() {
    let train = ["route", "train", "o.jsonl", "--model", "m"];
    let good = outcomes();
    let with = |line: &str| good.clone() + line;
    let wrong = |line: &str, parts: &[&str]| check(&[("o.jsonl", &with(line))], &train, 2, parts);
    wrong("{", &["o.jsonl, line 201", "JSON"]);
    wrong(r#"{"prompt": "q"}"#, &["o.jsonl, line 201", "`y` is missing"]);
    wrong(r#"{"prompt": "q", "y": {"cheap": 2}}"#, &["line 201", "`y.cheap`", "0 to 1"]);
    check(&[("o.jsonl", "")], &train, 2, &["outcomes", "at least 20"]);
    check(&[], &train, 3, &["o.jsonl"]);
    check(
        &[("o.jsonl", &good)],
        &["route", "train", "o.jsonl", "--model", "m", "--strong", "x"],
        2,
        &["strong", "`x`"],
    );
    let args = ["route", "train", "o.jsonl", "--model", "m", "--prices", "p"];
    check(&[("o.jsonl", &good), ("p", "{}")], &args, 2, &["prices.cheap"]);
    check(&[("m", "nonsense")], &["route", "score", "--model", "m"], 2, &["model", "no model"]);
    check(&[], &["route", "score", "--model", "m"], 3, &["m"]);

    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("o.jsonl"), good).unwrap();
    assert_eq!(run(dir.path(), &train).status.code(), Some(0));
    let refuse = |args: &[&str], input: &str, parts: &[&str]| {
        let output = run_with(dir.path(), args, input);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    };
    let score = ["route", "score", "--model", "m"];
    refuse(&score, "{\"id\": 1, \"prompt\": \"q\"}\n{\"id\": 2}\n", &["standard input, line 2", "`prompt`"]);
    refuse(&score, "{\"prompt\": \"q\"}\n", &["line 1", "`id`"]);
    let cascade = ["route", "score", "--model", "m", "--cascade"];
    refuse(&cascade, "{\"id\": 1, \"prompt\": \"q\"}\n", &["line 1", "`out`"]);
    refuse(&["route", "choose", "--model", "m", "--quality", "-1"], "", &["quality"]);
}

#[test]
fn endpoints_that_are_probed_say_whether_they_are_well() {
    check(&[], &["agents", "--probe"], 0, &["lexicon     well ("]);
    let config = "providers: {p: {profile: openai_compatible, base_url: 'http://127.0.0.1:1/v1'}}\n\
                  endpoints: [{name: gone, provider: p, model: m}]\n";
    check(&[("maof.yaml", config)], &["agents", "--probe"], 6, &["gone  unwell: "]);
    check(&[("maof.yaml", config)], &["agents", "--probe", "--json"], 6, &["\"status\":\"unwell\""]);
}

/// A server that takes one request and answers it so; what it was sent.
fn answering(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut socket, _) = listener.accept().unwrap();
        let (mut sent, mut some) = (Vec::new(), [0; 1024]);
        // The body is one JSON object, and the last thing that is sent; what only asks has none.
        let ended = |sent: &[u8]| match sent.starts_with(b"GET ") {
            true => sent.ends_with(b"\r\n\r\n"),
            false => sent.ends_with(b"}"),
        };
        while !ended(&sent) {
            let read = socket.read(&mut some).unwrap();
            assert!(read > 0, "{}", text(&sent));
            sent.extend_from_slice(&some[..read]);
        }
        socket.write_all(answer.as_bytes()).unwrap();
        text(&sent)
    });
    (url, served)
}

#[test]
fn feedback_is_sent_with_the_key_and_a_refusal_is_told_as_it_was_there() {
    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    let check = |answer: &'static str, more: &[&str], code: i32, part: &str| {
        let (url, served) = answering(answer);
        let dir = tempfile::tempdir().unwrap();
        let url = url + "/";
        let args = [&["feedback", ID, "0.8", "--key", "sk-mine", "--url", &url], more].concat();
        let output = run(dir.path(), &args);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{answer}: {said}");
        assert!(said.contains(part) && !said.contains("sk-mine"), "{answer}: {said}");
        let sent = served.join().unwrap();
        assert!(sent.starts_with("POST /feedback HTTP/1.1\r\n"), "{sent}");
        assert!(sent.to_lowercase().contains("\r\nauthorization: bearer sk-mine\r\n"), "{sent}");
        let body: Value = serde_json::from_str(sent.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(body, serde_json::json!({"decision": ID, "score": 0.8}));
    };
    let json = &["--json"][..];
    check("HTTP/1.1 204 No Content\r\n\r\n", &[], 0, "was worth 0.8: noted");
    check("HTTP/1.1 204 No Content\r\n\r\n", json, 0, &format!(r#"{{"decision":"{ID}","score":0.8}}"#));
    let unknown = concat!(
        "HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n",
        r#"{"error": {"code": "not_found", "message": "no decision of that id", "param": "decision"}}"#,
    );
    check(unknown, &[], 3, "error: no decision of that id");
    check(unknown, json, 3, r#""param":"decision""#);
    let refused = concat!(
        "HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n\r\n",
        r#"{"error": {"code": "unauthenticated", "message": "this key is not known"}}"#,
    );
    check(refused, &[], 4, "this key is not known");
    check("HTTP/1.1 302 Found\r\nlocation: /\r\nconnection: close\r\n\r\n", &[], 6, "status 302");
    check("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n<html>", &[], 6, "none of MAOF's");
}

#[test]
fn wrong_feedback_is_told_before_anybody_is_asked() {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let wrong = |args: &[&str], code: i32, part: &str| {
        check(&[], &[&["feedback"], args, &["--key", "k"]].concat(), code, &[part]);
    };
    wrong(&[id, "1.5"], 2, "`score` must be 0 to 1");
    wrong(&[id, "-1"], 2, "`score` must be 0 to 1");
    wrong(&[id, "NaN"], 2, "`score` must be 0 to 1");
    wrong(&[id, "good"], 2, "SCORE");
    wrong(&["first", "1"], 2, "DECISION");
    wrong(&[id, "1", "--url", "localhost:8000"], 2, "--url");
    wrong(&[id, "1", "--url", "nowhere"], 2, "--url");
    wrong(&[id, "1", "--url", "http://127.0.0.1:1"], 6, "no server answered");
    check(&[], &["feedback", id, "1", "--key", "a\nb"], 2, &["key"]);
    check(&[], &["feedback", "--help"], 0, &["Example:", "MAOF_API_KEY"]);
}

const PRICES: &str = r#"{"format":"maof-prices/1","source":"mine","version":"1","licence":"MIT","sha256":"0","models":1}
{"provider":"acme","model":"big","match":["big-*"],"context":9,"prices":[{"price":{"input":"1","output":"2"}},{"over":5,"price":{"input":"3","output":"4"}}]}
"#;

#[test]
fn prices_are_shown_and_checked() {
    let file = ("prices.jsonl", PRICES);
    let conf = ("maof.yaml", "prices: {file: prices.jsonl}\n");
    check(
        &[],
        &["prices", "show", "anthropic/claude-haiku-4-5"],
        0,
        &["input 1.00", "output 5.00", "200000 tokens"],
    );
    check(&[], &["prices", "show", "claude-haiku-4-5"], 0, &["at anthropic", "at google"]);
    check(&[], &["prices", "show", "gpt-4o", "--json"], 0, &[r#""sha256""#, r#""input":"2.50""#]);
    check(&[], &["prices", "show", "nobody-sells-this"], 3, &["no price of `nobody-sells-this`"]);
    check(&[], &["prices", "check"], 0, &["genai-prices", "MIT"]);
    check(
        &[file, conf],
        &["prices", "show", "big-2"],
        0,
        &["big at acme, 9", "over 5: input 3.00, output 4.00", "mine 1"],
    );
    check(&[file], &["prices", "check", "prices.jsonl"], 0, &["1 models, by mine 1"]);
    let wrong = PRICES.replace("\"4\"", "\"-4\"");
    check(&[("p", &wrong)], &["prices", "check", "p"], 2, &["line 2", "price[1].price.output", "negative"]);
    check(&[("p", &PRICES[..130])], &["prices", "check", "p"], 2, &["line 2"]);
    check(&[], &["prices", "check", "nowhere"], 2, &["nowhere", "cannot be read"]);
}

#[test]
fn prices_are_renewed_by_what_was_read_without_a_mistake() {
    let foreign = r#"[{"id": "acme", "models": [
        {"id": "big", "match": {"equals": "big"}, "prices": {"input_mtok": 7, "output_video_mtok": 1}},
        {"id": "small", "match": {"starts_with": "sm"}, "prices": {"input_mtok": 0.5}}]}]"#;
    let dir = tempfile::tempdir().unwrap();
    let update = |from: &str, code: i32, parts: &[&str]| {
        let output = run(
            dir.path(),
            &["prices", "update", "--from", from, "--to", "prices.jsonl", "--edition", "9.9"],
        );
        let said = text(&output.stderr) + &text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{said}");
        parts.iter().for_each(|part| assert!(said.contains(part), "{said} does not say {part}"));
    };
    let there = || std::fs::read_to_string(dir.path().join("prices.jsonl")).unwrap();
    std::fs::write(dir.path().join("mine"), PRICES).unwrap();
    std::fs::write(dir.path().join("foreign"), foreign).unwrap();
    std::fs::write(dir.path().join("wrong"), PRICES.replace("\"4\"", "\"-4\"")).unwrap();
    update("mine", 0, &["1 models, by mine 1"]);
    update(
        "foreign",
        0,
        &[
            "changed: acme/big",
            "new: acme/small",
            "left out: the class `output_video_mtok`",
            "genai-prices 9.9",
        ],
    );
    let before = there();
    update("wrong", 2, &["price[1].price.output"]);
    update("nowhere", 2, &["cannot be read"]);
    update("http://127.0.0.1:1/x", 6, &["no prices came from there"]);
    assert_eq!(there(), before, "what is there is left as it is");
    let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{PRICES}");
    update(&answering(answer.leak()).0, 0, &["gone: acme/small", "1 models, by mine 1"]);
    update(&answering("HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n").0, 6, &["status 404"]);
    let nowhere = run(dir.path(), &["prices", "update", "--from", "mine"]);
    assert!(text(&nowhere.stderr).contains("--to FILE"), "{nowhere:?}");
}
