//! Agents as Cursor's documentation shows them: its pages "Launch an agent", "Agent status", "Agent conversation" and
//! "Delete an agent" below <https://docs.cursor.com/en/background-agent/api> (read 2026-11-21).

use std::sync::Arc;
use std::time::Duration;

use maof_core::{
    Body, Call, Card, ChatRequest, Endpoint as _, ErrorKind, Message, Name, Operation, OutputFormat, Part,
    Parts, Retry, Speaker, Tariff, Timestamp,
};
use maof_testkit::FakeClock;
use maof_testkit::endpoint::call;
use serde_json::{Value, json};

use super::*;
use crate::client::Http;
use crate::client::fake::Fake;

const JSON: &str = "application/json";
const LAUNCHED: &str = r#"{
    "id": "bc_abc123", "name": "Add README Documentation", "status": "CREATING",
    "source": {"repository": "https://github.com/your-org/your-repo", "ref": "main"},
    "target": {"branchName": "cursor/add-readme-1234", "url": "https://cursor.com/agents?id=bc_abc123", "autoCreatePr": false},
    "createdAt": "2024-01-15T10:30:00Z"
}"#;
const CONVERSATION: &str = r#"{"id": "bc_abc123", "messages": [
    {"id": "msg_123", "type": "user_message", "text": "Add a README.md file with installation instructions"},
    {"id": "msg_124", "type": "assistant_message", "text": "I'll look."},
    {"id": "msg_125", "type": "assistant_message", "text": "I've added a README.md file."},
    {"id": "msg_126", "type": "user_message", "text": "Thanks"}
]}"#;
const AT: &str = "https://api.cursor.com/v0/agents";

fn status(word: &str) -> String {
    json!({
        "id": "bc_abc123", "name": "Add README Documentation", "status": word,
        "source": {"repository": "https://github.com/your-org/your-repo", "ref": "main"},
        "target": {
            "branchName": "cursor/add-readme-1234", "url": "https://cursor.com/agents?id=bc_abc123",
            "prUrl": "https://github.com/your-org/your-repo/pull/1234", "autoCreatePr": false,
        },
        "summary": "Added README.md with installation instructions and usage examples",
        "createdAt": "2024-01-15T10:30:00Z",
    })
    .to_string()
}

/// An upstream whose agent has these statuses, one a look, after it was launched.
fn upstream(statuses: &[&str]) -> Fake {
    let launched = Fake::default().then(201, JSON, LAUNCHED);
    statuses.iter().fold(launched, |fake, word| fake.then(200, JSON, status(word)))
}

struct Bench {
    endpoint: CursorEndpoint,
    http: Arc<Fake>,
    tidy: Tidy,
}

fn bench(change: Value, model: &str, http: Fake) -> Bench {
    let card = Card {
        name: Name::new("coder").unwrap(),
        provider: Name::new("cursor").unwrap(),
        model: model.into(),
        operations: vec![Operation::Chat],
        tariff: Tariff::default(),
        context: None,
        max_output: 100,
    };
    let mut config = json!({"api_key": "key_1", "repository": "https://github.com/your-org/your-repo"});
    config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let config: CursorConfig = serde_json::from_value(config).unwrap();
    let http = Arc::new(http);
    let clock = FakeClock::at(Timestamp::default());
    let port = Arc::clone(&http) as Arc<dyn Http>;
    let (endpoint, tidy) = CursorEndpoint::with_http(card, &config, clock, port).unwrap();
    Bench { endpoint, http, tidy }
}

const TEXT: &str = "I've added a README.md file.\n\nBranch: cursor/add-readme-1234\n\
                    Pull request: https://github.com/your-org/your-repo/pull/1234\n\
                    Agent: https://cursor.com/agents?id=bc_abc123";

#[tokio::test(start_paused = true)]
async fn an_agent_is_launched_followed_and_told() {
    for stream in [false, true] {
        let http = upstream(&["RUNNING", "FINISHED"]).then(200, JSON, CONVERSATION);
        let Bench { endpoint, http, .. } = bench(json!({"ref": "main", "poll_ms": 5_000}), "auto", http);
        let asked = Call { stream, ..call("Add a README.md file") };
        let reply = endpoint.call(asked).await.unwrap();
        assert_eq!(reply.is_stream(), stream);
        let (response, end) = reply.collect().await.unwrap();
        assert_eq!(response.text().unwrap(), TEXT);
        assert_eq!((response.id.as_deref(), end.model.as_deref()), (Some("bc_abc123"), Some("auto")));
        let look = format!("GET {AT}/bc_abc123");
        let lines = [format!("POST {AT}"), look.clone(), look.clone(), format!("{look}/conversation")];
        assert_eq!(http.lines(), lines);
        let asked = http.asked();
        assert_eq!(asked[1].headers["authorization"], "Bearer key_1");
        let sent: Value = serde_json::from_slice(&asked[0].body).unwrap();
        let source = json!({"repository": "https://github.com/your-org/your-repo", "ref": "main"});
        let prompt = json!({"text": "Add a README.md file"});
        let target = json!({"autoCreatePr": false});
        assert_eq!(sent, json!({"prompt": prompt, "source": source, "target": target}));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_may_name_its_repository_and_want_json() {
    let http = upstream(&["FINISHED"]).then(500, JSON, "{}");
    let Bench { endpoint, http, .. } = bench(json!({"auto_create_pr": true}), "claude-4-sonnet", http);
    let mut chat = ChatRequest::user("x");
    chat.rest = json!({"repository": "https://github.com/o/r", "ref": "v1"}).as_object().unwrap().clone();
    chat.output = Some(OutputFormat::Json);
    let reply = endpoint.call(Call { body: Body::from(chat), ..call("") }).await.unwrap();
    let text = reply.collect().await.unwrap().0.text().unwrap();
    let expect = json!({
        "agent": "bc_abc123", "summary": "Added README.md with installation instructions and usage examples",
        "message": null, "branch": "cursor/add-readme-1234",
        "pull_request": "https://github.com/your-org/your-repo/pull/1234",
        "url": "https://cursor.com/agents?id=bc_abc123",
    });
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expect);
    let sent: Value = serde_json::from_slice(&http.asked()[0].body).unwrap();
    assert_eq!(sent["source"], json!({"repository": "https://github.com/o/r", "ref": "v1"}));
    assert_eq!((&sent["model"], &sent["target"]["autoCreatePr"]), (&json!("claude-4-sonnet"), &json!(true)));
}

#[tokio::test(start_paused = true)]
async fn looks_are_as_far_apart_as_is_configured() {
    let running = vec!["RUNNING"; 100];
    let Bench { endpoint, http, .. } = bench(json!({"poll_ms": 10_000}), "auto", upstream(&running));
    let waited = tokio::time::timeout(Duration::from_secs(35), endpoint.call(call("x"))).await;
    assert!(waited.is_err());
    assert_eq!(http.lines().len(), 1 + 3, "a launch, and looks after 10, 20 and 30 seconds");
    let change = json!({"poll_ms": 10_000, "follow_ms": 25_000});
    let Bench { endpoint, http, .. } = bench(change, "auto", upstream(&running));
    let error = endpoint.call(call("x")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Never));
    assert!(error.message().contains("bc_abc123"), "{error}");
    assert_eq!(http.lines().len(), 1 + 2);
}

/// An upstream that never answers.
#[derive(Debug)]
struct Silent;

#[async_trait::async_trait]
impl Http for Silent {
    async fn send(&self, _: crate::client::Request) -> maof_core::Result<crate::client::Answer> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_is_silent_is_not_waited_for_longer_than_an_agent() {
    let Bench { endpoint, .. } = bench(json!({}), "auto", upstream(&[]));
    let config: CursorConfig =
        serde_json::from_value(json!({"api_key": "k", "repository": "r", "follow_ms": 30_000})).unwrap();
    let clock = FakeClock::at(Timestamp::default());
    let (silent, _) =
        CursorEndpoint::with_http(endpoint.card().clone(), &config, clock, Arc::new(Silent)).unwrap();
    for stream in [false, true] {
        let asked = silent.call(Call { stream, ..call("x") });
        let waited = tokio::time::timeout(Duration::from_secs(31), asked).await.expect("an end");
        let error = waited.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Never));
    }
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_ends_the_following_and_deletes_the_agent_if_that_is_configured() {
    let delete = format!("DELETE {AT}/bc_abc123");
    for cancel in [false, true] {
        for stream in [false, true] {
            let change = json!({"cancel_on_drop": cancel});
            let Bench { endpoint, http, tidy } = bench(change, "auto", upstream(&["RUNNING"; 9]));
            let asked = Call { stream, ..call("x") };
            match stream {
                false => {
                    let waited = tokio::time::timeout(Duration::from_secs(15), endpoint.call(asked)).await;
                    assert!(waited.is_err());
                }
                true => {
                    let (_, parts) = endpoint.call(asked).await.unwrap().into_parts();
                    let Parts::Stream(mut events) = parts else { panic!("a stream") };
                    assert!(futures::StreamExt::next(&mut events).await.unwrap().is_ok());
                }
            }
            // Also of what was left before the end.
            tidy.run(std::future::ready(())).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            let lines = http.lines();
            let looks = usize::from(!stream);
            assert_eq!(lines.len(), 1 + looks + usize::from(cancel), "{cancel} {stream} {lines:?}");
            assert_eq!(lines.last() == Some(&delete), cancel, "{lines:?}");
        }
    }
    // One that is done is kept.
    let http = upstream(&["FINISHED"]).then(200, JSON, CONVERSATION);
    let Bench { endpoint, http, tidy } = bench(json!({"cancel_on_drop": true}), "auto", http);
    drop(endpoint.call(call("x")).await.unwrap());
    drop(endpoint);
    tidy.run(std::future::pending()).await;
    assert!(!http.lines().contains(&delete));
}

#[tokio::test(start_paused = true)]
async fn failures_are_of_the_kind_that_they_are() {
    let check = async |http: Fake, kind: ErrorKind, retry: Retry| {
        let key = json!({"api_key": "key_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"});
        let Bench { endpoint, .. } = bench(key, "auto", http);
        let error = endpoint.call(call("x")).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{error:?}");
        assert!(
            !format!("{error} {error:?}")
                .contains("key_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
            "{error:?}"
        );
    };
    let failing = |status, body: &'static str| Fake::default().then(status, JSON, body);
    check(
        failing(
            401,
            r#"{"error": "bad key_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}"#,
        ),
        ErrorKind::Unavailable,
        Retry::Elsewhere,
    )
    .await;
    check(failing(429, "{}"), ErrorKind::RateLimited, Retry::Here).await;
    check(failing(201, "{}"), ErrorKind::Protocol, Retry::Here).await;
    let path = r#"{"id": "../me", "status": "CREATING"}"#;
    check(failing(201, path), ErrorKind::Protocol, Retry::Here).await;
    check(upstream(&["ERROR"]), ErrorKind::Unavailable, Retry::Never).await;
    check(upstream(&["RUNNING", "EXPIRED"]), ErrorKind::Unavailable, Retry::Never).await;
    // After its launch nothing answers any more.
    check(upstream(&[]), ErrorKind::Unavailable, Retry::Never).await;
}

#[tokio::test]
async fn what_an_agent_cannot_be_told_is_refused_by_name() {
    let check = async |chat: ChatRequest, field: &str| {
        let Bench { endpoint, http, .. } = bench(json!({"repository": null}), "auto", upstream(&[]));
        let error = endpoint.call(Call { body: Body::from(chat), ..call("") }).await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidRequest, Some(field)));
        assert!(http.lines().is_empty(), "nothing is launched");
    };
    let chat = ChatRequest::user("x");
    check(chat.clone(), "repository").await;
    check(ChatRequest { top_p: Some(0.5), ..chat.clone() }, "top_p").await;
    let schema = OutputFormat::JsonSchema { name: "a".to_owned(), schema: json!({}), strict: None };
    check(ChatRequest { output: Some(schema), ..chat.clone() }, "response_format").await;
    let picture = Part::Image { url: "data:,".to_owned(), detail: None };
    let messages = vec![Message::of(Speaker::User, vec![picture])];
    check(ChatRequest { messages, ..chat.clone() }, "messages[0].parts[0] (image)").await;
    let mut odd = chat;
    odd.rest.insert("ref".to_owned(), json!(7));
    odd.rest.insert("repository".to_owned(), json!("https://github.com/o/r"));
    check(odd, "ref").await;
}

#[test]
fn mistakes_are_named_by_field_and_the_key_is_never_shown() {
    let check = |change: Value, expect: Option<&str>| {
        let mut config = json!({"api_key": "key_1"});
        config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let config: CursorConfig = serde_json::from_value(config).unwrap();
        let field = config.validate().err().map(|e| e.field().unwrap_or("?").to_owned());
        assert_eq!(field.as_deref(), expect, "{change}");
        let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("key_1"), "{shown}");
    };
    check(json!({}), None);
    check(json!({"base_url": "http://127.0.0.1:1/"}), None);
    check(json!({"base_url": "cursor"}), Some("base_url"));
    check(json!({"base_url": "https://k@api.cursor.com"}), Some("base_url"));
    check(json!({"api_key": null}), Some("api_key"));
    check(json!({"api_key": "a\nb"}), Some("api_key"));
    check(json!({"poll_ms": 0}), Some("poll_ms"));
    check(json!({"follow_ms": 0}), Some("follow_ms"));
    check(json!({"repository": " "}), Some("repository"));
    check(json!({"ref": ""}), Some("ref"));
    assert!(serde_json::from_str::<CursorConfig>(r#"{"reference": "x"}"#).is_err());
}
