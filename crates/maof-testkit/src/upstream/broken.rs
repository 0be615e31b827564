//! The faults that need more than a status, over real sockets: what is on the wire when, and what is counted.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi you"}]}"#;
const STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi you"}]}"#;

async fn send(upstream: &Upstream, body: &str) -> TcpStream {
    let mut socket = TcpStream::connect(upstream.address()).await.unwrap();
    let length = body.len();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    socket.write_all((head + body).as_bytes()).await.unwrap();
    socket
}

async fn raw(act: Act, body: &str) -> Vec<u8> {
    let upstream = Upstream::start(Script::any([act])).await;
    let mut socket = send(&upstream, body).await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    answer
}

/// What has come after a while of an answer that does not end.
async fn so_far(socket: &mut TcpStream, ms: u64) -> String {
    let mut answer = Vec::new();
    let reading = async { while socket.read_buf(&mut answer).await.is_ok_and(|n| n > 0) {} };
    let _ = tokio::time::timeout(Duration::from_millis(ms), reading).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn bytes_are_spoiled_where_they_are_told_to_be() {
    let has = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    for body in [CHAT, STREAM] {
        assert!(has(&raw(Act::Nul(1), body).await, &[0, 0, 0]));
        // The two writes are two chunks of the transfer.
        assert!(has(&raw(Act::InvalidUtf8(1), body).await, b"\xe2\x82\r\n"));
        assert!(has(&raw(Act::MalformedChunk(1), body).await, b"zz\r\n"));
        let bomb = raw(Act::GzipBomb(3), body).await;
        assert!(has(&bomb, b"content-encoding: gzip") && has(&bomb, &[0x1f, 0x8b]) && bomb.len() < 10_000);
        assert!(raw(Act::Huge(2), body).await.len() > 2 << 20);
    }
    let twice = raw(Act::DuplicateEnd, STREAM).await;
    let twice = String::from_utf8(twice).unwrap();
    assert_eq!(
        (twice.matches("\"finish_reason\":\"stop\"").count(), twice.matches("[DONE]").count()),
        (2, 1)
    );
}

#[tokio::test]
async fn what_comes_late_comes_after_its_head_and_what_stalls_stays_open() {
    let upstream = Upstream::start(Script::any([Act::Late(300), Act::Stall(2)])).await;
    let mut late = send(&upstream, STREAM).await;
    let before = so_far(&mut late, 150).await;
    assert!(before.starts_with("HTTP/1.1 200") && !before.contains("data:"), "{before}");
    assert!(so_far(&mut late, 2_000).await.contains("[DONE]"));
    let mut stalled = send(&upstream, STREAM).await;
    assert_eq!(so_far(&mut stalled, 300).await.matches("data:").count(), 2);
    assert_eq!(upstream.stats().by_model["m"].open, 1);
    drop(stalled);
    let stats = upstream.until(|stats| stats.by_model["m"].aborted == 1).await;
    let model = &stats.by_model["m"];
    assert_eq!((model.open, model.finished, model.at_ms.len()), (0, 1, 2));
    assert!(stats.bytes > 500 && model.at_ms.is_sorted(), "{stats:?}");
    upstream.until(|stats| stats.open_connections == 0).await;
}

#[tokio::test]
async fn what_dribbles_leaves_byte_by_byte_and_ends_with_its_connection() {
    let upstream = Upstream::start(Script::any([Act::Dribble(50)])).await;
    let mut socket = send(&upstream, CHAT).await;
    let come = so_far(&mut socket, 500).await;
    assert!("HTTP/1.1 200 OK".starts_with(&come) && come.len() >= 2, "{come}");
    assert_eq!(upstream.stats().open, 1);
    drop(socket);
    upstream.until(|stats| stats.open == 0 && stats.aborted == 1).await;
}

#[tokio::test]
async fn what_flaps_fails_and_answers_by_turns_and_recovers() {
    let upstream = Upstream::start(Script::any([Act::Flap { down_ms: 200, ms: 300, for_ms: 900 }])).await;
    let is_down = async || {
        let mut answer = String::new();
        send(&upstream, CHAT).await.read_to_string(&mut answer).await.unwrap();
        answer.starts_with("HTTP/1.1 503")
    };
    // Down from 0 to 500, up to 800, down to 900, then up for good.
    let mut seen = Vec::new();
    for _ in 0..22 {
        seen.push(is_down().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    seen.dedup();
    assert_eq!(seen, [true, false, true, false]);
}

#[tokio::test]
async fn a_prefill_is_refused_and_nothing_else() {
    let prefilled = CHAT.replace("}]}", r#"},{"role":"assistant","content":"Once"}]}"#);
    assert!(raw(Act::RefusePrefill, &prefilled).await.starts_with(b"HTTP/1.1 400"));
    assert!(raw(Act::RefusePrefill, CHAT).await.starts_with(b"HTTP/1.1 200"));
}
