//! The limit of one attempt.

use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::future::BoxFuture;
use maof_core::Classify;
use tower_service::Service;

/// Makes [`Timeout`] services.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    limit: Duration,
}

impl Layer {
    /// Waits at most `limit` for each reply.
    pub fn new(limit: Duration) -> Self {
        Layer { limit }
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout { inner, limit: self.limit }
    }
}

/// A service that answers within a limit, or fails with [`Classify::timeout`]; what is late is dropped.
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    limit: Duration,
}

impl<S, Req> Service<Req> for Timeout<S>
where
    S: Service<Req>,
    S::Error: Classify,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let limit = self.limit;
        let answered = self.inner.call(request);
        Box::pin(async move {
            match tokio::time::timeout(limit, answered).await {
                Ok(answer) => answer,
                Err(_) => Err(S::Error::timeout(limit)),
            }
        })
    }
}
