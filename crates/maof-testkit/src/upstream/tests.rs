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
    assert!(next().await.unwrap().contains("[{\n\n"));
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
