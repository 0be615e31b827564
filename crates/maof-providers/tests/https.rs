//! Encrypted upstreams, as most are: certificates are judged by the system's roots, HTTP/2 is spoken where it is
//! offered, and its streams are spread over several connections.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use maof_core::{Card, Endpoint, Error, ErrorKind, Name, Operation, Tariff, Timestamp};
use maof_providers::{HttpEndpoint, ProviderConfig};
use maof_testkit::FakeClock;
use maof_testkit::endpoint::call;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::net::TcpListener;

/// Where the child finds the root certificate. rustls reads the system's roots from there:
/// <https://docs.rs/rustls-native-certs>.
const ROOTS: &str = "SSL_CERT_FILE";

/// What the server has seen.
#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    http2: AtomicUsize,
    http1: AtomicUsize,
}

/// A certificate for `localhost` and its key, signed by a root that is written into `folder`.
fn certificate(folder: &Path) -> (rustls::pki_types::CertificateDer<'static>, PrivateKeyDer<'static>) {
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join("root.pem"), root.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &root).unwrap();
    (leaf.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

/// An upstream that offers these protocols; every request is answered alike.
async fn upstream(folder: &Path, protocols: &[&str]) -> (u16, Arc<Seen>) {
    maof_providers_init();
    let (certificate, key) = certificate(folder);
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Seen::default());
    let counted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let Ok(socket) = acceptor.accept(socket).await else { return };
                seen.connections.fetch_add(1, Ordering::Relaxed);
                let answer = service_fn(|request| answer(request, Arc::clone(&seen)));
                let served = auto::Builder::new(TokioExecutor::new());
                let _ = served.serve_connection(TokioIo::new(socket), answer).await;
            });
        }
    });
    (port, seen)
}

fn maof_providers_init() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

async fn answer(request: http::Request<Incoming>, seen: Arc<Seen>) -> Result<Response<Full<Bytes>>, Error> {
    let version = if request.version() == Version::HTTP_2 { &seen.http2 } else { &seen.http1 };
    version.fetch_add(1, Ordering::Relaxed);
    let asked = request.into_body().collect().await.unwrap().to_bytes();
    assert!(!asked.is_empty());
    let body = json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    });
    Ok(Response::builder().header("content-type", "application/json").body(body.to_string().into()).unwrap())
}

fn endpoint(port: u16) -> Arc<HttpEndpoint> {
    let card = Card {
        name: Name::new("e").unwrap(),
        provider: Name::new("p").unwrap(),
        model: "m".into(),
        operations: vec![Operation::Chat],
        tariff: Tariff::default(),
        context: None,
        max_output: 16,
    };
    let config = json!({"profile": "openai_compatible", "base_url": format!("https://localhost:{port}/v1")});
    let config: ProviderConfig = serde_json::from_value(config).unwrap();
    Arc::new(HttpEndpoint::new(card, &config, FakeClock::at(Timestamp::default())).unwrap())
}

/// Asks so often at once, and says what failed.
async fn ask(port: u16, times: usize) -> BTreeMap<String, usize> {
    let endpoint = endpoint(port);
    let asked = (0..times).map(|_| {
        let endpoint = Arc::clone(&endpoint);
        tokio::spawn(async move {
            let reply = endpoint.call(call("hi")).await?;
            reply.collect().await.map(drop)
        })
    });
    let mut failures = BTreeMap::new();
    for asked in asked.collect::<Vec<_>>() {
        if let Err(error) = asked.await.unwrap() {
            assert!(!error.to_string().contains("localhost"), "no host is told: {error}");
            *failures.entry(format!("{}", error.kind())).or_default() += 1;
        }
    }
    failures
}

/// The child's part, with the roots of its parent: `MAOF_TEST_PROTOCOLS` says what is offered.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of the tests below, which set its environment"]
async fn child() {
    let folder = std::env::var("MAOF_TEST_FOLDER").unwrap();
    let protocols = std::env::var("MAOF_TEST_PROTOCOLS").unwrap();
    let protocols: Vec<&str> = protocols.split(',').collect();
    let (port, seen) = upstream(Path::new(&folder), &protocols).await;
    let failures = ask(port, 200).await;
    let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
    let (connections, http1, http2) = (count(&seen.connections), count(&seen.http1), count(&seen.http2));
    match (std::env::var("MAOF_TEST_TRUSTED").as_deref(), protocols[0]) {
        (Ok("no"), _) => {
            let expect = BTreeMap::from([(ErrorKind::Unavailable.to_string(), 200)]);
            assert_eq!((failures, http1 + http2), (expect, 0));
        }
        (_, "h2") => {
            assert_eq!((failures, http1, http2), (BTreeMap::new(), 0, 200));
            assert!((2..=8).contains(&connections), "{connections} connections");
        }
        _ => {
            assert_eq!((failures, http1, http2), (BTreeMap::new(), 200, 0));
            assert!(connections <= 200, "{connections} connections");
        }
    }
}

/// Runs the child with the roots in `file` of a fresh folder.
fn run(protocols: &str, file: &str, trusted: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("other.pem"), other_root()).unwrap();
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(ROOTS, folder.path().join(file))
        .env("MAOF_TEST_FOLDER", folder.path())
        .env("MAOF_TEST_PROTOCOLS", protocols)
        .env("MAOF_TEST_TRUSTED", trusted)
        .env_remove("SSL_CERT_DIR")
        .status();
    assert!(status.unwrap().success());
}

/// A root that signed nothing here.
fn other_root() -> String {
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap().pem()
}

#[test]
fn http2_is_spoken_over_a_few_connections_where_it_is_offered() {
    run("h2,http/1.1", "root.pem", "yes");
}

#[test]
fn http1_is_spoken_where_nothing_else_is() {
    run("http/1.1", "root.pem", "yes");
}

#[test]
fn a_certificate_that_no_known_root_signed_is_refused() {
    run("h2,http/1.1", "other.pem", "no");
}
