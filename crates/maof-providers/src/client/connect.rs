//! How connections are opened: nodelay, kept alive, and given up after a while.

use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::HttpConnector;
use maof_core::{Error, Retry};

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A connector of plain TCP; `https` addresses are not refused, so that one for TLS can be built on it.
pub(super) fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(Duration::from_secs(30)));
    tcp
}

/// A connector that gives up after a while, handshakes included: its own timer looks at TCP alone.
#[derive(Clone, Debug)]
pub(super) struct Within<C> {
    pub(super) connector: C,
    pub(super) most: Duration,
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

/// The error of a host that no connection could be opened to.
pub(super) fn unreachable(cause: &(dyn std::error::Error + 'static), most: Duration) -> Error {
    let error = match is_late(cause) {
        // Whoever was waited for that long is not waited for twice.
        true => Error::timed_out(format!("no connection to the upstream within {} ms", most.as_millis()))
            .retry_is(Retry::Elsewhere),
        false => Error::unavailable("the upstream cannot be reached"),
    };
    error.because(cause.to_string())
}

/// The error of a request that was sent, or may have been, and has no answer.
pub(super) fn unanswered(cause: impl std::fmt::Display) -> Error {
    Error::unavailable("the upstream closed the connection before it answered").because(cause.to_string())
}

/// Whether a timer was the reason. The chain is looked through, because connectors wrap what theirs said.
fn is_late(cause: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(cause);
    while let Some(error) = next {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut) {
            return true;
        }
        next = error.source();
    }
    false
}
