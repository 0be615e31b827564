//! The client against hosts that speak byte for byte what they are told to.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt as _;
use http::{HeaderMap, Method};
use maof_core::{ErrorKind, Timestamp};
use maof_testkit::FakeClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const KEPT: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const CLOSED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nok";
const CHUNKED: &[u8] =
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nx: y\r\n\r\n";
const CUT: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok";
const MORE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n";
const INTERIM: &[u8] =
    b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const NOTHING: &[u8] = b"";

/// A host of one connection after the other, and what it has seen.
struct Host {
    port: u16,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

/// Each connection gives these answers, one a request, and is closed after the last.
async fn host(answers: &'static [&'static [u8]]) -> Host {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = (Arc::clone(&connections), Arc::clone(&requests));
    #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            seen.0.fetch_add(1, Ordering::SeqCst);
            let requests = Arc::clone(&seen.1);
            tokio::spawn(async move {
                for answer in answers {
                    let mut got = Vec::new();
                    while !got.ends_with(b"\r\n\r\nhello") {
                        if socket.read_buf(&mut got).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    requests.fetch_add(1, Ordering::SeqCst);
                    socket.write_all(answer).await.unwrap();
                }
            });
        }
    });
    Host { port, connections, requests }
}

impl Host {
    fn client(&self, clock: Arc<FakeClock>) -> Inline {
        let authority = format!("127.0.0.1:{}", self.port).parse().unwrap();
        Inline::new(authority, Duration::from_secs(5), clock).unwrap()
    }

    fn request(&self) -> Request {
        let url = format!("http://127.0.0.1:{}/x", self.port);
        Request { method: Method::POST, url, headers: HeaderMap::new(), body: "hello".into() }
    }

    /// The body of an answer, read to its end.
    async fn ask(&self, client: &Inline) -> Result<String> {
        let mut body = client.send(self.request()).await?.body;
        let mut text = String::new();
        while let Some(bytes) = body.next().await {
            text.push_str(std::str::from_utf8(&bytes?).unwrap());
        }
        Ok(text)
    }

    fn seen(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
    }
}

fn clock() -> Arc<FakeClock> {
    FakeClock::at(Timestamp::from_micros(0))
}

#[tokio::test]
async fn a_connection_is_used_again_only_after_a_clean_end() {
    let check = async |answers: &'static [&'static [u8]], expect: (usize, usize)| {
        let host = host(answers).await;
        let client = host.client(clock());
        for _ in 0..3 {
            assert_eq!(host.ask(&client).await.unwrap(), "ok", "{answers:?}");
            // What the host does after its answer must have arrived.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(host.seen(), expect, "{answers:?}");
    };
    check(&[KEPT, KEPT, KEPT, NOTHING], (1, 3)).await;
    check(&[CHUNKED, CHUNKED, CHUNKED, NOTHING], (1, 3)).await;
    check(&[INTERIM, KEPT, INTERIM, NOTHING], (1, 3)).await;
    // Closed by the host while it was idle: found out, and replaced.
    check(&[KEPT], (3, 3)).await;
    check(&[KEPT, KEPT], (2, 3)).await;
    check(&[CLOSED, KEPT], (3, 3)).await;
    check(&[ENDLESS], (3, 3)).await;
    // More than was asked for belongs to nobody.
    check(&[MORE, KEPT], (3, 3)).await;
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_an_error_and_nothing_is_sent_twice() {
    let check = async |answers: &'static [&'static [u8]], kind: ErrorKind| {
        let host = host(answers).await;
        let client = host.client(clock());
        assert_eq!(host.ask(&client).await.unwrap_err().kind(), kind, "{answers:?}");
        assert_eq!(host.seen(), (1, 1), "{answers:?}");
    };
    check(&[CUT], ErrorKind::Protocol).await;
    check(&[NOTHING], ErrorKind::Unavailable).await;
    check(&[b"HTTP/1.1 "], ErrorKind::Unavailable).await;
    check(&[b"SSH-2.0-x\r\n\r\n"], ErrorKind::Unavailable).await;
    // On a connection that was used before, too: the host may have done what it was asked.
    let host = host(&[KEPT, NOTHING]).await;
    let client = host.client(clock());
    assert!(host.ask(&client).await.is_ok());
    assert_eq!(host.ask(&client).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(host.seen(), (1, 2));
}

#[tokio::test]
async fn a_request_that_was_not_sent_is_given_back() {
    let host = host(&[KEPT, NOTHING]).await;
    let client = host.client(clock());
    let mut line = client.connect().await.unwrap();
    line.connection = None;
    let failed = line.exchange(client.request(host.request()).unwrap()).await.unwrap_err();
    assert!(failed.message().is_some_and(|unsent| unsent.uri() == "/x"));
    assert_eq!(host.seen().1, 0);
}

#[tokio::test]
async fn an_idle_connection_grows_old_by_the_clock() {
    let host = host(&[KEPT, KEPT, KEPT, NOTHING]).await;
    let clock = clock();
    let client = host.client(Arc::clone(&clock));
    for (pause, connections) in [(0, 1), (49, 1), (50, 2), (10, 2)] {
        clock.advance(Duration::from_secs(pause));
        host.ask(&client).await.unwrap();
        assert_eq!(host.seen().0, connections, "after {pause} s");
    }
}

#[tokio::test]
async fn requests_at_the_same_time_have_a_connection_each() {
    let host = host(&[KEPT, KEPT, KEPT, KEPT, NOTHING]).await;
    let client = host.client(clock());
    for _ in 0..2 {
        let asked = (0..8).map(|_| host.ask(&client));
        assert!(futures::future::join_all(asked).await.iter().all(Result::is_ok));
    }
    assert_eq!(host.seen(), (8, 16));
}

#[tokio::test]
async fn a_body_that_is_dropped_closes_its_connection() {
    let host = host(&[CUT, NOTHING]).await;
    let client = host.client(clock());
    let mut answer = client.send(host.request()).await.unwrap();
    assert_eq!(answer.body.next().await.unwrap().unwrap(), "ok");
    drop(answer);
    assert!(client.idle.take().is_none());
}

#[tokio::test]
async fn what_came_in_one_packet_is_ready_in_one_poll() {
    let host = host(&[CHUNKED, NOTHING]).await;
    let client = host.client(clock());
    let mut body = client.send(host.request()).await.unwrap().body;
    let blind = &mut Context::from_waker(Waker::noop());
    let mut ready = Vec::new();
    while let Poll::Ready(Some(bytes)) = body.as_mut().poll_next(blind) {
        ready.extend_from_slice(&bytes.unwrap());
    }
    assert_eq!(ready, b"ok");
    assert!(client.idle.take().is_some(), "the end was there too, so the connection is kept");
}

#[tokio::test]
async fn a_host_is_asked_by_its_name_and_others_are_not_asked() {
    let named = |authority: &str| Inline::new(authority.parse().unwrap(), Duration::ZERO, clock()).unwrap();
    let check = |authority: &str, header: &str| assert_eq!(named(authority).host.header, header);
    check("example.com", "example.com");
    check("example.com:80", "example.com");
    check("example.com:8080", "example.com:8080");
    check("[::1]:8080", "[::1]:8080");
    check("user:pass@example.com:1", "example.com:1");
    let check = |url: &str, expect: bool| assert_eq!(named("a.b:1").serves(url), expect, "{url}");
    check("http://a.b:1/v1/x?y=z", true);
    check("http://a.b:10/v1/x", false);
    check("http://a.b/v1/x", false);
    check("http://a.b:1", false);
    check("http://a.b:1@c.d/", false);
    check("https://a.b:1/v1", false);
}
