//! What a run makes of faults: retried, then replaced, and told in the same report; cancelled and late ones end.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use maof::{Config, ErrorKind, Maof, Principal, Run, RunState, TaskRequest};
use maof_testkit::{Act, Script, Upstream};
use serde_json::{Value, json};

async fn start(upstream: &Upstream) -> Maof {
    maof::init();
    let config = format!(
        "providers: {{up: {{profile: openai_compatible, base_url: '{}'}}}}\n\
         endpoints:\n  - {{name: dear, provider: up, model: flaky}}\n  - {{name: cheap, provider: up, model: steady}}\n\
         agents:\n  - {{name: dear, capabilities: [think]}}\n  - {{name: cheap, capabilities: [think]}}\n\
         resilience: {{retry: {{initial_interval_ms: 1, max_interval_ms: 2}}}}",
        upstream.base_url()
    );
    let maof = Maof::builder(Config::parse(&config).unwrap()).in_memory().build().await.unwrap();
    maof.work();
    maof
}

async fn submit(maof: &Maof, step: Value, deadline: Option<Duration>) -> Run {
    let spec = json!({"name": "w", "steps": [step]});
    let workflow = maof.compile(serde_json::from_value(spec).unwrap()).unwrap();
    let request = TaskRequest {
        task_type: workflow.name.clone(),
        content: json!("question"),
        priority: 0,
        deadline,
        session: None,
        tags: None,
        idempotency_key: None,
        workflow: Some(workflow),
    };
    maof.submit(&Principal::local(), request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_agent_is_retried_then_replaced_and_the_report_says_both() {
    let script = Script::default().model("flaky", [Act::status(500)]);
    let upstream = Upstream::start(script).await;
    let maof = start(&upstream).await;
    let who = Principal::local();
    let run = submit(&maof, json!({"id": "think", "capability": "think"}), None).await;
    let ended = maof.wait(&who, run.id).await.unwrap();
    assert_eq!(ended.state, RunState::Completed, "{:?}", ended.failure);
    let report = maof.report(&who, run.id).await.unwrap();
    let [agent] = report.steps[0].agents.as_slice() else { panic!("one agent answered") };
    assert_eq!((agent.agent.as_str(), agent.stood_in), ("cheap", 1));
    assert_eq!(
        (agent.instead_of[0].agent.as_str(), agent.instead_of[0].error),
        ("dear", ErrorKind::Unavailable)
    );
    let [failed] = report.failed_attempts.as_slice() else { panic!("one kind of failure") };
    assert_eq!(
        (failed.endpoint.as_str(), failed.times),
        ("dear", 3),
        "asked three times before it was replaced"
    );
    let stats = upstream.stats();
    assert_eq!((stats.models["flaky"], stats.models["steady"]), (3, 1), "by the upstream's own count");
    maof.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_task_aborts_its_upstream() {
    let upstream = Upstream::start(Script::any([Act::Hang])).await;
    let maof = start(&upstream).await;
    let who = Principal::local();
    let run = submit(&maof, json!({"id": "a", "agent": "dear"}), None).await;
    upstream.until(|stats| stats.open == 1).await;
    assert!(maof.cancel(&who, run.id).await.unwrap());
    upstream.until(|stats| stats.aborted == 1).await;
    assert_eq!(maof.wait(&who, run.id).await.unwrap().state, RunState::Cancelled);
    maof.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_late_fails_and_aborts_its_upstream() {
    let upstream = Upstream::start(Script::any([Act::Hang])).await;
    let maof = start(&upstream).await;
    let who = Principal::local();
    let run = submit(&maof, json!({"id": "a", "agent": "dear"}), Some(Duration::from_millis(300))).await;
    let ended = maof.wait(&who, run.id).await.unwrap();
    assert_eq!(ended.state, RunState::Failed);
    assert_eq!(ended.failure.unwrap().kind, ErrorKind::Timeout);
    upstream.until(|stats| stats.aborted >= 1).await;
    maof.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_a_worker_left_behind_is_taken_up_by_the_next_one() {
    let upstream = Upstream::start(Script::any([Act::Hang])).await;
    let dir = tempfile::tempdir().unwrap();
    let begin = || async {
        maof::init();
        let mut config = Config::parse(&format!(
            "providers: {{up: {{profile: openai_compatible, base_url: '{}'}}}}\n\
             endpoints: [{{name: e, provider: up, model: m}}]\nrouting: {{default_agents: [e]}}",
            upstream.base_url()
        ))
        .unwrap();
        config.store.path = dir.path().join("maof.db");
        let maof = Maof::builder(config).build().await.unwrap();
        maof.work();
        maof
    };
    let who = Principal::local();
    let first = begin().await;
    // A type without a workflow of its own: nothing of it is known to the next worker but what is in the journal.
    let request = TaskRequest {
        task_type: "anything".parse().unwrap(),
        content: json!("q"),
        priority: 0,
        deadline: None,
        session: None,
        tags: None,
        idempotency_key: None,
        workflow: None,
    };
    let run = first.submit(&who, request).await.unwrap();
    upstream.until(|stats| stats.open == 1).await;
    first.shutdown().await;
    drop(first);
    upstream.play(Script::default());
    let second = begin().await;
    let ended =
        tokio::time::timeout(Duration::from_secs(20), second.wait(&who, run.id)).await.unwrap().unwrap();
    assert_eq!(ended.state, RunState::Completed, "{:?}", ended.failure);
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_pays_only_for_its_own_attempts() {
    let upstream = Upstream::start(Script::default().model("flaky", [Act::status(500)])).await;
    maof::init();
    let config = format!(
        "providers: {{up: {{profile: openai_compatible, base_url: '{}'}}}}\n\
         endpoints:\n  - {{name: dear, provider: up, model: flaky, price: {{request: 1}}}}\n  - {{name: cheap, provider: up, model: steady, price: {{request: 1}}}}\n\
         agents:\n  - {{name: dear, capabilities: [think]}}\n  - {{name: cheap, capabilities: [think]}}\n\
         budgets:\n  - {{account: 'agent:dear', limit_usd: 5}}\n  - {{account: 'agent:cheap', limit_usd: 5}}\n\
         resilience: {{retry: {{initial_interval_ms: 1, max_interval_ms: 2}}}}",
        upstream.base_url()
    );
    let maof = Maof::builder(Config::parse(&config).unwrap()).in_memory().build().await.unwrap();
    let who = Principal::local();
    let target = maof::Target::Capability("think".parse().unwrap());
    let call = maof.new_call(target, Arc::clone(&who), "q".into_body());
    maof.call(call).await.unwrap().collect().await.unwrap();
    for (name, spent) in [("agent:dear", 0), ("agent:cheap", 1_000_000_000)] {
        let account = maof::Account {
            tenant: who.tenant.clone(),
            name: name.parse().unwrap(),
            measure: maof::Measure::Money,
            window: maof::Window::Total,
        };
        let balance = maof.ledger().balance(&account, maof.started()).await.unwrap();
        assert_eq!((balance.spent, balance.held), (spent, 0), "{name}");
    }
    maof.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_shares_the_budget_of_calls() {
    let upstream = Upstream::start(Script::default()).await;
    let config = format!(
        "providers: {{up: {{profile: openai_compatible, base_url: '{}'}}}}\n\
         endpoints: [{{name: e, provider: up, model: m, price: {{request: 1}}}}]\n\
         budgets: [{{account: tenant, limit_usd: 2}}]",
        upstream.base_url()
    );
    maof::init();
    let maof = Maof::builder(Config::parse(&config).unwrap()).in_memory().build().await.unwrap();
    maof.work();
    let who = Principal::local();
    let step = json!({"id": "a", "agent": "e", "map": "[1, 2, 3]", "on_error": {"then": "skip"}});
    let run = submit(&maof, step, None).await;
    let ended = maof.wait(&who, run.id).await.unwrap();
    let answers = ended.result.unwrap()["a"].as_array().unwrap().clone();
    assert_eq!(answers.iter().filter(|a| a.is_null()).count(), 1, "{answers:?}");
    assert_eq!(upstream.stats().requests, 2, "the third was never sent");
    let call = maof.new_call(maof::Target::Name("e".parse().unwrap()), Arc::clone(&who), "q".into_body());
    assert_eq!(maof.call(call).await.unwrap_err().kind(), ErrorKind::BudgetExceeded);
    maof.shutdown().await;
}

/// A question as a body.
trait IntoBody {
    fn into_body(self) -> maof::Body;
}

impl IntoBody for &str {
    fn into_body(self) -> maof::Body {
        maof::Body::from(maof::ChatRequest::user(self))
    }
}
