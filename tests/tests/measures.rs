//! Budgets of what is no money: calls under way, calls of tools, tokens of one kind, over windows of several kinds.
#![allow(clippy::unwrap_used, clippy::panic)]

use maof_testkit::{Act, Script, Upstream};
use maof_tests::served::{Server, json_of};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// A server with these budgets before an upstream.
async fn server(acts: Vec<Act>, budgets: &str) -> (Server, Upstream) {
    let upstream = Upstream::start(Script::any(acts)).await;
    let config = format!(
        "providers: {{up: {{profile: openai_compatible, base_url: '{}'}}}}\n\
         endpoints: [{{name: m, provider: up, model: m, price: {{input: 1, output: 1}}}}]\nbudgets: {budgets}\n",
        upstream.base_url()
    );
    (Server::start(&config).await, upstream)
}

fn question() -> Value {
    json!({"model": "m", "max_tokens": 20, "messages": [{"role": "user", "content": "Where is it?"}],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]})
}

/// An answer that asks for so many calls of tools at once.
fn calls(number: usize) -> Act {
    let call = |i: usize| json!({"id": i.to_string(), "type": "function", "function": {"name": "look", "arguments": "{}"}});
    let message = json!({"role": "assistant", "content": null, "tool_calls": (0..number).map(call).collect::<Vec<_>>()});
    let body = json!({"id": "1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}});
    Act::Raw { status: 200, content_type: "application/json".to_owned(), body: body.to_string() }
}

/// What the account of the tenant has spent of a measure.
async fn spent(server: &Server, measure: &str) -> Value {
    let (_, told) = json_of(server.get("/budget")).await;
    let all = told["budgets"].as_array().unwrap();
    all.iter().find(|one| one["measure"] == measure).unwrap()["spent"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_tools_are_counted_and_one_too_many_fails() {
    let budgets = "[{account: tenant, window: 'rolling:1h', limit_tool_calls: 20, limit_input_tokens: 1000,
        limit_output_tokens: 1000}]";
    let (server, upstream) = server(vec![calls(3), calls(2), calls(2)], budgets).await;
    let ask = async |question: &Value| json_of(server.post("/v1/chat/completions", question)).await;
    let (status, answer) = ask(&question()).await;
    assert_eq!(
        (status, answer["choices"][0]["message"]["tool_calls"].as_array().unwrap().len()),
        (StatusCode::OK, 3)
    );
    assert_eq!(
        (
            spent(&server, "tool_calls").await,
            spent(&server, "input_tokens").await,
            spent(&server, "output_tokens").await
        ),
        (json!(3), json!(3), json!(4))
    );
    let mut one = question();
    one["parallel_tool_calls"] = json!(false);
    let (status, answer) = ask(&one).await;
    assert_eq!(
        (status, &answer["error"]["param"]),
        (StatusCode::TOO_MANY_REQUESTS, &json!("limit_tool_calls")),
        "{answer}"
    );
    assert_eq!(spent(&server, "tool_calls").await, json!(5), "the provider answered, and bills it");
    // Fewer than 16 are left of 20: one is held for each choice.
    let (status, _) = ask(&question()).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(spent(&server, "tool_calls").await, json!(7));
    assert_eq!(upstream.stats().requests, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_too_many_calls_under_way_is_told_to_come_again() {
    let (server, upstream) =
        server(vec![Act::Hang, calls(1)], "[{account: user, limit_concurrency: 1}]").await;
    let ask = async || server.post("/v1/chat/completions", &question()).send().await.unwrap();
    let second = async {
        upstream.until(|stats| stats.open == 1).await;
        let refused = ask().await;
        let after = refused.headers()["retry-after"].to_str().unwrap().to_owned();
        (refused.status(), after, refused.json::<Value>().await.unwrap())
    };
    let (status, after, told) = tokio::select! {
        _ = ask() => panic!("the first hangs"),
        refused = second => refused,
    };
    assert_eq!((status, after.as_str()), (StatusCode::TOO_MANY_REQUESTS, "1"), "{told}");
    let why = told["error"]["message"].as_str().unwrap();
    assert!(why.contains("user:u has 1 calls under way and may have 1"), "{why}");
    // The first has hung up.
    upstream.until(|stats| stats.open == 0).await;
    let held = async || json_of(server.get("/budget")).await.1["budgets"][0]["held"].clone();
    while held().await != json!(0) {}
    assert_eq!(ask().await.status(), StatusCode::OK);
}

/// Two endpoints of one agent before an upstream: one that costs nothing, and one that costs a dollar a request.
async fn free_then_paid(free: Act, budgets: &str) -> (Server, Upstream) {
    let upstream = Upstream::start(Script::default().model("free", [free]).model("paid", [Act::Ok])).await;
    let config = format!(
        "providers: {{up: {{profile: openai_compatible, base_url: '{}'}}}}\n\
         endpoints:\n  - {{name: free, provider: up, model: free}}\n  - {{name: paid, provider: up, model: paid, price: {{request: 1}}}}\n\
         agents: [{{name: m, endpoints: [free, paid]}}]\nresilience: {{retry: {{max_attempts: 1}}}}\nbudgets: {budgets}\n",
        upstream.base_url()
    );
    (Server::start(&config).await, upstream)
}

/// M03: the budget is asked again for the endpoint that will bill.
#[tokio::test(flavor = "multi_thread")]
async fn a_paid_fallback_of_a_free_endpoint_is_held_before_it_is_asked() {
    let ask = async |limit: &str| {
        let budgets = format!("[{{account: tenant, limit_usd: '{limit}'}}]");
        let (server, upstream) = free_then_paid(Act::status(503), &budgets).await;
        let status = server.post("/v1/chat/completions", &question()).send().await.unwrap().status();
        (status, upstream.stats().models.get("paid").copied().unwrap_or_default())
    };
    // The one that costs nothing may answer again: that is what the caller is told.
    assert_eq!(ask("0.99").await, (StatusCode::SERVICE_UNAVAILABLE, 0));
    assert_eq!(ask("1").await, (StatusCode::OK, 1));
}

/// M05: what a call held and did not use is there again for the next one, at once.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_held_and_not_used_refuses_nobody() {
    let (server, upstream) = server(vec![calls(1)], "[{account: tenant, limit_usd: '0.0015'}]").await;
    // At worst a call costs nearly the whole budget, and in truth 7 millionths of a dollar.
    let mut question = question();
    question["max_tokens"] = json!(1_000);
    for _ in 0..20 {
        let answer = server.post("/v1/chat/completions", &question).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
    }
    assert_eq!((upstream.stats().requests, spent(&server, "money").await), (20, json!("0.00014")));
}

/// What a provider answers in is what it charges by.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_charged_by_the_service_that_it_came_in() {
    let body = json!({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "service_tier": "default",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "here"}}],
        "usage": {"prompt_tokens": 1_000, "completion_tokens": 0, "total_tokens": 1_000}});
    let act = Act::Raw { status: 200, content_type: "application/json".to_owned(), body: body.to_string() };
    let upstream = Upstream::start(Script::any([act])).await;
    let config = format!(
        "providers: {{up: {{profile: openai_compatible, base_url: '{}'}}}}\n\
         endpoints:\n  - name: m\n    provider: up\n    model: m\n    price: [{{price: {{input: 1}}}}, {{service: flex, price: {{input: 0.5}}}}]\n\
         budgets: [{{account: tenant, limit_usd: 1}}]\n",
        upstream.base_url()
    );
    let server = Server::start(&config).await;
    let mut question = question();
    question["service_tier"] = json!("flex");
    let answer = server.post("/v1/chat/completions", &question).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
    drop(answer.bytes().await.unwrap());
    assert_eq!(spent(&server, "money").await, json!("0.001"));
}
