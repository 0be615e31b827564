//! The bulkhead around a service.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::future::BoxFuture;
use maof_core::{Classify, End, Guard, Guarded};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_service::Service;

use super::config::Config;

/// Makes [`Bulkhead`] services, which share their places.
#[derive(Clone)]
pub struct Layer {
    shared: Arc<Shared>,
}

struct Shared {
    /// A place for every request that is under way; first come, first served.
    places: Arc<Semaphore>,
    /// A place for every call that waits.
    queue: Semaphore,
    max_wait: Duration,
    on_refused: Box<dyn Fn() + Send + Sync>,
}

impl Layer {
    /// An empty bulkhead. `on_refused` is told of each call that has no place; it must neither block nor panic.
    pub fn new(config: &Config, on_refused: impl Fn() + Send + Sync + 'static) -> Self {
        let places = Arc::new(Semaphore::new(config.max_concurrent as usize));
        let queue = Semaphore::new(config.max_queue as usize);
        let (max_wait, on_refused) = (config.max_wait(), Box::new(on_refused));
        Layer { shared: Arc::new(Shared { places, queue, max_wait, on_refused }) }
    }
}

impl Shared {
    /// A place, perhaps after a wait; none where it is too full.
    async fn enter(&self) -> Option<Held> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(Held { _place: place });
        }
        let _waiting = self.queue.try_acquire().ok()?;
        let place = tokio::time::timeout(self.max_wait, Arc::clone(&self.places).acquire_owned()).await;
        Some(Held { _place: place.ok()?.ok()? })
    }
}

/// A place that is held until the reply ends.
struct Held {
    _place: OwnedSemaphorePermit,
}

impl Guard for Held {
    fn end(self: Box<Self>, _: &mut End) {}
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Bulkhead<S>;

    fn layer(&self, inner: S) -> Bulkhead<S> {
        Bulkhead { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service that is asked by so many at once.
#[derive(Clone)]
pub struct Bulkhead<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, Req> Service<Req> for Bulkhead<S>
where
    S: Service<Req> + Clone + Send + 'static,
    S::Response: Guarded + Send,
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
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let Some(held) = shared.enter().await else {
                (shared.on_refused)();
                return Err(S::Error::bulkhead_full());
            };
            let mut reply = readied.call(request).await?;
            reply.guard(Box::new(held));
            Ok(reply)
        })
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("places", &self.shared.places).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug> fmt::Debug for Bulkhead<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead").field("inner", &self.inner).finish_non_exhaustive()
    }
}
