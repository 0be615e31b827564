//! The breaker around a service.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::future::BoxFuture;
use maof_core::{CircuitState, Classify, Clock, Guarded};
use tower_service::Service;

use super::breaker::Breaker;
use super::config::Config;

/// Makes [`CircuitBreaker`] services, which share one [`Breaker`].
#[derive(Clone, Debug)]
pub struct Layer {
    breaker: Breaker,
}

impl Layer {
    /// A closed breaker; see [`Breaker::new`].
    pub fn new(
        config: &Config,
        clock: Arc<dyn Clock>,
        on_change: impl Fn(CircuitState) + Send + Sync + 'static,
    ) -> Self {
        Layer { breaker: Breaker::new(config, clock, on_change) }
    }

    /// The breaker itself, for whoever watches its state.
    pub fn breaker(&self) -> Breaker {
        self.breaker.clone()
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = CircuitBreaker<S>;

    fn layer(&self, inner: S) -> CircuitBreaker<S> {
        CircuitBreaker { inner, breaker: self.breaker.clone() }
    }
}

/// A service that is asked only while its breaker lets calls pass.
#[derive(Clone, Debug)]
pub struct CircuitBreaker<S> {
    inner: S,
    breaker: Breaker,
}

impl<S, Req> Service<Req> for CircuitBreaker<S>
where
    S: Service<Req> + Clone + Send + 'static,
    S::Response: Guarded + Send,
    S::Error: Classify + Send,
    S::Future: Send,
    Req: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        // The instance that was readied goes with the call; its clone stays and is readied anew.
        let unready = self.inner.clone();
        let mut readied = std::mem::replace(&mut self.inner, unready);
        let breaker = self.breaker.clone();
        Box::pin(async move {
            let mut permit = breaker.admit().map_err(S::Error::circuit_open)?;
            match readied.call(request).await {
                Ok(mut reply) => {
                    permit.replied();
                    reply.guard(Box::new(permit));
                    Ok(reply)
                }
                Err(error) => {
                    if error.is_fault() {
                        permit.failure();
                    }
                    Err(error)
                }
            }
        })
    }
}
