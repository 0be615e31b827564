//! A join that is decided early: who is awaited still is cancelled at the upstream, and what it used is written down and paid.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use maof_testkit::{Act, Script, Upstream};
use maof_tests::served::{Server, json_of};
use serde_json::json;

fn says(label: &str) -> Act {
    let body = json!({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0,
        "finish_reason": "stop", "message": {"role": "assistant", "content": format!("{{\"label\": \"{label}\"}}")}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}});
    Act::Raw { status: 200, content_type: "application/json".to_owned(), body: body.to_string() }
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::disallowed_methods, reason = "real sockets take real time")]
async fn the_rest_are_cancelled_and_their_attempts_written_down() {
    let script = Script::default()
        .model("a", [says("yes")])
        .model("b", [says("no")])
        .model("c", [says("yes")])
        .model("d", [says("yes")])
        .model("e", [Act::Hang]);
    let upstream = Upstream::start(script).await;
    let each = ["a", "b", "c", "d", "e"];
    let endpoints =
        each.map(|n| format!("{{name: {n}, provider: up, model: {n}, price: {{input: 1, output: 1}}}}"));
    let dir = tempfile::tempdir().unwrap();
    let flow = "name: vote\nsteps:\n- {id: v, parallel: [a, b, c, d, e], join: {strategy: majority, key: /label}, early_stop: true}\n";
    let file = dir.path().join("vote.yaml");
    std::fs::write(&file, flow).unwrap();
    let config = format!(
        "providers: {{up: {{profile: openai_compatible, base_url: '{}'}}}}\nendpoints: [{}]\nworkflows: ['{}']\n\
         budgets: [{{account: tenant, limit_usd: 1}}]\n",
        upstream.base_url(),
        endpoints.join(", "),
        file.display(),
    );
    let server = Server::start(&config).await;
    let began = Instant::now();
    let (_, run) =
        json_of(server.post("/tasks?wait=30", &json!({"task_type": "vote", "content": "?"}))).await;
    assert_eq!(
        (&run["status"], &run["final_output"]["v"]["label"]),
        (&json!("completed"), &json!("yes")),
        "{run}"
    );
    assert!(began.elapsed() < Duration::from_secs(20), "the one that hangs is not waited for");
    // The upstream sees that it was left.
    while upstream.stats().open > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", upstream.stats());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let acme = maof::Name::new("acme").unwrap();
    let ledger = server.maof.ledger();
    ledger.flush().await.unwrap();
    let rows = ledger.attempts(&acme, None, 100).await.unwrap();
    let mut said: Vec<(String, &str, bool)> = rows
        .iter()
        .map(|row| {
            let how = row.failure.as_ref().map_or("complete", |failure| failure.kind.as_str());
            (row.endpoint.to_string(), how, row.cost.nanos() > 0)
        })
        .collect();
    said.sort();
    let complete = |endpoint: &str| (endpoint.to_owned(), "complete", true);
    let cancelled = ("e".to_owned(), "cancelled", true);
    assert_eq!(said, [complete("a"), complete("b"), complete("c"), complete("d"), cancelled]);
}
