//! The limiter before a service.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::future::BoxFuture;
use maof_core::{Classify, Clock};
use tower_service::Service;

use super::config::Config;
use super::limiter::Limiter;

/// Makes [`RateLimit`] services, which share one [`Limiter`].
#[derive(Clone)]
pub struct Layer {
    limiter: Limiter,
    on_refused: Arc<dyn Fn() + Send + Sync>,
}

impl Layer {
    /// A limiter that has been idle. `on_refused` is told of each call that is not let pass; it must neither
    /// block nor panic.
    pub fn new(
        config: &Config,
        clock: Arc<dyn Clock>,
        on_refused: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Layer { limiter: Limiter::new(config, clock), on_refused: Arc::new(on_refused) }
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> RateLimit<S> {
        RateLimit { inner, layer: self.clone() }
    }
}

/// A service that is asked as often as its limiter allows.
#[derive(Clone, Debug)]
pub struct RateLimit<S> {
    inner: S,
    layer: Layer,
}

impl<S, Req> Service<Req> for RateLimit<S>
where
    S: Service<Req> + Clone + Send + 'static,
    S::Error: Classify,
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
        let Layer { limiter, on_refused } = self.layer.clone();
        Box::pin(async move {
            if let Err(wait) = limiter.pass().await {
                on_refused();
                return Err(S::Error::limited(wait));
            }
            readied.call(request).await
        })
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}
