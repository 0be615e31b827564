//! Endpoints and agents that come and go while the server runs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "callers that end with the test"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use maof::{Name, Principal};
use maof_testkit::{Act, Script, Upstream};
use maof_tests::served::{Server, json_of};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// A configuration with one agent over these endpoints, each a model of the upstream.
fn config(upstream: &Upstream, endpoints: &[&str], more: &str) -> String {
    let each = endpoints.iter().map(|name| format!("{{name: {name}, provider: up, model: {name}}}"));
    let each: Vec<String> = each.collect();
    format!(
        "providers: {{up: {{profile: openai_compatible, base_url: '{}'}}}}\nendpoints: [{}]\n\
         agents: [{{name: analyst, endpoints: [{}]}}]\n{more}\n",
        upstream.base_url(),
        each.join(", "),
        endpoints.join(", "),
    )
}

fn question(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

async fn reload(server: &Server, config: &str) -> (StatusCode, Value) {
    server.write_config(config);
    let url = format!("{}/admin/reload", server.base);
    json_of(server.client.post(url).bearer_auth(&server.admin)).await
}

async fn ask(server: &Server, model: &str, text: &str) -> (StatusCode, Value) {
    json_of(server.post("/v1/chat/completions", &question(model, text))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_while_endpoints_are_swapped_again_and_again() {
    let upstream = Upstream::start(Script::any([Act::Delay(3)])).await;
    let sides = [&["a", "b", "c"][..], &["c", "d"], &["e"]];
    let sides = sides.map(|side| config(&upstream, side, "routing: {strategy: round_robin}"));
    let server = Arc::new(Server::start(&sides[0]).await);
    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers = (0..8).map(|n| {
        let (server, done, asked) = (Arc::clone(&server), Arc::clone(&done), Arc::clone(&asked));
        tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                let mut body = question("analyst", "hi");
                body["stream"] = json!(n % 2 == 0);
                let answer = server.post("/v1/chat/completions", &body).send().await.unwrap();
                let (status, text) = (answer.status(), answer.text().await.unwrap());
                assert_eq!(status, StatusCode::OK, "{text}");
                assert!(text.contains("echo") && !text.contains("\"error\""), "{text}");
                asked.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    for round in 1..=40 {
        let before = asked.load(Ordering::Relaxed);
        let (status, told) = reload(&server, &sides[round % 3]).await;
        assert_eq!(status, StatusCode::OK, "{told}");
        while asked.load(Ordering::Relaxed) < before + 8 && !callers.iter().any(|one| one.is_finished()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    done.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    let models = upstream.stats().models;
    assert!(["a", "b", "c", "d", "e"].iter().all(|name| models[*name] > 0), "{models:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_under_way_ends_at_the_endpoint_that_went() {
    let upstream = Upstream::start(Script::any([Act::Ok]).model("old", [Act::Delay(700)])).await;
    let server = Arc::new(Server::start(&config(&upstream, &["old"], "")).await);
    let slow = {
        let server = Arc::clone(&server);
        tokio::spawn(async move { ask(&server, "analyst", "slow").await })
    };
    while upstream.stats().requests == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (_, told) = reload(&server, &config(&upstream, &["new"], "")).await;
    assert_eq!(told["endpoints"], json!({"added": ["new"], "removed": ["old"], "changed": []}));
    assert_eq!((&told["agents"]["changed"], &told["draining"]), (&json!(["analyst"]), &json!({"old": 1})));
    let (status, error) = ask(&server, "old", "hi").await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::NOT_FOUND, &json!("model_not_found")));
    let (status, _) = ask(&server, "analyst", "quick").await;
    assert_eq!(status, StatusCode::OK);
    assert!(!slow.is_finished(), "the new one answers while the old one is still asked");
    let (status, answer) = slow.await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(answer["choices"][0]["message"]["content"].as_str().unwrap().contains("slow"));
    let text = server.maof.metrics();
    assert!(text.contains(r#"maof_attempts_total{endpoint="new",outcome="ok"} 1"#), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stays_keeps_its_breaker_and_who_is_another_now_begins_anew() {
    let script = Script::any([Act::Ok]).model("ill", [Act::status(500)]);
    let (upstream, elsewhere) =
        (Upstream::start(script).await, Upstream::start(Script::any([Act::Ok])).await);
    let breaker =
        "resilience: {retry: {max_attempts: 1}, circuit_breaker: {failure_threshold: 2, open_ms: 600000}}";
    let server = Server::start(&config(&upstream, &["ill"], breaker)).await;
    let circuit = |server: &Server, name: &str| {
        let health = server.maof.health();
        let found = health.as_array().unwrap().iter().find(|one| one["endpoint"] == name).unwrap();
        found["circuit"].clone()
    };
    for _ in 0..2 {
        assert_eq!(ask(&server, "analyst", "hi").await.0, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(circuit(&server, "ill"), "open");
    // It stays, with another price: its breaker is as it was.
    let with_price =
        config(&upstream, &["ill", "well"], breaker).replace("model: ill", "model: ill, price: {input: 1}");
    let (_, told) = reload(&server, &with_price).await;
    assert_eq!(told["endpoints"], json!({"added": ["well"], "removed": [], "changed": ["ill"]}));
    assert_eq!((circuit(&server, "ill"), circuit(&server, "well")), (json!("open"), json!("closed")));
    let asked = upstream.stats().models["ill"];
    assert_eq!(ask(&server, "analyst", "hi").await.0, StatusCode::OK);
    assert_eq!(upstream.stats().models["ill"], asked, "who rests is not asked");
    // Another upstream stands behind its name now.
    let (_, told) = reload(&server, &config(&elsewhere, &["ill", "well"], breaker)).await;
    assert_eq!(
        (&told["endpoints"]["changed"], &told["settings"]),
        (&json!(["ill", "well"]), &json!(["providers.up"]))
    );
    assert_eq!(circuit(&server, "ill"), "closed");
    assert!(server.maof.metrics().contains(r#"maof_circuit_breaker_state{endpoint="ill"} 0"#));
    assert_eq!(ask(&server, "analyst", "hi").await.0, StatusCode::OK);
    assert_eq!(elsewhere.stats().models["ill"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_changes_nothing_and_names_its_field_and_only_admins_reload() {
    let upstream = Upstream::start(Script::any([Act::Ok])).await;
    let good = config(&upstream, &["a"], "");
    let server = Server::start(&good).await;
    let wrong = [
        (config(&upstream, &["b"], "routing: {default_agents: [nobody]}"), "routing.default_agents[0]"),
        (
            config(&upstream, &["b"], "resilience: {timeout: {attempt_ms: 0}}"),
            "resilience.timeout.attempt_ms",
        ),
        (good.replace("endpoints: [a]", "endpoints: [z]"), "agents[0].endpoints"),
        (good.replace("model: a", "model: a, price: {input: -1}"), ""),
        ("endpoint: []".to_owned(), ""),
    ];
    for (config, field) in wrong {
        let (status, error) = reload(&server, &config).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{config}");
        assert!(field.is_empty() || error["error"]["param"] == *field, "{field}: {error}");
        assert_eq!(ask(&server, "a", "hi").await.0, StatusCode::OK);
        assert_eq!(ask(&server, "b", "hi").await.0, StatusCode::NOT_FOUND);
    }
    let (status, _) = json_of(server.post("/admin/reload", &json!({}))).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let more = "server: {keep_alive_ms: 1, listen: '127.0.0.1:1'}\nbudgets: [{account: user, limit_usd: 1}]";
    let (_, told) = reload(&server, &config(&upstream, &["a"], more)).await;
    assert_eq!(told["needs_restart"], json!(["server.keep_alive_ms"]), "the test says where it listens");
    assert_eq!((&told["settings"], &told["endpoints"]["changed"]), (&json!(["budgets"]), &json!([])));
    let acme = Name::new("acme").unwrap();
    let trail = server.maof.audit().trail(&acme, 100).await.unwrap();
    let told: Vec<&str> = trail.iter().filter(|r| r.action == "config.reload").map(|r| &*r.outcome).collect();
    assert_eq!((told.len(), told.iter().filter(|o| **o == "ok").count()), (6, 1), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_workflows_and_tasks_follow_and_kept_answers_of_other_instructions_are_not_given() {
    let upstream = Upstream::start(Script::any([Act::Ok])).await;
    let cache = "cache: {}\nrouting: {agent_map: {sum: [analyst]}}";
    let first = config(&upstream, &["a"], cache);
    let server = Server::start(&first).await;
    let ask_fixed = async || {
        let mut body = question("analyst", "same");
        body["temperature"] = json!(0);
        let answer = server.post("/v1/chat/completions", &body).send().await.unwrap();
        answer.headers()["x-maof-cache"].to_str().unwrap().to_owned()
    };
    assert_eq!([ask_fixed().await, ask_fixed().await], ["miss", "hit"]);
    // Who only comes lets what was kept be as it was.
    let two = first.replace("agents: [", "agents: [{name: clerk, endpoints: [a]}, ");
    let (_, told) = reload(&server, &two).await;
    assert_eq!((&told["agents"]["added"], ask_fixed().await), (&json!(["clerk"]), "hit".to_owned()));
    let other = two.replace("name: analyst,", "name: analyst, instructions: 'Be brief.',");
    reload(&server, &other).await;
    assert_eq!([ask_fixed().await, ask_fixed().await], ["miss", "hit"]);
    // Tasks go to whoever is named for them now.
    reload(&server, &other.replace("sum: [analyst]", "sum: [clerk]")).await;
    let task = json!({"task_type": "sum", "content": "one"});
    let (_, run) = json_of(server.post("/tasks?wait=30", &task)).await;
    assert_eq!((&run["status"], &run["agent_responses"][0]["agent"]), (&json!("completed"), &json!("clerk")));
    let (_, listed) = json_of(server.get("/agents")).await;
    assert_eq!(listed["agents"].as_array().unwrap().len(), 2);
    let nobody = maof::Maof::builder(maof::Config::default()).in_memory().build().await.unwrap();
    let error = nobody.reload(&Principal::local()).await.unwrap_err();
    assert_eq!(error.kind().as_str(), "not_found");
}
