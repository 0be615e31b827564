//! The endpoint against the scripted upstream, over real sockets.

use std::time::Duration;

use futures::StreamExt as _;
use maof_core::{
    Body, ChatRequest, Classify as _, Dialect as _, ErrorKind, Incoming, Name, Parts, Retry, Tariff,
    Timestamp, Unit,
};
use maof_testkit::endpoint::call;
use maof_testkit::{Act, FakeClock, Script, Upstream};
use serde_json::{Value, json};

use super::*;
use crate::OPENAI;
use crate::exchange::wait_of;

pub(super) fn card() -> Card {
    Card {
        name: Name::new("e").unwrap(),
        provider: Name::new("p").unwrap(),
        model: "m".into(),
        operations: vec![Operation::Chat, Operation::Embed],
        tariff: Tariff::default(),
        context: None,
        max_output: 100,
    }
}

/// An endpoint at `base_url`, its configuration changed by `change`.
fn endpoint(base_url: &str, change: Value) -> HttpEndpoint {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = json!({"profile": "openai", "base_url": base_url, "api_key": "sk-ours"});
    config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let config: ProviderConfig = serde_json::from_value(config).unwrap();
    HttpEndpoint::new(card(), &config, FakeClock::at(Timestamp::from_micros(784_111_777_000_000))).unwrap()
}

async fn start(act: Act) -> (Upstream, HttpEndpoint) {
    let upstream = Upstream::start(Script::any([act])).await;
    let endpoint = endpoint(&upstream.base_url(), json!({"idle_timeout_ms": 300}));
    (upstream, endpoint)
}

fn streamed(text: &str) -> Call {
    let mut call = call(text);
    call.stream = true;
    call
}

#[tokio::test]
async fn a_call_is_answered_whole_and_streamed_alike() {
    let (upstream, endpoint) = start(Act::Ok).await;
    let mut whole = call("hello big world");
    whole.provenance.effect = Some("run/step/0".into());
    let (response, end) = endpoint.call(whole).await.unwrap().collect().await.unwrap();
    assert_eq!(response.text().unwrap(), "echo: hello big world");
    assert_eq!((response.id.as_deref(), response.model.as_deref()), (Some("chatcmpl-upstream"), Some("m")));
    let usage = end.usage.unwrap();
    assert_eq!((usage.get(Unit::Input), usage.get(Unit::Output)), (3, 4));
    let reply = endpoint.call(streamed("hello big world")).await.unwrap();
    assert!(reply.is_stream());
    let (again, end) = reply.collect().await.unwrap();
    assert_eq!(
        (again.text().unwrap(), end.usage, end.finish),
        (response.text().unwrap(), Some(usage), response.finish)
    );
    let received = upstream.received();
    let header = |at: usize, name: &str| received[at].headers.get(name).map(String::as_str);
    assert_eq!(header(0, "authorization"), Some("Bearer sk-ours"));
    assert_eq!((header(0, "idempotency-key"), header(1, "idempotency-key")), (Some("run/step/0"), None));
    assert_eq!(
        (header(1, "accept"), header(1, "accept-encoding")),
        (Some("text/event-stream"), Some("identity"))
    );
    let body: Value = serde_json::from_slice(&received[1].body).unwrap();
    assert_eq!(body["stream_options"]["include_usage"], true, "usage is always asked for");
}

#[tokio::test]
async fn a_callers_bytes_pass_both_ways() {
    let (upstream, endpoint) = start(Act::Ok).await;
    let body = r#"{"model":"agent", "my_field":{"a":[1]},"messages":[{"role":"user","content":"x"}]}"#;
    let asked =
        maof_core::Call { body: OPENAI.read(Incoming::json(Operation::Chat, body)).unwrap(), ..call("") };
    let (response, _) = endpoint.call(asked).await.unwrap().collect().await.unwrap();
    assert_eq!(upstream.received()[0].body, body.replace("agent", "m"));
    let bytes = &response.content_of("openai").unwrap().bytes;
    assert!(bytes.starts_with(b"{\"choices\""), "the upstream's own bytes");
}

#[tokio::test]
async fn vectors_come_in_the_order_of_the_texts() {
    let (_upstream, endpoint) = start(Act::Ok).await;
    for format in ["float", "base64"] {
        let body = json!({"model": "e", "input": ["one", "two"], "encoding_format": format}).to_string();
        let asked = maof_core::Call {
            body: OPENAI.read(Incoming::json(Operation::Embed, body)).unwrap(),
            ..streamed("")
        };
        let (response, _) = endpoint.call(asked).await.unwrap().collect().await.unwrap();
        let maof_core::Answer::Embed(answer) = response.answer().unwrap() else { panic!("vectors") };
        let expect = ["one", "two"].map(|text| maof_testkit::upstream::vector(text, 8));
        assert_eq!(answer.vectors, expect);
        assert_eq!(response.usage.unwrap().input_tokens(), 2);
    }
}

/// The error of a whole call and of a streamed one, before any event.
async fn errors(act: Act) -> [Error; 2] {
    let (upstream, endpoint) = start(act).await;
    let whole = endpoint.call(call("x")).await.err();
    let stream = endpoint.call(streamed("x")).await.err();
    assert_eq!(upstream.stats().requests, 2, "nothing is sent twice");
    [whole, stream].map(|error| error.expect("an error"))
}

#[tokio::test]
async fn every_fault_before_the_first_event_is_an_error_of_the_call() {
    use ErrorKind::{InvalidRequest, Protocol, RateLimited, Timeout, Unavailable};
    let check = async |act: Act, kind: ErrorKind, retry: Retry| {
        for error in errors(act.clone()).await {
            assert_eq!((error.kind(), error.retry()), (kind, retry), "{act:?}: {error:?}");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("127.0.0.1") && !shown.contains("sk-"), "{shown}");
        }
    };
    let wait = |seconds| Retry::After(Duration::from_secs(seconds));
    check(Act::status(400), InvalidRequest, Retry::Never).await;
    check(Act::status(401), Unavailable, Retry::Elsewhere).await;
    check(Act::status(404), Unavailable, Retry::Elsewhere).await;
    check(Act::status(429), RateLimited, Retry::Here).await;
    check(Act::status(500), Unavailable, Retry::Here).await;
    check(Act::retry_after(429, "7"), RateLimited, wait(7)).await;
    check(Act::retry_after(503, "2"), Unavailable, wait(2)).await;
    check(Act::retry_after(400, "2"), InvalidRequest, Retry::Never).await;
    check(Act::retry_after(429, "Sun, 06 Nov 1994 08:50:37 GMT"), RateLimited, wait(60)).await;
    check(Act::retry_after(429, "soon"), RateLimited, Retry::Here).await;
    check(Act::Reset, Unavailable, Retry::Here).await;
    check(Act::Cut(0), Protocol, Retry::Here).await;
    check(Act::Malformed(0), Protocol, Retry::Here).await;
    check(Act::WrongContentType, Protocol, Retry::Here).await;
    check(Act::ErrorInside(0), Unavailable, Retry::Here).await;
    let html =
        Act::Raw { status: 502, content_type: "text/html".to_owned(), body: "<h1>sk-secret</h1>".to_owned() };
    check(html, Unavailable, Retry::Here).await;
    let redirect = Act::Raw { status: 302, content_type: "text/html".to_owned(), body: String::new() };
    check(redirect, Unavailable, Retry::Elsewhere).await;
    let stalled = Act::Drip { frames: 3, ms: 2_000 };
    let [_, stream] = async {
        let (_upstream, endpoint) = start(stalled).await;
        let whole = endpoint.call(call("x")).await.err();
        [whole, endpoint.call(streamed("x")).await.err()]
    }
    .await;
    assert_eq!(stream.unwrap().kind(), Timeout, "silence in the middle of an answer");
}

#[tokio::test]
async fn a_fault_after_the_first_event_is_an_error_of_the_stream() {
    for (act, kind) in [
        (Act::Cut(2), ErrorKind::Protocol),
        (Act::Malformed(2), ErrorKind::Protocol),
        (Act::ErrorInside(2), ErrorKind::Unavailable),
    ] {
        let (_upstream, endpoint) = start(act.clone()).await;
        let (_, parts) = endpoint.call(streamed("a b c d")).await.unwrap().into_parts();
        let Parts::Stream(events) = parts else { panic!("a stream") };
        let events: Vec<_> = events.collect().await;
        let (last, before) = events.split_last().unwrap();
        assert_eq!((before.len(), last.as_ref().unwrap_err().kind()), (2, kind), "{act:?}");
        assert!(last.as_ref().unwrap_err().is_fault());
    }
}

#[tokio::test]
async fn a_stream_without_terminator_is_complete_if_its_answer_is() {
    let (_upstream, endpoint) = start(Act::NoTerminator).await;
    let (response, _) = endpoint.call(streamed("a b")).await.unwrap().collect().await.unwrap();
    assert_eq!(response.text().unwrap(), "echo: a b");
}

#[tokio::test]
async fn dropping_a_call_or_its_reply_aborts_the_upstream() {
    let upstream = Upstream::start(Script::any([Act::Hang, Act::Drip { frames: 3_000, ms: 5 }])).await;
    let endpoint = endpoint(&upstream.base_url(), json!({}));
    let hung = tokio::time::timeout(Duration::from_millis(100), endpoint.call(call("x"))).await;
    assert!(hung.is_err());
    upstream.until(|stats| stats.aborted == 1).await;
    let (_, parts) = endpoint.call(streamed("x")).await.unwrap().into_parts();
    let Parts::Stream(mut events) = parts else { panic!("a stream") };
    assert!(events.next().await.unwrap().is_ok());
    drop(events);
    assert_eq!(upstream.until(|stats| stats.aborted == 2).await.open, 0);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_given_up() {
    let body = format!("{}{{}}", " ".repeat(5_000));
    let act = Act::Raw { status: 200, content_type: "application/json".to_owned(), body };
    let upstream = Upstream::start(Script::any([act, Act::Drip { frames: 50, ms: 0 }])).await;
    let limited = endpoint(&upstream.base_url(), json!({"max_reply_bytes": 1_000}));
    let error = limited.call(call("x")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Protocol, Retry::Elsewhere));
    let stream = match limited.call(streamed("x")).await {
        Ok(reply) => reply.collect().await.map(drop),
        Err(error) => Err(error),
    };
    assert_eq!(stream.unwrap_err().kind(), ErrorKind::Protocol, "a stream may have eight times as much");
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let error = endpoint(&url, json!({})).call(call("x")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry(), error.is_fault()), (ErrorKind::Unavailable, Retry::Here, true));
    assert!(!format!("{error}").contains("127.0.0.1"));
}

#[tokio::test]
async fn what_is_refused_before_it_is_sent_says_so() {
    let upstream = Upstream::start(Script::any([Act::Ok])).await;
    let anthropic = endpoint(&upstream.base_url(), json!({"profile": "anthropic"}));
    let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"logit_bias":{"50256":-100}}"#;
    let body = OPENAI.read(Incoming::json(Operation::Chat, body)).unwrap();
    let error = anthropic.call(Call { body, ..call("") }).await.unwrap_err();
    assert!(error.is_before_sending() && error.field() == Some("logit_bias"), "{error:?}");
    assert_eq!(upstream.stats().requests, 0);
    let (_upstream, endpoint) = start(Act::status(400)).await;
    assert!(!endpoint.call(call("x")).await.unwrap_err().is_before_sending());
}

/// R07: connecting and heads have limits of their own.
#[tokio::test]
async fn connecting_and_the_head_of_an_answer_are_waited_for_within_their_limits() {
    let check = async |url: &str, limits: Value, says: &str| {
        let endpoint = endpoint(url, limits);
        for asked in [call("x"), streamed("x")] {
            let error = endpoint.call(asked).await.unwrap_err();
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Elsewhere), "{error:?}");
            assert!(error.is_fault() && error.message().contains(says), "{error:?}");
        }
    };
    let hangs = Upstream::start(Script::any([Act::Hang])).await;
    check(&hangs.base_url(), json!({"headers_timeout_ms": 50}), "`headers_timeout_ms`").await;
    let deaf = maof_testkit::Deaf::start().await;
    check(&deaf.base_url(), json!({"connect_timeout_ms": 50}), "no connection").await;
    let (_upstream, late) = {
        let upstream = Upstream::start(Script::any([Act::Late(300)])).await;
        let endpoint = endpoint(&upstream.base_url(), json!({"headers_timeout_ms": 150}));
        (upstream, endpoint)
    };
    assert!(late.call(call("x")).await.is_ok(), "the body may take longer than the head");
}

#[tokio::test]
async fn connections_are_used_again() {
    let (upstream, endpoint) = start(Act::Ok).await;
    for text in ["a", "b", "c"] {
        endpoint.call(streamed(text)).await.unwrap().collect().await.unwrap();
        endpoint.call(call(text)).await.unwrap().collect().await.unwrap();
    }
    assert_eq!(upstream.stats().connections, 1);
}

#[test]
fn what_an_upstream_asks_to_wait_is_bounded() {
    let check = |name: &'static str, value: &'static str, expect: Option<u64>| {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        assert_eq!(
            wait_of(&headers, 784_111_777).map(|wait| wait.as_millis() as u64),
            expect,
            "{name}: {value}"
        );
    };
    check("retry-after", "1.5", Some(1500));
    check("retry-after-ms", "250", Some(250));
    check("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT", Some(10_000));
    check("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
    check("retry-after", "-1", None);
    check("retry-after", "NaN", None);
    check("retry-after", "1e300", Some(24 * 3600 * 1000));
    check("retry-after", "later", None);
}

#[tokio::test]
async fn a_body_of_our_own_needs_no_wire() {
    let (_upstream, endpoint) = start(Act::Ok).await;
    let asked = maof_core::Call { body: Body::from(ChatRequest::user("own")), ..call("") };
    let (response, _) = endpoint.call(asked).await.unwrap().collect().await.unwrap();
    assert_eq!(response.text().unwrap(), "echo: own");
}

#[tokio::test]
async fn a_probe_asks_for_the_models_and_for_nothing_that_is_billed() {
    let (upstream, well) = start(Act::Ok).await;
    assert_eq!(well.probe().await.unwrap(), Probe::Well);
    assert_eq!(upstream.stats().requests, 0);
    let gone = endpoint(&format!("{}/nowhere", upstream.origin()), json!({}));
    assert!(gone.probe().await.is_err());
    let silent = endpoint(&upstream.base_url(), json!({"profile": "perplexity"}));
    assert_eq!(silent.probe().await.unwrap(), Probe::Unknown);
}

/// Some servers that speak as OpenAI does say nothing of usage.
#[tokio::test]
async fn a_whole_answer_without_usage_is_measured_by_its_text_and_flagged() {
    let body = json!({"id": "x", "model": "m", "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "0123456789"}}]});
    let body = body.to_string();
    let raw = Act::Raw { status: 200, content_type: "application/json".to_owned(), body: body.clone() };
    let (_upstream, endpoint) = start(raw).await;
    let (response, end) = endpoint.call(call("12345678")).await.unwrap().collect().await.unwrap();
    let usage = end.usage.unwrap();
    assert_eq!((usage.get(Unit::Output), usage.estimated), (3, true));
    assert!(usage.get(Unit::Input) >= 2);
    assert_eq!(response.content_of("openai").unwrap().bytes, body, "the answer itself stays as it came");
}

/// OpenAI and vLLM take their caller's id of a request.
#[tokio::test]
async fn the_callers_own_id_goes_to_who_knows_one() {
    let upstream = Upstream::start(Script::default()).await;
    let check = async |profile: &str, header: Option<&str>| {
        let endpoint = endpoint(&upstream.base_url(), json!({"profile": profile}));
        let mut named = call("hi");
        named.provenance.request = Some("mine-1".into());
        endpoint.call(named).await.unwrap().collect().await.unwrap();
        let sent = upstream.received().pop().unwrap().headers;
        let found: Vec<_> =
            sent.iter().filter(|(_, value)| *value == "mine-1").map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, Vec::from_iter(header), "{profile}");
    };
    check("openai", Some("x-client-request-id")).await;
    check("vllm", Some("x-request-id")).await;
    check("ollama", None).await;
}
