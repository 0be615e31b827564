//! What a proxied request costs: MAOF with everything on beside a bare proxy of axum and reqwest, both in front of an
//! upstream that answers at once, asked in turn in one run. CPU time is the proxy's own, user and system, as the
//! kernel counts it. `cargo bench -p maof-benches --bench gateway [-- ROUNDS]`
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark's own program"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const ROUND: Duration = Duration::from_millis(1500);

/// A process under test, and how it is asked.
struct Peer {
    name: &'static str,
    child: Child,
    port: u16,
    key: String,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(name: &'static str, program: &str, arguments: &[&str]) -> Peer {
    let mut child =
        Command::new(program).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    Peer { name, child, port: line.trim().parse().unwrap(), key: String::new() }
}

/// MAOF, whose first start tells a key on stderr.
fn governed(upstream: &str, folder: &str) -> Peer {
    let mut peer = start("maof", env!("CARGO_BIN_EXE_governed"), &[upstream, folder]);
    for line in BufReader::new(peer.child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(key) = line.split_whitespace().find(|word| word.starts_with("maof_")) {
            peer.key = key.to_owned();
            break;
        }
    }
    peer
}

/// CPU time of a process so far, in microseconds, over all its threads.
fn cpu(peer: &Peer) -> f64 {
    let folder = format!("/proc/{}/task", peer.child.id());
    let of = |task: std::io::Result<std::fs::DirEntry>| -> Option<f64> {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    std::fs::read_dir(folder).unwrap().filter_map(of).sum::<f64>() / 1000.0
}

fn request(peer: &Peer, body: &Bytes) -> Request<Full<Bytes>> {
    Request::builder()
        .method(Method::POST)
        .uri("/v1/chat/completions")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", peer.key))
        .body(Full::new(body.clone()))
        .unwrap()
}

async fn connect(port: u16) -> SendRequest<Full<Bytes>> {
    let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// One exchange, read to its end.
async fn exchange(sender: &mut SendRequest<Full<Bytes>>, peer: &Peer, body: &Bytes) {
    sender.ready().await.unwrap();
    let answer = sender.send_request(request(peer, body)).await.unwrap();
    let status = answer.status();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&bytes));
    assert!(bytes.len() > 500, "{}", String::from_utf8_lossy(&bytes));
}

/// What a round gave: microseconds of CPU and of waiting for each request, in the median.
struct Figures {
    cpu: f64,
    wait: f64,
    requests: usize,
}

/// `callers` ask again as soon as they are answered; with a `pace`, each waits for its turn first.
async fn round(peer: &Arc<Peer>, body: &Bytes, callers: usize, pace: Option<Duration>) -> Figures {
    let over = Arc::new(AtomicBool::new(false));
    let mut all = tokio::task::JoinSet::new();
    let before = cpu(peer);
    for at in 0..callers {
        let (peer, body, over) = (Arc::clone(peer), body.clone(), Arc::clone(&over));
        all.spawn(async move {
            let mut sender = connect(peer.port).await;
            let mut waits = Vec::new();
            let mut turns = pace.map(|pace| {
                let first = tokio::time::Instant::now() + pace.mul_f64(at as f64 / callers as f64);
                tokio::time::interval_at(first, pace)
            });
            while !over.load(Ordering::Relaxed) {
                if let Some(turns) = &mut turns {
                    turns.tick().await;
                }
                let begun = Instant::now();
                exchange(&mut sender, &peer, &body).await;
                waits.push(begun.elapsed().as_secs_f64() * 1e6);
            }
            waits
        });
    }
    tokio::time::sleep(ROUND).await;
    over.store(true, Ordering::Relaxed);
    let mut waits: Vec<f64> = all.join_all().await.into_iter().flatten().collect();
    // What is written behind is paid for too.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let spent = cpu(peer) - before;
    Figures { cpu: spent / waits.len() as f64, wait: median(&mut waits), requests: waits.len() }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn body(stream: bool) -> Bytes {
    let text =
        "Please tell me about the weather in the valley, and what it means for the harvest. ".repeat(12);
    let mut body = serde_json::json!({
        "model": "mock", "temperature": 0.7, "max_tokens": 256,
        "messages": [{"role": "system", "content": "You are terse."}, {"role": "user", "content": text}],
    })
    .to_string();
    if stream {
        body.truncate(body.len() - 1);
        body.push_str(",\"stream\":true}");
    }
    body.into()
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let rounds = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(5);
    let folder = tempfile::tempdir().unwrap();
    let upstream = start("mock", env!("CARGO_BIN_EXE_mock_upstream"), &[]);
    let port = upstream.port.to_string();
    let bare = || Arc::new(start("bare proxy", env!("CARGO_BIN_EXE_bare_proxy"), &[&port]));
    let merging = || Arc::new(start("merging proxy", env!("CARGO_BIN_EXE_bare_proxy"), &[&port, "merge"]));
    let maof = Arc::new(governed(&port, folder.path().to_str().unwrap()));
    let paced = Some(Duration::from_millis(32));
    let cases = [
        ("whole, 64 callers in a closed loop", bare(), false, 64, None),
        ("whole, 500 requests a second", bare(), false, 16, paced),
        ("burst of 36 frames, 16 callers in a closed loop", merging(), true, 16, None),
    ];
    for (case, reference, stream, callers, pace) in cases {
        let peers = [reference, Arc::clone(&maof)];
        let mut figures = [Vec::new(), Vec::new()];
        let body = body(stream);
        for at in 0..=rounds {
            for (peer, figures) in peers.iter().zip(&mut figures) {
                let got = round(peer, &body, callers, pace).await;
                // The first round warms up.
                if at > 0 {
                    figures.push(got);
                }
            }
        }
        println!("{case}, {rounds} rounds of {} ms, medians", ROUND.as_millis());
        let cpu = figures.each_ref().map(|f| median(&mut f.iter().map(|f| f.cpu).collect::<Vec<_>>()));
        for ((peer, figures), cpu_us) in peers.iter().zip(&figures).zip(cpu) {
            let wait = median(&mut figures.iter().map(|f| f.wait).collect::<Vec<_>>());
            let requests: usize = figures.iter().map(|f| f.requests).sum();
            println!(
                "  {:14} {cpu_us:8.1} us CPU a request, {wait:8.0} us until answered, {requests} requests",
                peer.name
            );
        }
        println!("  {:14} {:8.2} times the CPU", "ratio", cpu[1] / cpu[0]);
    }
}
