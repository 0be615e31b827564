//! The limit of one attempt.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::future::BoxFuture;
use maof_core::{Classify, Clock};
use tower_service::Service;

use super::config::AttemptConfig;
use super::state::Limit;
use super::timed::Timed;

/// Makes [`Timeout`] services.
#[derive(Clone, Debug)]
pub struct Layer {
    config: AttemptConfig,
    clock: Arc<dyn Clock>,
}

impl Layer {
    /// Waits for each reply as long as `config` says, and not beyond the request's deadline by `clock`.
    pub fn new(config: &AttemptConfig, clock: Arc<dyn Clock>) -> Self {
        Layer { config: config.clone(), clock }
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout { inner, config: self.config.clone(), clock: Arc::clone(&self.clock) }
    }
}

/// A service that answers in time, or fails with [`Classify::timeout`], or with [`Classify::out_of_time`] where
/// it was the request's deadline that left no more; what is late is dropped.
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    config: AttemptConfig,
    clock: Arc<dyn Clock>,
}

impl<S, Req> Service<Req> for Timeout<S>
where
    S: Service<Req>,
    S::Error: Classify,
    S::Future: Send + 'static,
    Req: Timed,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let left = request.deadline().map(|at| at.saturating_duration_since(self.clock.instant()));
        let limit = Limit::of(&self.config, request.is_streamed(), left);
        let answered = self.inner.call(request);
        Box::pin(async move {
            match (tokio::time::timeout(limit.time(), answered).await, limit) {
                (Ok(answer), _) => answer,
                (Err(_), Limit::Own(limit)) => Err(S::Error::timeout(limit)),
                (Err(_), Limit::Left(limit)) => Err(S::Error::out_of_time(limit)),
            }
        })
    }
}
