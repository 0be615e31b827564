//! The scripted upstream over a real socket, asked in bare HTTP/1.1.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

async fn send(upstream: &Upstream, path: &str, body: &str) -> TcpStream {
    let mut socket = TcpStream::connect(upstream.address()).await.unwrap();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\nidempotency-key: k\r\ncontent-length: {length}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body.as_bytes()).await.unwrap();
    socket
}

async fn ask(upstream: &Upstream, path: &str, body: &str) -> std::io::Result<String> {
    let mut socket = send(upstream, path, body).await;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.map(|_| answer)
}

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi you"}]}"#;
const STREAM: &str = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi you"}]}"#;

#[tokio::test]
async fn answers_are_deterministic_and_counted() {
    let upstream = Upstream::start(Script::default()).await;
    assert!(
        ask(&upstream, "/v1/chat/completions", CHAT).await.unwrap().contains(r#""content":"echo: hi you""#)
    );
    let stream = ask(&upstream, "/chat/completions", STREAM).await.unwrap();
    for wanted in
        [r#""content":"echo: ""#, r#""finish_reason":"stop""#, r#""total_tokens":5"#, "data: [DONE]"]
    {
        assert!(stream.contains(wanted), "{wanted} in {stream}");
    }
    let embed = r#"{"model":"e","input":["a","b"],"dimensions":2}"#;
    assert!(ask(&upstream, "/v1/embeddings", embed).await.unwrap().contains(r#""index":1"#));
    let stats = upstream.until(|s| s.finished == 3).await;
    assert_eq!((stats.requests, stats.open, stats.aborted), (3, 0, 0));
    assert_eq!((stats.models["m"], stats.prompts["hi you"], stats.effects["k"]), (2, 2, 3));
    assert_eq!(upstream.received()[0].body, CHAT);
}

#[tokio::test]
async fn faults_come_in_the_order_of_the_script() {
    let acts = [
        Act::retry_after(429, "7"),
        Act::Reset,
        Act::ErrorInside(0),
        Act::WrongContentType,
        Act::Malformed(0),
        Act::Cut(10),
        Act::Ok,
    ];
    let upstream = Upstream::start(Script::default().model("m", acts)).await;
    let next = || ask(&upstream, "/v1/chat/completions", CHAT);
    let limited = next().await.unwrap();
    assert!(limited.starts_with("HTTP/1.1 429") && limited.contains("retry-after: 7"), "{limited}");
    assert_eq!(next().await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert!(next().await.unwrap().contains(r#"{"error""#));
    assert!(next().await.unwrap().contains("text/html"));
    assert!(!next().await.unwrap().ends_with('}'));
    let cut = next().await.unwrap();
    assert_eq!(cut.split("\r\n\r\n").nth(1).map(str::len), Some(10), "{cut}");
    assert!(next().await.unwrap().contains("echo"));
    assert!(next().await.unwrap().contains("echo"), "the last act is repeated");
}

#[tokio::test]
async fn faults_of_streams_strike_where_they_are_told() {
    let acts = [Act::Cut(2), Act::Malformed(1), Act::ErrorInside(1), Act::NoTerminator];
    let upstream = Upstream::start(Script::any(acts)).await;
    let next = || ask(&upstream, "/v1/chat/completions", STREAM);
    let cut = next().await.unwrap();
    assert_eq!((cut.matches("data: ").count(), cut.contains("\r\n0\r\n")), (2, false), "{cut}");
    let malformed = next().await.unwrap();
    assert!(malformed.contains("data: {\"choices\":[{\"delta\":{\"content\":\"echo: \""), "{malformed}");
    assert_eq!(malformed.matches("data: {").count(), 1 + malformed.matches("created\":").count());
    let failed = next().await.unwrap();
    assert!(failed.contains(r#"{"error""#) && !failed.contains("[DONE]"));
    let open_ended = next().await.unwrap();
    assert!(open_ended.contains("finish_reason\":\"stop") && !open_ended.contains("[DONE]"));
}

#[tokio::test]
async fn a_client_that_goes_away_is_noticed() {
    let script = Script::default().model("m", [Act::Hang, Act::Drip { frames: 3_000, ms: 5 }]);
    let upstream = Upstream::start(script).await;
    let hung = send(&upstream, "/v1/chat/completions", CHAT).await;
    upstream.until(|s| s.open == 1).await;
    drop(hung);
    upstream.until(|s| s.aborted == 1).await;
    let mut dripping = send(&upstream, "/v1/chat/completions", STREAM).await;
    let mut some = [0; 600];
    tokio::time::timeout(Duration::from_secs(10), dripping.read_exact(&mut some)).await.unwrap().unwrap();
    drop(dripping);
    assert_eq!(upstream.until(|s| s.aborted == 2).await.open, 0);
}

#[test]
fn scripts_are_plain_json() {
    let text = r#"{"models":{"m":["reset",{"status":{"status":429,"retry_after":"1"}},{"cut":3},"ok"]},"any":["hang"]}"#;
    let script: Script = serde_json::from_str(text).unwrap();
    let expect =
        Script::any([Act::Hang]).model("m", [Act::Reset, Act::retry_after(429, "1"), Act::Cut(3), Act::Ok]);
    assert_eq!(script, expect);
    assert!(serde_json::from_str::<Script>(r#"{"modles":{}}"#).is_err());
}

const MESSAGES: &str =
    r#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"größer 🦀"}]}"#;
const CONTENTS: &str = r#"{"contents":[{"role":"user","parts":[{"text":"größer 🦀"}]}]}"#;
const RESPONSES: &str = r#"{"model":"m","stream":true,"input":"größer 🦀"}"#;
const GENERATE: &str = "/v1beta/models/m:streamGenerateContent?alt=sse";
const STREAMS: [(&str, &str); 3] =
    [("/v1/messages", MESSAGES), (GENERATE, CONTENTS), ("/v1/responses", RESPONSES)];

/// The body of an answer in chunks, by chunk.
fn chunks(answer: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &answer[answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4..];
    let mut chunks = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return chunks;
        }
        chunks.push(rest[end + 2..end + 2 + size].to_vec());
        rest = &rest[end + 2 + size + 2..];
    }
}

async fn raw(upstream: &Upstream, path: &str, body: &str) -> Vec<u8> {
    let mut socket = send(upstream, path, body).await;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_split_answer_breaks_characters_and_loses_nothing() {
    let upstream = Upstream::start(Script::any([Act::Ok, Act::Split(3)])).await;
    let whole = CHAT.replace("hi you", "größer 🦀");
    let mut cases = vec![("/v1/chat/completions", whole.as_str())];
    cases.extend(STREAMS);
    for (path, body) in cases {
        upstream.play(Script::any([Act::Ok, Act::Split(3)]));
        let ok = raw(&upstream, path, body).await;
        let split = chunks(&raw(&upstream, path, body).await);
        assert!(split.iter().all(|chunk| chunk.len() <= 3));
        assert!(split.iter().any(|chunk| std::str::from_utf8(chunk).is_err()), "{path}");
        let split = split.concat();
        let expect = match path.ends_with("completions") {
            true => ok[ok.len() - split.len()..].to_vec(),
            false => chunks(&ok).concat(),
        };
        assert_eq!(split, expect, "{path}");
    }
}

#[tokio::test]
async fn failures_come_in_the_shape_of_the_dialect() {
    let upstream = Upstream::start(Script::any([Act::status(429)])).await;
    let check = async |path: &str, body: &str, wanted: &str| {
        let answer = ask(&upstream, path, body).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 429") && answer.contains(wanted), "{answer}");
    };
    check("/v1/messages", MESSAGES, r#""type":"rate_limit_error""#).await;
    check(GENERATE, CONTENTS, r#""status":"RESOURCE_EXHAUSTED""#).await;
    check("/v1/responses", RESPONSES, r#""code":"rate_limit_exceeded""#).await;
    let count = r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#;
    check("/v1/messages/count_tokens", count, r#""type":"rate_limit_error""#).await;
    for (path, wanted) in
        [("/v1/messages", r#""type":"invalid_request_error""#), (GENERATE, "INVALID_ARGUMENT")]
    {
        let refused = ask(&upstream, path, "{}").await.unwrap();
        assert!(refused.starts_with("HTTP/1.1 400") && refused.contains(wanted), "{refused}");
    }
    assert!(ask(&upstream, "/v1/nothing", "{}").await.unwrap().starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn streams_of_every_dialect_break_as_they_are_told() {
    let upstream = Upstream::start(Script::default()).await;
    let check = async |act: Act, path: &str, body: &str| {
        upstream.play(Script::any([act]));
        let stream = chunks(&raw(&upstream, path, body).await).concat();
        crate::cassette::events(&stream)
    };
    let ends = [("message_stop", "error"), ("", ""), ("response.completed", "error")];
    for ((path, body), (end, error)) in STREAMS.into_iter().zip(ends) {
        let whole = check(Act::Ok, path, body).await;
        assert_eq!(whole.last().unwrap().0, end);
        let without = check(Act::NoTerminator, path, body).await;
        assert_eq!(without, whole[..whole.len() - 1]);
        let failed = check(Act::ErrorInside(2), path, body).await;
        assert_eq!((failed.len(), &failed[..2]), (3, &whole[..2]));
        assert!(failed[2].0 == error && failed[2].1.contains("the script says 500"), "{failed:?}");
        let broken = check(Act::Malformed(1), path, body).await;
        assert_eq!((broken.len(), &broken[2..]), (whole.len() + 1, &whole[1..]));
        assert!(serde_json::from_str::<serde_json::Value>(&broken[1].1).is_err());
        let long = check(Act::Drip { frames: 50, ms: 0 }, path, body).await;
        assert_eq!(long.iter().filter(|(_, data)| data.contains("tok49 ")).count().min(1), 1);
    }
    assert_eq!(upstream.received().last().unwrap().path, "/v1/responses");
    assert_eq!(upstream.stats().models["m"], 15, "the model of a path counts too");
}
