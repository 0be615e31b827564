//! What a proxied request costs: MAOF with everything on beside a bare proxy of axum and reqwest, both in front of an
//! upstream that answers at once, asked in turn in one run. CPU time is the proxy's own, user and system, as the
//! kernel counts it. MAOF is there twice: allocating as it is shipped, and with the system's allocator, as the bare
//! proxies do. At the end, a million frames through MAOF, and the memory that it has then.
//! `cargo bench -p maof-benches --bench gateway [-- ROUNDS] [CASE]`, where CASE is a word of the case's name.
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
    /// Its files.
    folder: Option<tempfile::TempDir>,
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
    Peer { name, child, port: line.trim().parse().unwrap(), key: String::new(), folder: None }
}

/// MAOF, whose first start tells a key on stderr.
fn governed(name: &'static str, program: &str, upstream: &str) -> Peer {
    let folder = tempfile::tempdir().unwrap();
    let mut peer = start(name, program, &[upstream, folder.path().to_str().unwrap()]);
    peer.folder = Some(folder);
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

/// One exchange, read to its end. Microseconds until the first bytes of the answer's body.
async fn exchange(sender: &mut SendRequest<Full<Bytes>>, peer: &Peer, body: &Bytes) -> f64 {
    sender.ready().await.unwrap();
    let begun = Instant::now();
    let answer = sender.send_request(request(peer, body)).await.unwrap();
    let status = answer.status();
    let mut body = answer.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let first_after = begun.elapsed().as_secs_f64() * 1e6;
    let rest = body.collect().await.unwrap().to_bytes();
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&first));
    assert!(first.len() + rest.len() > 500, "{}", String::from_utf8_lossy(&first));
    first_after
}

/// What a round gave: microseconds of CPU and of waiting for each request, until its first bytes and its last, in
/// the median.
struct Figures {
    cpu: f64,
    first: f64,
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
            let (mut firsts, mut waits) = (Vec::new(), Vec::new());
            let mut turns = pace.map(|pace| {
                let first = tokio::time::Instant::now() + pace.mul_f64(at as f64 / callers as f64);
                tokio::time::interval_at(first, pace)
            });
            while !over.load(Ordering::Relaxed) {
                if let Some(turns) = &mut turns {
                    turns.tick().await;
                }
                let begun = Instant::now();
                firsts.push(exchange(&mut sender, &peer, &body).await);
                waits.push(begun.elapsed().as_secs_f64() * 1e6);
            }
            (firsts, waits)
        });
    }
    tokio::time::sleep(ROUND).await;
    over.store(true, Ordering::Relaxed);
    let (firsts, waits): (Vec<_>, Vec<_>) = all.join_all().await.into_iter().unzip();
    let (mut firsts, mut waits) = (firsts.concat(), waits.concat());
    // What is written behind is paid for too.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let spent = cpu(peer) - before;
    let (first, wait) = (median(&mut firsts), median(&mut waits));
    Figures { cpu: spent / waits.len() as f64, first, wait, requests: waits.len() }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq)]
enum Want {
    Whole,
    Burst,
    Paced,
}

fn body(want: Want) -> Bytes {
    let text =
        "Please tell me about the weather in the valley, and what it means for the harvest. ".repeat(12);
    let mut body = serde_json::json!({
        "model": "mock", "temperature": 0.7, "max_tokens": 256,
        "messages": [{"role": "system", "content": "You are terse."}, {"role": "user", "content": text}],
    })
    .to_string();
    body.truncate(body.len() - 1);
    body.push_str(match want {
        Want::Whole => "}",
        Want::Burst => ",\"stream\":true}",
        Want::Paced => ",\"user\":\"paced\",\"stream\":true}",
    });
    body.into()
}

/// A case: who is asked beside MAOF, for what, by how many callers, and how often by each (none: without a pause).
struct Case {
    name: &'static str,
    beside: Vec<Arc<Peer>>,
    want: Want,
    callers: usize,
    pace: Option<Duration>,
}

/// Asks all in turn, and prints what it took; the first peer is what the others are measured against.
async fn measure(case: Case, maof: &[Arc<Peer>], rounds: usize) {
    let Case { name, mut beside, want, callers, pace } = case;
    beside.extend(maof.iter().map(Arc::clone));
    let mut figures: Vec<Vec<Figures>> = beside.iter().map(|_| Vec::new()).collect();
    let body = body(want);
    for at in 0..=rounds {
        for (peer, figures) in beside.iter().zip(&mut figures) {
            let got = round(peer, &body, callers, pace).await;
            // The first round warms up.
            if at > 0 {
                figures.push(got);
            }
        }
    }
    println!("{name}, {rounds} rounds of {} ms, medians", ROUND.as_millis());
    let mut reference = None;
    for (peer, figures) in beside.iter().zip(&figures) {
        let of = |value: fn(&Figures) -> f64| median(&mut figures.iter().map(value).collect::<Vec<_>>());
        let (cpu, first, wait) = (of(|f| f.cpu), of(|f| f.first), of(|f| f.wait));
        let requests: usize = figures.iter().map(|f| f.requests).sum();
        println!(
            "  {:14} {cpu:8.1} us CPU a request ({:.2}), first bytes after {first:6.0} us, all after {wait:6.0} us, \
             {requests} requests",
            peer.name,
            cpu / *reference.get_or_insert(cpu),
        );
    }
}

/// Resident memory of a process, in KiB.
fn resident(peer: &Peer) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", peer.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Streams of 36 frames until a million have come, and the memory on the way.
async fn million(peer: &Arc<Peer>) {
    println!("a million frames, 16 callers: resident memory");
    let body = body(Want::Burst);
    let mut requests = 0;
    for quarter in 0..=4 {
        while requests * 36 < quarter * 250_000 {
            requests += round(peer, &body, 16, None).await.requests;
        }
        println!("  after {:9} frames {:6} KiB", requests * 36, resident(peer));
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let rounds = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(5);
    let only = std::env::args().skip(1).find(|word| !word.starts_with('-') && word.parse::<usize>().is_err());
    let wanted = |name: &str| only.as_ref().is_none_or(|word| name.contains(word.as_str()));
    let upstream = Arc::new(start("upstream", env!("CARGO_BIN_EXE_mock_upstream"), &[]));
    let port = upstream.port.to_string();
    let bare = || Arc::new(start("bare proxy", env!("CARGO_BIN_EXE_bare_proxy"), &[&port]));
    let merging = || Arc::new(start("merging proxy", env!("CARGO_BIN_EXE_bare_proxy"), &[&port, "merge"]));
    let maof = [
        Arc::new(governed("maof", env!("CARGO_BIN_EXE_governed"), &port)),
        Arc::new(governed("maof, system's", env!("CARGO_BIN_EXE_governed_system"), &port)),
    ];
    let case = |name, beside, want, callers, pace| Case { name, beside, want, callers, pace };
    let every = |ms| Some(Duration::from_millis(ms));
    let cases = [
        case("whole, 64 callers in a closed loop", vec![bare()], Want::Whole, 64, None),
        case("whole, 500 requests a second", vec![bare()], Want::Whole, 16, every(32)),
        case("burst of 36 frames, 16 callers in a closed loop", vec![merging()], Want::Burst, 16, None),
        case(
            "first token, 20 streams a second",
            vec![merging(), Arc::clone(&upstream)],
            Want::Burst,
            1,
            every(50),
        ),
        case("paced, 37 frames 5 ms apart, 16 callers", vec![merging()], Want::Paced, 16, None),
    ];
    for case in cases {
        if wanted(case.name) {
            measure(case, &maof, rounds).await;
        }
    }
    if wanted("million") {
        million(&maof[0]).await;
    }
}
