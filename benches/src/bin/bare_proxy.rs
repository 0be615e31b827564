//! What MAOF is measured against: a proxy of axum and reqwest that does nothing but pass requests on, as one writes
//! it in an afternoon; with `merge` as its second argument, one that lets frames leave together that are ready
//! together. First argument: the upstream's port. Prints its port.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark's own program"
)]

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use futures::StreamExt as _;

#[derive(Clone)]
struct Proxy {
    client: reqwest::Client,
    upstream: String,
    merge: bool,
}

async fn pass(State(proxy): State<Proxy>, headers: HeaderMap, body: Bytes) -> Response {
    let mut request = proxy.client.post(&proxy.upstream).body(body);
    for name in [CONTENT_TYPE, AUTHORIZATION] {
        if let Some(value) = headers.get(&name) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.unwrap();
    let kind = answer.headers()[CONTENT_TYPE].clone();
    let status = answer.status();
    let body = match (kind == "text/event-stream", proxy.merge) {
        (false, _) => Body::from(answer.bytes().await.unwrap()),
        (true, false) => Body::from_stream(answer.bytes_stream()),
        (true, true) => Body::from_stream(answer.bytes_stream().ready_chunks(64).map(|chunks| {
            let chunks: Result<Vec<Bytes>, _> = chunks.into_iter().collect();
            chunks.map(|chunks| Bytes::from(chunks.concat()))
        })),
    };
    (status, [(CONTENT_TYPE, kind)], body).into_response()
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let upstream = format!("http://127.0.0.1:{}/v1/chat/completions", arguments.next().unwrap());
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).tcp_nodelay(true).build().unwrap();
    let proxy = Proxy { client, upstream, merge: arguments.next().as_deref() == Some("merge") };
    let app = Router::new().route("/v1/chat/completions", post(pass)).with_state(proxy);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let listener = axum::serve::ListenerExt::tap_io(listener, |socket| drop(socket.set_nodelay(true)));
    axum::serve(listener, app).await.unwrap();
}
