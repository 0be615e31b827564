//! The client for requests that go through a proxy: reqwest, which knows every kind of them.

use std::sync::OnceLock;
use std::time::Duration;

use futures::StreamExt as _;
use maof_core::{Error, Result, Retry};

use super::{Answer, Request};

/// Idle connections that are kept to each host.
const IDLE: usize = 64;

/// Connections that are kept for the next request. Built when first used, because loading the system's root
/// certificates takes a while and most processes speak to few of their providers.
#[derive(Debug)]
pub(super) struct Proxied {
    connect_timeout: Duration,
    client: OnceLock<reqwest::Client>,
}

impl Proxied {
    pub(super) fn new(connect_timeout: Duration) -> Self {
        Proxied { connect_timeout, client: OnceLock::new() }
    }

    fn client(&self) -> Result<&reqwest::Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let built = self.build()?;
        Ok(self.client.get_or_init(|| built))
    }

    fn build(&self) -> Result<reqwest::Client> {
        // The client would panic.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(Error::internal("no TLS provider is installed: call `maof::init()` first"));
        }
        reqwest::Client::builder()
            .user_agent(super::AGENT)
            // A redirect could lead a request with our key to where its answerer likes.
            .redirect(reqwest::redirect::Policy::none())
            // What was sent may have been billed: only our own retry layer sends again.
            .retry(reqwest::retry::never())
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .referer(false)
            .pool_max_idle_per_host(IDLE)
            .build()
            .map_err(|e| Error::internal("the HTTP client cannot be built").because(e))
    }

    fn unsent(&self, cause: reqwest::Error) -> Error {
        let cause = cause.without_url();
        let error = if cause.is_timeout() {
            Error::timed_out(format!(
                "no connection to the upstream within {} ms",
                self.connect_timeout.as_millis()
            ))
            .retry_is(Retry::Elsewhere)
        } else if cause.is_connect() {
            Error::unavailable("the upstream cannot be reached")
        } else {
            Error::unavailable("the upstream closed the connection before it answered")
        };
        error.because(cause)
    }
}

impl Proxied {
    /// As [`super::Http::send`].
    pub(super) async fn send(&self, request: Request) -> Result<Answer> {
        let Request { method, url, headers, body } = request;
        let sent = self.client()?.request(method, &url).headers(headers).body(body).send().await;
        let response = sent.map_err(|cause| self.unsent(cause))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes_stream().map(|item| {
            item.map_err(|e| Error::protocol("the upstream's answer was cut off").because(e.without_url()))
        });
        Ok(Answer { status, headers, body: Box::pin(body) })
    }
}
