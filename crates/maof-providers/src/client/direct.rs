//! The client for requests that go straight to their host, over TLS or HTTP/2 mostly: hyper-util's, with pooled
//! connections that have tasks of their own.
//!
//! It costs a third of what a full-featured client costs for a plain exchange (docs/benchmarks.md), and does only
//! what an exchange with a provider needs: no redirects, no retries, no compression.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http::header::{HeaderValue, USER_AGENT};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use maof_core::Error;

use super::connect::{Within, tcp, unanswered, unreachable};
use super::lane::{Lane, Told};
use super::pool::{IDLE, KEPT};
use super::{Answer, Request};

/// Connections over which streams of HTTP/2 are spread: one alone allows about a hundred at a time, and a lost
/// packet would hold up all of them.
const SPREAD: usize = 4;

type Hyper = Client<Told<Within<HttpsConnector<HttpConnector>>>, Full<Bytes>>;

/// Connections that are kept for the next request. Built when first used, because loading the system's root
/// certificates takes a while and most processes speak to few of their providers.
#[derive(Debug)]
pub(super) struct Direct {
    connect_timeout: Duration,
    plain: bool,
    clients: OnceLock<Vec<(Hyper, Lane)>>,
    next: AtomicUsize,
}

impl Direct {
    /// For requests to one host; `plain` when they are not encrypted.
    pub(super) fn new(plain: bool, connect_timeout: Duration) -> Self {
        Direct { connect_timeout, plain, clients: OnceLock::new(), next: AtomicUsize::new(0) }
    }

    fn client(&self) -> maof_core::Result<&(Hyper, Lane)> {
        let clients = match self.clients.get() {
            Some(clients) => clients,
            None => {
                let built = self.build()?;
                self.clients.get_or_init(|| built)
            }
        };
        let at = self.next.fetch_add(1, Ordering::Relaxed) % clients.len().max(1);
        clients.get(at).ok_or_else(|| Error::internal("there is no HTTP client"))
    }

    fn build(&self) -> maof_core::Result<Vec<(Hyper, Lane)>> {
        let tls = self.tls()?;
        let client = || {
            let https = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
            let connector = https.enable_http1().enable_http2().wrap_connector(tcp());
            let within = Within { connector, most: self.connect_timeout };
            let lane = Lane::default();
            let told = Told { connector: within, lane: lane.clone() };
            let client = Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .timer(TokioTimer::new())
                .pool_max_idle_per_host(IDLE)
                .pool_idle_timeout(KEPT)
                .http2_adaptive_window(true)
                .http2_keep_alive_interval(Duration::from_secs(20))
                // What was sent may have been billed: only our own retry layer sends again.
                .retry_canceled_requests(false)
                .build(told);
            (client, lane)
        };
        // HTTP/1 opens as many connections as it needs by itself.
        let count = if self.plain { 1 } else { SPREAD };
        Ok((0..count).map(|_| client()).collect())
    }

    fn tls(&self) -> maof_core::Result<rustls::ClientConfig> {
        // Building would panic.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(Error::internal("no TLS provider is installed: call `maof::init()` first"));
        }
        let builder = rustls::ClientConfig::builder();
        if self.plain {
            let none = rustls::RootCertStore::empty();
            return Ok(builder.with_root_certificates(none).with_no_client_auth());
        }
        let builder = builder.try_with_platform_verifier();
        let builder =
            builder.map_err(|e| Error::internal("the system's certificates cannot be used").because(e))?;
        Ok(builder.with_no_client_auth())
    }

    fn unsent(&self, cause: &ClientError) -> Error {
        match cause.is_connect() {
            true => unreachable(cause, self.connect_timeout),
            false => unanswered(cause),
        }
    }
}

impl Direct {
    /// As [`super::Http::send`].
    pub(super) async fn send(&self, request: Request) -> maof_core::Result<Answer> {
        let Request { method, url, headers, body } = request;
        let mut sent = http::Request::builder()
            .method(method)
            .uri(&url)
            .body(Full::new(body))
            .map_err(|e| Error::internal("the upstream's address cannot be used").because(e))?;
        *sent.headers_mut() = headers;
        sent.headers_mut().insert(USER_AGENT, HeaderValue::from_static(super::AGENT));
        let (client, lane) = self.client()?;
        let _turn = lane.enter().await;
        let answer = client.request(sent).await.map_err(|cause| self.unsent(&cause))?;
        let (head, body) = answer.into_parts();
        let body = body
            .into_data_stream()
            .map(|item| item.map_err(|e| Error::protocol("the upstream's answer was cut off").because(e)));
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: Box::pin(body) })
    }
}
