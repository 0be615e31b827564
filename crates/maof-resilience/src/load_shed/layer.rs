//! The door before a service.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::future::BoxFuture;
use maof_core::{Classify, Guarded};
use tower_service::Service;

use super::door::Door;

/// Makes [`LoadShed`] services, which share one [`Door`].
pub struct Layer<Req> {
    door: Door,
    exempt: fn(&Req) -> bool,
    on_shed: Arc<dyn Fn() + Send + Sync>,
}

impl<Req> Layer<Req> {
    /// Lets requests in by `door`, and those that are `exempt` always. `on_shed` is told of each request that is
    /// refused; it must neither block nor panic.
    pub fn new(door: Door, exempt: fn(&Req) -> bool, on_shed: impl Fn() + Send + Sync + 'static) -> Self {
        Layer { door, exempt, on_shed: Arc::new(on_shed) }
    }
}

impl<S, Req> tower_layer::Layer<S> for Layer<Req> {
    type Service = LoadShed<S, Req>;

    fn layer(&self, inner: S) -> LoadShed<S, Req> {
        LoadShed { inner, layer: self.clone() }
    }
}

/// A service that is asked only while not too many requests are under way.
pub struct LoadShed<S, Req> {
    inner: S,
    layer: Layer<Req>,
}

impl<S, Req> Service<Req> for LoadShed<S, Req>
where
    S: Service<Req>,
    S::Response: Guarded + Send + 'static,
    S::Error: Classify + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        match self.layer.door.enter((self.layer.exempt)(&request)) {
            Err(retry_after) => {
                (self.layer.on_shed)();
                Box::pin(std::future::ready(Err(S::Error::overloaded(retry_after))))
            }
            Ok(mut admission) => {
                let answered = self.inner.call(request);
                Box::pin(async move {
                    let mut reply = answered.await?;
                    admission.replied();
                    reply.guard(Box::new(admission));
                    Ok(reply)
                })
            }
        }
    }
}

// Not derived: a derive would ask `Req` to be `Clone` and `Debug`.
impl<Req> Clone for Layer<Req> {
    fn clone(&self) -> Self {
        Layer { door: self.door.clone(), exempt: self.exempt, on_shed: Arc::clone(&self.on_shed) }
    }
}

impl<S: Clone, Req> Clone for LoadShed<S, Req> {
    fn clone(&self) -> Self {
        LoadShed { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<Req> fmt::Debug for Layer<Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("door", &self.door).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, Req> fmt::Debug for LoadShed<S, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadShed").field("inner", &self.inner).field("layer", &self.layer).finish()
    }
}
