//! Services as their documentation shows them, and mistakes in their configuration.

use std::sync::Arc;

use maof_core::{
    Body, Call, Card, ChatRequest, Chosen, Endpoint as _, ErrorKind, Message, Name, Operation, Part, Probe,
    Reply, Retry, Speaker, Tariff, Timestamp, Unit,
};
use maof_testkit::FakeClock;
use maof_testkit::endpoint::call;
use serde_json::{Value, json};

use super::*;
use crate::client::Http;
use crate::client::fake::Fake;

const JSON: &str = "application/json";

fn endpoint(config: Value, http: &Arc<Fake>) -> ServiceEndpoint {
    let card = Card {
        name: Name::new("finbert").unwrap(),
        provider: Name::new("service").unwrap(),
        model: "m1".into(),
        operations: vec![Operation::Chat],
        tariff: Tariff::default(),
        context: None,
        max_output: 100,
    };
    let config: ServiceConfig = serde_json::from_value(config).unwrap();
    let http = Arc::clone(http) as Arc<dyn Http>;
    ServiceEndpoint::with_http(card, &config, FakeClock::at(Timestamp::default()), http).unwrap()
}

/// A conversation with instructions of the agent, instructions of the caller, and three turns.
fn conversation() -> Call {
    let messages = vec![
        Message::text(Speaker::System, "Be brief."),
        Message::text(Speaker::User, "Up?"),
        Message::text(Speaker::Assistant, "Yes."),
        Message::text(Speaker::User, "{\"ticker\": \"AAPL\"}"),
    ];
    let mut asked = call("");
    asked.body = Body::from(ChatRequest { messages, ..ChatRequest::default() });
    asked.chosen = Some(Arc::new(Chosen {
        decision: maof_core::DecisionId::from_uuid(uuid::Uuid::nil()),
        agent: Name::new("analyst").unwrap(),
        endpoint: Name::new("finbert").unwrap(),
        instructions: Some("You analyse.".into()),
        fallbacks: 0,
        instead_of: None,
    }));
    asked
}

/// What a call is answered, and what was asked: the body, and the method and address.
async fn exchange(config: Value, asked: Call, answer: &'static str) -> (Reply, Value, String) {
    let http = Arc::new(Fake::default().then(200, JSON, answer));
    let reply = endpoint(config, &http).call(asked).await.unwrap();
    let body = serde_json::from_slice(&http.asked()[0].body).unwrap_or_default();
    (reply, body, http.lines().remove(0))
}

#[tokio::test]
async fn services_are_asked_and_understood_as_their_documentation_shows() {
    let check =
        async |config: Value, sent: Value, answer: &'static str, text: &str, used: Option<(u64, u64)>| {
            let (reply, body, _) = exchange(config.clone(), call("The company made a profit."), answer).await;
            assert_eq!(body, sent, "{config}");
            let (response, end) = reply.collect().await.unwrap();
            assert_eq!(response.text().unwrap(), text, "{config}");
            let usage = end.usage.unwrap();
            if usage.estimated {
                assert_eq!(usage.get(Unit::Output), text.len().div_ceil(4) as u64, "{config}");
            }
            let usage = (!usage.estimated).then(|| (usage.get(Unit::Input), usage.get(Unit::Output)));
            assert_eq!((usage, response.model.as_deref()), (used, Some("m1")), "{config}");
        };
    // KServe, protocol version 1; https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol,
    // 2026-11-21.
    check(
        json!({"url": "http://h.example/v1/models/finbert:predict", "result": "/predictions/0",
               "body": {"instances": ["{{ text }}"]}}),
        json!({"instances": ["The company made a profit."]}),
        r#"{"predictions": [{"label": "positive", "score": 0.95}]}"#,
        r#"{"label":"positive","score":0.95}"#,
        None,
    )
    .await;
    // llama.cpp's server, /completion (https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md; its
    // counts of tokens were not looked up anew).
    check(
        json!({"url": "http://h.example/completion", "result": "/content",
               "body": {"prompt": "Q: {{text}}\nA:", "n_predict": 128},
               "usage": {"input": "/tokens_evaluated", "output": "/tokens_predicted"}}),
        json!({"prompt": "Q: The company made a profit.\nA:", "n_predict": 128}),
        r#"{"content": " Good.", "stop": true, "tokens_evaluated": 9, "tokens_predicted": 2}"#,
        " Good.",
        Some((9, 2)),
    )
    .await;
    // Ollama, /api/generate; https://github.com/ollama/ollama/blob/main/docs/api.md, 2026-11-21.
    check(
        json!({"url": "http://h.example/api/generate", "result": "/response",
               "body": {"model": "{{ model }}", "prompt": "{{ prompt }}", "stream": false},
               "usage": {"input": "/prompt_eval_count", "output": "/eval_count"}}),
        json!({"model": "m1", "prompt": "The company made a profit.", "stream": false}),
        r#"{"model": "m1", "response": "Fine.", "done": true, "eval_count": 3}"#,
        "Fine.",
        None,
    )
    .await;
    // No product's shape: without `result` the whole body is the answer.
    check(
        json!({"url": "http://h.example/predict", "method": "PUT", "body": "{{ input }}"}),
        json!("The company made a profit."),
        "[1.5, 2]",
        "[1.5,2]",
        None,
    )
    .await;
}

#[tokio::test]
async fn each_placeholder_stands_for_its_part_of_the_conversation() {
    let check = async |template: Value, sent: Value| {
        let config = json!({"url": "http://h.example/p", "body": {"q": "{{input}}", "x": template}});
        let (_, body, _) = exchange(config, conversation(), "{}").await;
        assert_eq!(body["x"], sent, "{template}");
    };
    check(json!("{{ text }}"), json!("{\"ticker\": \"AAPL\"}")).await;
    check(json!("{{ input }}"), json!({"ticker": "AAPL"})).await;
    check(json!("<{{system}}|{{ model }}>"), json!("<You analyse.\n\nBe brief.|m1>")).await;
    let prompt = "You analyse.\n\nBe brief.\n\nUser: Up?\n\nAssistant: Yes.\n\nUser: {\"ticker\": \"AAPL\"}";
    check(json!(["{{ prompt }}", 7, null, ""]), json!([prompt, 7, null, ""])).await;
    let messages = json!([
        {"role": "system", "content": "You analyse.\n\nBe brief."}, {"role": "user", "content": "Up?"},
        {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "{\"ticker\": \"AAPL\"}"},
    ]);
    check(json!({"m": "{{ messages }}"}), json!({"m": messages})).await;
}

#[tokio::test]
async fn a_text_with_quotes_and_placeholders_changes_no_structure() {
    let text = "a\", \"b\": \"{{ model }} & c=d #\n";
    let post = json!({"url": "http://h.example/p", "body": {"a": "[{{ text }}]"}});
    let (_, body, _) = exchange(post, call(text), "{}").await;
    assert_eq!(body, json!({"a": format!("[{text}]")}));
    let get = json!({"url": "http://h.example/p", "method": "GET", "query": {"q": "{{text}}", "z": "1"}});
    let (_, body, line) = exchange(get, call(text), "{}").await;
    assert_eq!(body, Value::Null);
    let expect = "GET http://h.example/p?q=a%22%2C+%22b%22%3A+%22%7B%7B+model+%7D%7D+%26+c%3Dd+%23%0A&z=1";
    assert_eq!(line, expect);
}

#[tokio::test]
async fn whoever_wants_a_stream_gets_one() {
    let config = json!({"url": "http://h.example/p", "body": {"a": "{{ text }}"}, "result": "/r"});
    let asked = Call { stream: true, ..call("x") };
    let (reply, ..) = exchange(config, asked, r#"{"r": "all"}"#).await;
    assert!(reply.is_stream());
    let (response, end) = reply.collect().await.unwrap();
    assert_eq!((response.text().unwrap().as_str(), end.model.as_deref()), ("all", Some("m1")));
    assert!(end.is_complete());
}

#[tokio::test]
async fn answers_that_are_none_are_errors_that_show_no_secret() {
    let check = async |status: u16, kind: &'static str, body: &'static [u8], expect: (ErrorKind, Retry)| {
        let http = Arc::new(Fake::default().then(status, kind, body));
        let config = json!({"url": "http://h.example/p", "body": "{{ text }}", "result": "/r",
                            "headers": {"x-key": "sk-secret1"}, "max_reply_bytes": 60});
        let error = endpoint(config, &http).call(call("x")).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), expect, "{status} {kind}: {error:?}");
        assert_eq!(http.asked()[0].headers["x-key"], "sk-secret1");
        assert!(!format!("{error} {error:?}").contains("sk-secret"), "{error:?}");
    };
    let protocol = (ErrorKind::Protocol, Retry::Here);
    check(200, JSON, br#"{"other": 1}"#, protocol).await;
    check(200, JSON, b"<html>", protocol).await;
    check(200, "image/png", b"png", protocol).await;
    check(200, "text/plain", b"\xff", protocol).await;
    let large = b"[\"a text that is longer than the sixty bytes that the test allows\"]";
    check(200, JSON, large, (ErrorKind::Protocol, Retry::Elsewhere)).await;
    check(401, JSON, br#"{"error": "key sk-secret1"}"#, (ErrorKind::Unavailable, Retry::Elsewhere)).await;
    check(422, JSON, br#"{"detail": "bad sk-secret1"}"#, (ErrorKind::InvalidRequest, Retry::Never)).await;
    check(503, "text/html", b"<p>down</p>", (ErrorKind::Unavailable, Retry::Here)).await;
}

#[tokio::test]
async fn what_a_service_cannot_be_told_is_refused_by_name_or_reported() {
    let ask = async |chat: ChatRequest, unsupported: &str| {
        let http = Arc::new(Fake::default().then(200, "text/plain; charset=utf-8", "ok"));
        let config = json!({"url": "http://h.example/p", "body": "{{ text }}", "unsupported": unsupported});
        endpoint(config, &http).call(Call { body: Body::from(chat), ..call("") }).await
    };
    let check = async |chat: ChatRequest, field: &str| {
        let error = ask(chat.clone(), "refuse").await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidRequest, Some(field)));
        let reply = ask(chat, "drop_and_report").await.unwrap();
        assert_eq!(reply.head.dropped, [field]);
        assert_eq!(reply.collect().await.unwrap().0.text().unwrap(), "ok");
    };
    let chat = ChatRequest::user("x");
    check(ChatRequest { temperature: Some(0.5), ..chat.clone() }, "temperature").await;
    check(ChatRequest { choices: Some(2), ..chat.clone() }, "n").await;
    let picture = Part::Image { url: "data:,".to_owned(), detail: None };
    let messages = vec![Message::of(Speaker::User, vec![Part::text("x"), picture])];
    check(ChatRequest { messages, ..chat.clone() }, "messages[0].parts[1] (image)").await;
    let mut rest = chat.clone();
    rest.rest.insert("logit_bias".to_owned(), json!({"1": 2}));
    check(rest, "logit_bias").await;
    let hints = ChatRequest { user: Some("u".to_owned()), choices: Some(1), ..chat };
    assert_eq!(ask(hints, "refuse").await.unwrap().head.dropped, ["user"]);
    let silent =
        ChatRequest { messages: vec![Message::text(Speaker::System, "x")], ..ChatRequest::default() };
    assert_eq!(ask(silent, "drop_and_report").await.unwrap_err().field(), Some("messages"));
}

#[tokio::test]
async fn a_probe_asks_the_health_path_with_the_services_own_headers() {
    let config = |health: Value| {
        json!({"url": "http://h.example:8000/api/predict", "body": {"a": "{{ text }}"}, "health": health,
               "headers": {"authorization": "Bearer k"}})
    };
    let check = async |status: u16, expect: Result<Probe, ErrorKind>| {
        let http = Arc::new(Fake::default().then(status, "text/plain", "any"));
        let found = endpoint(config(json!("/health")), &http).probe().await;
        assert_eq!(found.map_err(|e| e.kind()), expect, "{status}");
        assert_eq!(http.lines(), ["GET http://h.example:8000/health"]);
        let asked = &http.asked()[0];
        assert_eq!(asked.headers["authorization"], "Bearer k");
        assert!(asked.body.is_empty() && !asked.headers.contains_key("content-type"));
    };
    check(200, Ok(Probe::Well)).await;
    check(204, Ok(Probe::Well)).await;
    check(500, Err(ErrorKind::Unavailable)).await;
    check(302, Err(ErrorKind::Unavailable)).await;
    let nothing = Arc::new(Fake::default());
    assert_eq!(endpoint(config(Value::Null), &nothing).probe().await.unwrap(), Probe::Unknown);
    assert!(nothing.asked().is_empty());
    let away = endpoint(config(json!("/health")), &nothing).probe().await.unwrap_err();
    assert_eq!(away.kind(), ErrorKind::Unavailable);
}

#[test]
fn mistakes_are_named_by_field() {
    let check = |change: Value, expect: Option<&str>| {
        let mut config = json!({"url": "http://h.example/p", "body": {"a": "{{ text }}"}});
        config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let config: ServiceConfig = serde_json::from_value(config).unwrap();
        let field = config.validate().err().map(|e| e.field().unwrap_or("?").to_owned());
        assert_eq!(field.as_deref(), expect, "{change}");
    };
    check(json!({}), None);
    check(json!({"result": "/a~1b/0", "usage": {"input": "/u"}}), None);
    check(json!({"body": "{{messages}}"}), None);
    check(json!({"body": null, "method": "GET", "query": {"q": "{{ prompt }}"}}), None);
    check(json!({"url": ""}), Some("url"));
    check(json!({"url": "ftp://h.example"}), Some("url"));
    check(json!({"url": "http://k@h.example/"}), Some("url"));
    check(json!({"url": "http://h.example/?key=k"}), Some("url"));
    check(json!({"method": "GET"}), Some("body"));
    check(json!({"body": null}), Some("body"));
    check(json!({"body": {"a": "{{ model }}"}}), Some("body"));
    check(json!({"body": null, "method": "GET"}), Some("query"));
    check(json!({"body": {"a": [{"b": "x {{ txt }}"}]}}), Some("body.a[0].b"));
    check(json!({"body": "{{ text"}), Some("body"));
    check(json!({"body": {"a": "x {{ messages }}"}}), Some("body.a"));
    check(json!({"query": {"q": "{{ input }}"}}), Some("query.q"));
    check(json!({"headers": {"a b": "c"}}), Some("headers.a b"));
    check(json!({"result": "answer"}), Some("result"));
    check(json!({"result": "/a~2"}), Some("result"));
    check(json!({"usage": {"output": "n"}}), Some("usage.output"));
    check(json!({"max_reply_bytes": 0}), Some("max_reply_bytes"));
    check(json!({"health": "/health?deep=1"}), None);
    check(json!({"health": "health"}), Some("health"));
    check(json!({"health": "//other.example/health"}), Some("health"));
    check(json!({"health": "http://other.example/"}), Some("health"));
    for unknown in [r#"{"uri": "x"}"#, r#"{"method": "PATCH"}"#, r#"{"usage": {"in": "/a"}}"#] {
        assert!(serde_json::from_str::<ServiceConfig>(unknown).is_err(), "{unknown}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let json = r#"{"url": "http://h.example/p", "headers": {"x-key": "sk-secret1"}, "query": {"key": "sk-secret2"}}"#;
    let config: ServiceConfig = serde_json::from_str(json).unwrap();
    let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
    assert!(!shown.contains("sk-secret") && shown.contains("x-key"), "{shown}");
}
