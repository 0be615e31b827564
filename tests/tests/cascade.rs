//! Cascades at a real server, in front of upstreams that answer as they are told.
#![allow(clippy::unwrap_used, clippy::panic)]

use maof_testkit::{Act, Script, Upstream};
use maof_tests::served::Server;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

const CONFIG: &str = "\
providers: {up: {profile: openai_compatible, base_url: 'URL', api_key: k}}
endpoints:
  - {name: cheap, provider: up, model: cheap, price: {input: 1, output: 1}}
  - {name: dear, provider: up, model: dear, price: {input: 100, output: 100}}
agents:
  - {name: clerk, endpoints: [cheap]}
  - {name: editor, endpoints: [dear]}
routing: {default_agents: [editor], cascade: [{of: editor, first: clerk, hold_streams: HELD}]}
";

const GOOD: &str = "Paris.";
const BAD: &str = "I'm sorry, but I cannot help with that.";

/// An upstream's answer of this text.
fn says(text: &str, stream: bool) -> Act {
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12});
    let chunk = |choice: Value, usage: &Value| {
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [choice], "usage": usage});
        format!("data: {chunk}\n\n")
    };
    let (content_type, body) = match stream {
        false => {
            let message = json!({"role": "assistant", "content": text});
            let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
            let whole = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [choice], "usage": usage});
            ("application/json", whole.to_string())
        }
        true => {
            let said =
                json!({"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": null});
            let done = json!({"index": 0, "delta": {}, "finish_reason": "stop"});
            let body = chunk(said, &Value::Null) + &chunk(done, &usage) + "data: [DONE]\n\n";
            ("text/event-stream", body)
        }
    };
    Act::Raw { status: 200, content_type: content_type.to_owned(), body }
}

async fn started(clerk: Act, stream: bool, held: bool) -> (Server, Upstream) {
    let script = Script::default().model("cheap", [clerk]).model("dear", [says("Lyon.", stream)]);
    let upstream = Upstream::start(script).await;
    let config = CONFIG.replace("URL", &upstream.base_url()).replace("HELD", &held.to_string());
    (Server::start(&config).await, upstream)
}

async fn ask(server: &Server, stream: bool) -> Response {
    let question = json!({"model": "editor", "stream": stream,
        "messages": [{"role": "user", "content": "What is the capital of France?"}]});
    let response = server.post("/v1/chat/completions", &question).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response
}

fn header(response: &Response, name: &str) -> String {
    response.headers()[name].to_str().unwrap().to_owned()
}

/// What the agents' attempts cost, in nano-dollars.
async fn billed(server: &Server) -> Vec<(String, i64)> {
    server.maof.ledger().flush().await.unwrap();
    let rows = server.maof.ledger().attempts(&"acme".parse().unwrap(), None, 10).await.unwrap();
    let mut rows: Vec<_> = rows.iter().map(|row| (row.agent.to_string(), row.cost.nanos())).collect();
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubtful_answer_is_escalated_and_both_attempts_are_billed() {
    for (clerk, agent, said, rows) in [
        (says(GOOD, false), "clerk", GOOD, 1),
        (says(BAD, false), "editor", "Lyon.", 2),
        (Act::status(400), "editor", "Lyon.", 2),
    ] {
        let (server, _upstream) = started(clerk, false, false).await;
        let response = ask(&server, false).await;
        let (by, cost) = (header(&response, "x-maof-agent"), header(&response, "x-maof-cost-usd"));
        let answer: Value = response.json().await.unwrap();
        assert_eq!((by.as_str(), &answer["choices"][0]["message"]["content"]), (agent, &json!(said)));
        let billed = billed(&server).await;
        assert_eq!(billed.len(), rows, "{billed:?}");
        let all: i64 = billed.iter().map(|(_, cost)| cost).sum();
        assert!((cost.parse::<f64>().unwrap() * 1e9 - all as f64).abs() < 1.0, "{cost} told, {billed:?}");
        let result = if rows == 1 { "kept" } else { "escalated" };
        let text = server.get("/metrics/prometheus").send().await.unwrap().text().await.unwrap();
        assert!(text.contains(&format!("maof_cascades_total{{result=\"{result}\"}} 1\n")), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_can_afford_only_the_cheap_agent_is_answered_by_it() {
    for clerk in [GOOD, BAD] {
        let script =
            Script::default().model("cheap", [says(clerk, false)]).model("dear", [says("Lyon.", false)]);
        let upstream = Upstream::start(script).await;
        let config = CONFIG.replace("URL", &upstream.base_url()).replace("HELD", "false");
        // 4,096 tokens of an answer at the dear one's price are 0.41 dollars, at the cheap one's 0.0041.
        let server =
            Server::start(&format!("{config}budgets: [{{account: tenant, limit_usd: 0.01}}]\n")).await;
        let response = ask(&server, false).await;
        assert_eq!(header(&response, "x-maof-agent"), "clerk");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(
            answer["choices"][0]["message"]["content"], clerk,
            "what is paid for is given, though it is doubtful"
        );
        assert_eq!(upstream.stats().models.get("dear"), None);
        let text = server.get("/metrics/prometheus").send().await.unwrap().text().await.unwrap();
        assert!(text.contains("maof_cascades_total{result=\"kept\"} 1\n"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_to_whom_it_asks_for_unless_it_is_to_be_held() {
    for (held, clerk, agent, said) in
        [(false, GOOD, "editor", "Lyon."), (true, GOOD, "clerk", GOOD), (true, BAD, "editor", "Lyon.")]
    {
        let (server, _upstream) = started(says(clerk, true), true, held).await;
        let response = ask(&server, true).await;
        assert_eq!(header(&response, "x-maof-agent"), agent, "held: {held}");
        let body = response.text().await.unwrap();
        let deltas = body.lines().filter_map(|line| line.strip_prefix("data: {"));
        let deltas = deltas.map(|json| serde_json::from_str::<Value>(&format!("{{{json}")).unwrap());
        let text: String = deltas
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(text, said, "{body}");
        assert!(body.trim_end().ends_with("[DONE]"), "{body}");
        assert_eq!(billed(&server).await.len(), if held && clerk == BAD { 2 } else { 1 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tasks_step_is_cascaded_like_any_call() {
    let (server, _upstream) = started(says(GOOD, false), false, false).await;
    let config = server.maof.config();
    assert_eq!(config.routing.cascade.len(), 1);
    let task = json!({"task_type": "editor", "content": "What is the capital of France?"});
    let request = server.post("/tasks?wait=30", &task);
    let shown: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(shown["agent_responses"][0]["agent"], "clerk", "{shown}");
}

/// A model's file: of its outcomes the cheap answers that announce themselves were wrong, the others right.
fn trained(file: &std::path::Path) {
    use maof_router::learned::{Outcome, Prices, Seeded, Training, arms_of};
    let outcome = |n: u32| {
        let wrong = n.is_multiple_of(3);
        let answer = if wrong { "The answer is Paris." } else { "Paris." };
        let line = json!({"prompt": format!("What is the capital of country {n}?"), "out": {"cheap": answer},
            "y": {"cheap": if wrong { 0 } else { 1 }, "dear": 1}});
        Outcome::parse(&line.to_string()).unwrap().unwrap()
    };
    let outcomes: Vec<Outcome> = (0..300).map(outcome).collect();
    let prices = Prices::parse(r#"{"cheap": [1, 1], "dear": [100, 100]}"#, &arms_of(&outcomes)).unwrap();
    let model = Training { prices, ..Training::default() }.train(&outcomes, &Seeded::new(1)).unwrap();
    std::fs::write(file, model.to_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trained_model_decides_whose_answers_stand() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cascade.maof");
    trained(&file);
    let model = format!("model: '{}', quality: 0.9", file.display());
    for (rest, said, agent) in [
        ("confidence: 0.25", "The answer is Paris.", "clerk"),
        (&*model, "The answer is Paris.", "editor"),
        (&*model, "Paris.", "clerk"),
    ] {
        let script =
            Script::default().model("cheap", [says(said, false)]).model("dear", [says("Lyon.", false)]);
        let upstream = Upstream::start(script).await;
        let config = CONFIG.replace("URL", &upstream.base_url()).replace("hold_streams: HELD", rest);
        let server = Server::start(&config).await;
        assert_eq!(header(&ask(&server, false).await, "x-maof-agent"), agent, "{rest}: {said}");
    }
}
