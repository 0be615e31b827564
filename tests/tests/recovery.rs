//! What runs do about failures: rate limits are waited for, tables decide, operators are told.
#![allow(clippy::unwrap_used, clippy::panic)]

use maof::{Clock as _, Principal, Run, RunState, SystemClock, TaskRequest};
use maof_testkit::{Act, Script, Upstream};
use maof_tests::served::Server;
use serde_json::{Value, json};

/// A server whose one agent is at an upstream that does this; the agent's own recoveries.
async fn server(acts: Vec<Act>, recovery: &str) -> (Server, Upstream) {
    let upstream = Upstream::start(Script::any(acts)).await;
    let config = format!(
        "{{resilience: {{retry: {{max_attempts: 1}}}}, providers: {{up: {{profile: openai_compatible, base_url: '{}', api_key: k}}}}, \
         endpoints: [{{name: model, provider: up, model: m}}], agents: [{{name: clerk, endpoints: [model], recovery: {recovery}}}]}}",
        upstream.base_url()
    );
    (Server::start(&config).await, upstream)
}

/// How a task ends that runs through a step which asks the agent, by this policy.
async fn run(server: &Server, on_error: Value) -> Run {
    let spec = json!({"name": "w", "steps": [{"id": "s", "agent": "clerk", "on_error": on_error}]});
    let workflow = server.maof.compile(serde_json::from_value(spec).unwrap()).unwrap();
    let request = TaskRequest {
        task_type: "w".parse().unwrap(),
        content: json!("question"),
        priority: 0,
        deadline: None,
        session: None,
        tags: None,
        idempotency_key: None,
        workflow: Some(workflow),
    };
    let principal = Principal::local();
    let run = server.maof.submit(&principal, request).await.unwrap();
    server.maof.wait(&principal, run.id).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_rate_limited_waits_as_long_as_the_upstream_says() {
    let limited = || vec![Act::retry_after(429, "1"), Act::Ok];
    let (patient, upstream) = server(limited(), "{}").await;
    let begun = SystemClock.instant();
    let ended = run(&patient, json!({"wait_ms": 5_000})).await;
    assert_eq!((ended.state, ended.failure), (RunState::Completed, None));
    let took = SystemClock.instant() - begun;
    assert!(took.as_millis() >= 950, "{took:?}");
    assert_eq!(upstream.stats().requests, 2);
    let (hasty, upstream) = server(limited(), "{}").await;
    let ended = run(&hasty, json!({})).await;
    assert_eq!(ended.failure.unwrap().kind.as_str(), "rate_limited");
    assert_eq!(upstream.stats().requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_decides_and_operators_are_told() {
    let (server, upstream) = server(vec![Act::status(500)], "{NETWORK@provider: escalate}").await;
    let ended = run(&server, json!({"retry": 3, "then": "skip"})).await;
    assert_eq!((ended.state, ended.result), (RunState::Completed, Some(json!({"s": null}))));
    assert_eq!(upstream.stats().requests, 1, "the agent's table goes before the step's retries");
    let metrics = server.maof.metrics();
    for line in [
        "maof_escalations_total{severity=\"high\"} 1",
        "maof_failures_total{category=\"NETWORK\",severity=\"high\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let ended = run(&server, json!({"retry": 1, "recovery": {"unavailable": "retry"}})).await;
    assert_eq!(ended.state, RunState::Failed);
    assert_eq!(upstream.stats().requests, 3, "the step's own table goes before the agent's");
}
