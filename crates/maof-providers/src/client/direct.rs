//! The client for requests that go straight to their host: hyper, with pooled connections.
//!
//! It costs a third of what a full-featured client costs for a plain exchange (docs/benchmarks.md), and does only
//! what an exchange with a provider needs: no redirects, no retries, no compression.

use std::error::Error as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use http::header::{HeaderValue, USER_AGENT};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use maof_core::Error;

use super::{Answer, Http, Request};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Idle connections that are kept to each host.
const IDLE: usize = 64;
/// How long an idle connection is kept; some providers' balancers drop them silently after a minute or more.
const KEPT: Duration = Duration::from_secs(50);
/// Connections over which streams of HTTP/2 are spread: one alone allows about a hundred at a time, and a lost
/// packet would hold up all of them.
const SPREAD: usize = 4;

type Hyper = Client<Within<HttpsConnector<HttpConnector>>, Full<Bytes>>;

/// A connector that gives up after a while, handshakes included: its own timer looks at TCP alone.
#[derive(Clone, Debug)]
struct Within<C> {
    connector: C,
    most: Duration,
}

impl<C> tower_service::Service<http::Uri> for Within<C>
where
    C: tower_service::Service<http::Uri>,
    C::Response: Send + 'static,
    C::Error: Into<BoxError> + 'static,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<C::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, host: http::Uri) -> Self::Future {
        let connecting = self.connector.call(host);
        let most = self.most;
        Box::pin(async move {
            match tokio::time::timeout(most, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
            }
        })
    }
}

/// Connections that are kept for the next request. Built when first used, because loading the system's root
/// certificates takes a while and most processes speak to few of their providers.
#[derive(Debug)]
pub(super) struct Direct {
    connect_timeout: Duration,
    plain: bool,
    clients: OnceLock<Vec<Hyper>>,
    next: AtomicUsize,
}

impl Direct {
    /// For requests to one host; `plain` when they are not encrypted.
    pub(super) fn new(plain: bool, connect_timeout: Duration) -> Self {
        Direct { connect_timeout, plain, clients: OnceLock::new(), next: AtomicUsize::new(0) }
    }

    fn client(&self) -> maof_core::Result<&Hyper> {
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

    fn build(&self) -> maof_core::Result<Vec<Hyper>> {
        let tls = self.tls()?;
        let client = || {
            let mut tcp = HttpConnector::new();
            tcp.enforce_http(false);
            tcp.set_nodelay(true);
            tcp.set_keepalive(Some(Duration::from_secs(30)));
            let https = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
            let connector = https.enable_http1().enable_http2().wrap_connector(tcp);
            let within = Within { connector, most: self.connect_timeout };
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .timer(TokioTimer::new())
                .pool_max_idle_per_host(IDLE)
                .pool_idle_timeout(KEPT)
                .http2_adaptive_window(true)
                .http2_keep_alive_interval(Duration::from_secs(20))
                // What was sent may have been billed: only our own retry layer sends again.
                .retry_canceled_requests(false)
                .build(within)
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
        // The chain is looked through, because the connector wraps what its own timer said.
        let mut source = cause.source();
        let mut late = false;
        while let Some(inner) = source {
            let io = inner.downcast_ref::<std::io::Error>();
            late = late || io.is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut);
            source = inner.source();
        }
        let error = if cause.is_connect() && late {
            let within = self.connect_timeout.as_millis();
            Error::timed_out(format!("no connection to the upstream within {within} ms"))
        } else if cause.is_connect() {
            Error::unavailable("the upstream cannot be reached")
        } else {
            Error::unavailable("the upstream closed the connection before it answered")
        };
        error.because(cause.to_string())
    }
}

#[async_trait]
impl Http for Direct {
    async fn send(&self, request: Request) -> maof_core::Result<Answer> {
        let Request { method, url, headers, body } = request;
        let mut sent = http::Request::builder()
            .method(method)
            .uri(&url)
            .body(Full::new(body))
            .map_err(|e| Error::internal("the upstream's address cannot be used").because(e))?;
        *sent.headers_mut() = headers;
        sent.headers_mut().insert(USER_AGENT, HeaderValue::from_static(super::AGENT));
        let client = self.client()?;
        let answer = client.request(sent).await.map_err(|cause| self.unsent(&cause))?;
        let (head, body) = answer.into_parts();
        let body = body
            .into_data_stream()
            .map(|item| item.map_err(|e| Error::protocol("the upstream's answer was cut off").because(e)));
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: Box::pin(body) })
    }
}
