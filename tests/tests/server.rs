//! The server as callers see it: real sockets, a real SQLite file, real refusals.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use maof::{Config, Maof};
use maof_tests::served::{Server, json_of};
use reqwest::StatusCode;
use serde_json::{Value, json};

fn task(content: &str) -> Value {
    json!({"task_type": "sentiment", "content": content, "priority": 1})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_accepted_watched_and_shown_with_who_answered() {
    let server = Server::start("routing: {agent_map: {sentiment: [lexicon]}}").await;
    let response = server.post("/tasks", &task("A wonderful day.")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let place = response.headers()["location"].to_str().unwrap().to_owned();
    let accepted: Value = response.json().await.unwrap();
    let id = accepted["id"].as_str().unwrap();
    assert_eq!(place, format!("/tasks/{id}"));

    // The stream ends with the run; resumed after its second event, it begins with the third.
    let all = server.get(&format!("{place}/events")).send().await.unwrap().text().await.unwrap();
    let kinds: Vec<&str> = all.lines().filter_map(|l| l.strip_prefix("event: ")).collect();
    assert_eq!(kinds, ["accepted", "asked", "answered", "finished"]);
    let rest = server.get(&format!("{place}/events")).header("last-event-id", "2");
    let rest = rest.send().await.unwrap().text().await.unwrap();
    assert!(rest.starts_with("id: 3"), "{rest}");

    let (_, shown) = json_of(server.get(&place)).await;
    assert_eq!(shown["status"], "completed");
    assert_eq!(shown["agent_responses"][0]["agent"], "lexicon");
    assert_eq!(shown["final_output"]["answer"]["label"], "positive");
    let (_, listed) = json_of(server.get("/tasks?status=completed&limit=5")).await;
    assert_eq!(listed["tasks"][0]["id"], *id);
    let (status, _) =
        json_of(server.client.delete(format!("{}{place}", server.base)).bearer_auth(&server.key)).await;
    assert_eq!(status, StatusCode::CONFLICT, "it had ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_is_the_same_task() {
    let server = Server::start("routing: {agent_map: {sentiment: [lexicon]}}").await;
    let send = |content: &'static str| {
        json_of(server.post("/tasks?wait=30", &task(content)).header("idempotency-key", "k1"))
    };
    let (status, first) = send("good").await;
    assert_eq!((status, &first["status"]), (StatusCode::OK, &json!("completed")));
    assert_eq!(send("good").await.1["id"], first["id"]);
    let another = [("priority", json!(2)), ("session", json!("s")), ("tags", json!({"team": "x"}))];
    for (field, value) in another {
        let mut other = task("good");
        other[field] = value;
        let (status, error) = json_of(server.post("/tasks", &other).header("idempotency-key", "k1")).await;
        assert_eq!(
            (status, &error["error"]["param"]),
            (StatusCode::CONFLICT, &json!("Idempotency-Key")),
            "{field}"
        );
    }
    // Whoever sends it again has less time left.
    let mut later = task("good");
    later["deadline_ms"] = json!(60_000);
    let (_, again) = json_of(server.post("/tasks?wait=30", &later).header("idempotency-key", "k1")).await;
    assert_eq!(again["id"], first["id"]);
    let (status, error) = send("bad").await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::CONFLICT, &json!("conflict")));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_but_health_and_metrics_needs_a_key_that_is_known() {
    let server = Server::start("").await;
    for (path, open) in [
        ("/health", true),
        ("/health/live", true),
        ("/health/ready", true),
        ("/metrics/prometheus", true),
        ("/tasks", false),
        ("/agents", false),
        ("/v1/models", false),
    ] {
        let url = format!("{}{path}", server.base);
        let without = server.client.get(&url).send().await.unwrap().status();
        assert_eq!(without.is_success(), open, "{path}");
        let wrong = server.client.get(&url).header("x-api-key", "maof_wrong").send().await.unwrap();
        assert_eq!(wrong.status().is_success(), open, "{path}");
        assert!(!wrong.text().await.unwrap().contains("maof_wrong"));
        let right = server.client.get(&url).header("x-api-key", &server.key).send().await.unwrap();
        assert_eq!(right.status(), StatusCode::OK, "{path}");
    }
    let closed = Server::start("server: {key_for_health: true, key_for_metrics: true}").await;
    for path in ["/health", "/metrics/prometheus"] {
        let status = closed.client.get(format!("{}{path}", closed.base)).send().await.unwrap().status();
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_may_ask_every_endpoint_whether_it_is_well() {
    let upstream = maof_testkit::Upstream::start(maof_testkit::Script::default()).await;
    let config = format!(
        "providers:\n  up: {{profile: openai_compatible, base_url: '{up}'}}\n  down: {{profile: openai_compatible, base_url: 'http://127.0.0.1:1/v1'}}\n\
         endpoints:\n  - {{name: a, provider: up, model: m}}\n  - {{name: b, provider: down, model: m}}\n  - {{name: c, local: lexicon}}\n\
         \x20 - {{name: d, service: {{url: '{up}/chat', body: '{{{{ text }}}}', health: /v1/models}}}}\n\
         \x20 - {{name: e, service: {{url: '{up}/chat', body: '{{{{ text }}}}', health: /gone}}}}\n\
         \x20 - {{name: f, service: {{url: '{up}/chat', body: '{{{{ text }}}}'}}}}\n",
        up = upstream.base_url()
    );
    let server = Server::start(&config).await;
    let (status, _) = json_of(server.get("/health/endpoints")).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "a user may not");
    let url = format!("{}/health/endpoints", server.base);
    assert_eq!(server.client.get(&url).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let (status, told) = json_of(server.client.get(&url).bearer_auth(&server.admin)).await;
    assert_eq!(status, StatusCode::OK);
    let told = told["endpoints"].as_array().unwrap();
    let states: Vec<_> = told.iter().map(|e| e["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["well", "unwell", "well", "well", "unwell", "unknown"], "{told:?}");
    assert_eq!(told[1]["error"]["kind"], "unavailable", "{told:?}");
    assert_eq!(upstream.stats().requests, 0, "nothing that is billed was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_fails_its_probe_is_asked_after_all_others() {
    let upstream = maof_testkit::Upstream::start(maof_testkit::Script::default()).await;
    let config = format!(
        "providers:\n  up: {{profile: openai_compatible, base_url: '{}'}}\n  down: {{profile: openai_compatible, base_url: 'http://127.0.0.1:1/v1'}}\n\
         endpoints:\n  - {{name: a, provider: down, model: m}}\n  - {{name: b, provider: up, model: m}}\n\
         agents: [{{name: both, endpoints: [a, b]}}]\nrouting: {{probe_ms: 1000}}\n\
         resilience: {{circuit_breaker: {{failure_threshold: 1000000}}, retry: {{max_attempts: 1}}}}\n",
        upstream.base_url()
    );
    let server = Server::start(&config).await;
    let body = json!({"model": "both", "messages": [{"role": "user", "content": "hi"}]});
    // The first calls may be earlier than the first probe. Those after it ask the one that is well, at once.
    for _ in 0..1_000 {
        let response = server.post("/v1/chat/completions", &body).send().await.unwrap();
        assert_eq!(
            (response.status(), &response.headers()["x-maof-endpoint"]),
            (StatusCode::OK, &"b".parse().unwrap())
        );
        if response.headers()["x-maof-fallbacks"] == "0" {
            return;
        }
    }
    panic!("the one that cannot be reached is asked first, again and again");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_by_field_and_leaves_nothing() {
    let server = Server::start("server: {body_limit: 100000}").await;
    let check = |body: Value, status: u16, code: &'static str, part: &'static str| {
        let request = server.post("/tasks", &body);
        async move {
            let (got, error) = json_of(request).await;
            assert_eq!((got.as_u16(), &error["error"]["code"]), (status, &json!(code)), "{error}");
            assert!(error.to_string().contains(part), "{error}");
        }
    };
    check(task("  "), 400, "invalid_request", "content").await;
    check(json!({"task_type": "x"}), 400, "invalid_request", "content").await;
    check(json!({"task_type": "x y", "content": "q"}), 400, "invalid_request", "name").await;
    check(json!({"task_type": "x", "content": "q", "prio": 1}), 400, "invalid_request", "prio").await;
    check(task(&"x".repeat(200_000)), 413, "too_large", "100000 bytes").await;
    let refused = server.post("/tasks", &task(&"x".repeat(200_000))).send().await.unwrap();
    assert_eq!(refused.headers()["connection"], "close", "what was not read must not be taken for a request");
    for path in ["/tasks/not-an-id", "/tasks/01890a5d-ac96-774b-bcce-b302099a8057", "/nowhere"] {
        let status = server.get(path).send().await.unwrap().status();
        assert!(status.is_client_error(), "{path}: {status}");
    }
    let (_, listed) = json_of(server.get("/tasks")).await;
    assert_eq!(listed["tasks"], json!([]), "nothing half-done remains");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_may_be_an_agent_an_endpoint_or_an_alias() {
    let server = Server::start("aliases: {gpt-4o: lexicon, other: local/bayes}").await;
    for model in ["lexicon", "local/bayes", "gpt-4o", "other"] {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "good"}]});
        let (status, answer) = json_of(server.post("/v1/chat/completions", &body)).await;
        assert_eq!(status, StatusCode::OK, "{model}: {answer}");
    }
    let (_, models) = json_of(server.get("/v1/models")).await;
    let ids: Vec<_> = models["data"].as_array().unwrap().iter().filter_map(|m| m["id"].as_str()).collect();
    assert!(ids.contains(&"gpt-4o") && ids.contains(&"other"), "{ids:?}");
    let body = json!({"model": "gpt-5", "messages": [{"role": "user", "content": "good"}]});
    let (status, error) = json_of(server.post("/v1/chat/completions", &body)).await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::NOT_FOUND, &json!("model_not_found")));
}

#[tokio::test(flavor = "multi_thread")]
async fn local_agents_answer_the_openai_door_whole_and_streamed() {
    let server = Server::start("").await;
    let mut ask =
        json!({"model": "lexicon", "messages": [{"role": "user", "content": "What a lovely day!"}]});
    let response = server.post("/v1/chat/completions", &ask).send().await.unwrap();
    let headers = response.headers().clone();
    let whole: Value = response.json().await.unwrap();
    assert_eq!(headers["x-maof-endpoint"], "lexicon");
    assert!(headers.contains_key("x-request-id"));
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.contains("positive"), "{whole}");

    ask["stream"] = json!(true);
    let streamed = server.post("/v1/chat/completions", &ask).send().await.unwrap().text().await.unwrap();
    assert!(streamed.ends_with("data: [DONE]\n\n"), "{streamed}");
    let chunks = streamed.lines().filter_map(|l| l.strip_prefix("data: {"));
    let said: String = chunks
        .map(|c| serde_json::from_str::<Value>(&format!("{{{c}")).unwrap())
        .filter_map(|c| c["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(said, text);

    ask["model"] = json!("nobody");
    let (status, error) = json_of(server.post("/v1/chat/completions", &ask)).await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::NOT_FOUND, &json!("model_not_found")));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_bear_the_promised_names() {
    let server = Server::start("routing: {agent_map: {sentiment: [lexicon]}}").await;
    json_of(server.post("/tasks?wait=30", &task("good"))).await;
    let text = server.get("/metrics/prometheus").send().await.unwrap().text().await.unwrap();
    for name in [
        "maof_tasks_total",
        "maof_task_duration_seconds",
        "maof_tokens_total",
        "maof_cost_total_usd",
        "maof_agent_health",
        "maof_circuit_breaker_state",
        "maof_active_requests",
    ] {
        assert!(text.contains(&format!("# TYPE {name} ")), "{name} is not in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_port_or_the_database_is_refused_clearly() {
    let server = Server::start("").await;
    let taken = maof_http::bind(server.base.trim_start_matches("http://")).await.unwrap_err();
    assert!(taken.message().contains("is in use"), "{taken}");
    let mut config = Config::default();
    config.store.path.clone_from(&server.maof.config().store.path);
    let locked = Maof::builder(config).build().await.unwrap_err();
    assert!(locked.message().contains("in use by another process"), "{locked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_flight_is_given_back_at_shutdown() {
    let upstream = maof_testkit::Upstream::start(maof_testkit::Script::any([maof_testkit::Act::Hang])).await;
    let config = format!(
        "providers: {{up: {{profile: openai_compatible, base_url: '{}'}}}}\n\
         endpoints: [{{name: slow, provider: up, model: slow}}]\nrouting: {{default_agents: [slow]}}",
        upstream.base_url()
    );
    let server = Server::start(&config).await;
    let (_, accepted) = json_of(server.post("/tasks", &task("q"))).await;
    upstream.until(|stats| stats.open == 1).await;
    tokio::time::timeout(Duration::from_secs(5), server.maof.shutdown()).await.unwrap();
    upstream.until(|stats| stats.aborted == 1).await;
    let who = server.maof.authenticate(&server.key).unwrap();
    let run = server.maof.run(&who, accepted["id"].as_str().unwrap().parse().unwrap()).await.unwrap();
    assert_eq!(run.state, maof::RunState::Queued, "it waits for the next worker");
}

/// The README's lines, against the configuration that it starts the server with.
#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_requests_are_answered() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let config = std::fs::read_to_string(format!("{root}/examples/market-brief/maof.yaml")).unwrap();
    let server = Server::start(&config).await;
    let readme = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    let posts: Vec<(String, Value)> = readme
        .split("curl ")
        .skip(1)
        .filter_map(|command| {
            let path = command.split_once("localhost:8000")?.1.split([' ', '\n']).next()?.to_owned();
            let body = command.split("```").next()?.split_once("-d '")?.1.split_once('\'')?.0;
            Some((path, serde_json::from_str(body).unwrap()))
        })
        .collect();
    assert!(posts.len() >= 2, "{posts:?}");
    for (path, body) in posts {
        let (status, answer) = json_of(server.post(&path, &body)).await;
        assert!(status.is_success(), "{path} {body}: {status} {answer}");
    }
}
