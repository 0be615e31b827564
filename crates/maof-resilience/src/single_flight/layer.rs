//! Single flight around a service.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::future::BoxFuture;
use maof_core::{Classify, Clock};
use tower_service::Service;

use super::config::Config;
use super::copied::Copied;
use super::flight::{Joined, Lead, News, Sky};
use crate::timeout::Timed;

/// What a layer needs to know of keys and replies.
struct Shared<Req, K: Hash + Eq + Clone, Rep: Copied, E: Copied> {
    sky: Arc<Sky<K, Rep, E>>,
    key: Box<KeyOf<Req, K>>,
    clock: Arc<dyn Clock>,
    on_joined: Box<dyn Fn() + Send + Sync>,
}

/// The key of a request; none where it is like no other.
type KeyOf<Req, K> = dyn Fn(&Req) -> Option<K> + Send + Sync;

/// Makes [`SingleFlight`] services, which share their flights.
pub struct Layer<Req, K: Hash + Eq + Clone, Rep: Copied, E: Copied> {
    shared: Arc<Shared<Req, K, Rep, E>>,
}

impl<Req, K: Hash + Eq + Clone, Rep: Copied, E: Copied> Layer<Req, K, Rep, E> {
    /// Makes requests of one `key` once while they are under way together; those without a key each by itself.
    /// `on_joined` is told of each request that waits for another; it must neither block nor panic.
    pub fn new(
        config: &Config,
        clock: Arc<dyn Clock>,
        key: impl Fn(&Req) -> Option<K> + Send + Sync + 'static,
        on_joined: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let sky = Sky::new(config.max_waiting as usize);
        let (key, on_joined) = (Box::new(key), Box::new(on_joined));
        Layer { shared: Arc::new(Shared { sky, key, clock, on_joined }) }
    }
}

impl<S, Req, K: Hash + Eq + Clone, Rep: Copied, E: Copied> tower_layer::Layer<S> for Layer<Req, K, Rep, E> {
    type Service = SingleFlight<S, Req, K, Rep, E>;

    fn layer(&self, inner: S) -> Self::Service {
        SingleFlight { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service that is asked once for requests that are the same.
pub struct SingleFlight<S, Req, K: Hash + Eq + Clone, Rep: Copied, E: Copied> {
    inner: S,
    shared: Arc<Shared<Req, K, Rep, E>>,
}

impl<S, Req, K, Rep, E> Service<Req> for SingleFlight<S, Req, K, Rep, E>
where
    S: Service<Req, Response = Rep, Error = E> + Clone + Send + 'static,
    S::Future: Send,
    Req: Timed + Send + 'static,
    K: Hash + Eq + Clone + Send + 'static,
    Rep: Copied + Send + 'static,
    E: Copied + Classify + Send + 'static,
{
    type Response = Rep;
    type Error = E;
    type Future = BoxFuture<'static, Result<Rep, E>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let Some(key) = (self.shared.key)(&request) else { return Box::pin(self.inner.call(request)) };
        // The instance that was readied goes with the call; its clone stays and is readied anew.
        let unready = self.inner.clone();
        let readied = std::mem::replace(&mut self.inner, unready);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.fly(readied, request, key).await })
    }
}

impl<Req, K, Rep, E> Shared<Req, K, Rep, E>
where
    Req: Timed,
    K: Hash + Eq + Clone,
    Rep: Copied,
    E: Copied + Classify,
{
    async fn fly<S>(&self, service: S, request: Req, key: K) -> Result<Rep, E>
    where
        S: Service<Req, Response = Rep, Error = E>,
    {
        let told = match self.sky.join(key) {
            Joined::Lead(lead) => return leads(service, request, lead).await,
            Joined::Alone => return alone(service, request).await,
            Joined::Wait(told) => told,
        };
        (self.on_joined)();
        // The deadline is watched further in, where one who waits never comes.
        let left = request.deadline().map(|at| at.saturating_duration_since(self.clock.instant()));
        let news = match left {
            None => told.await,
            Some(left) => match tokio::time::timeout(left, told).await {
                Ok(news) => news,
                Err(_) => return Err(E::out_of_time(left)),
            },
        };
        match news {
            Ok(News::Landed(master)) => master.copy(),
            Ok(News::Lead(lead)) => leads(service, request, lead).await,
            Ok(News::Alone) | Err(_) => alone(service, request).await,
        }
    }
}

async fn leads<S, Req, K, Rep, E>(service: S, request: Req, lead: Lead<K, Rep, E>) -> Result<Rep, E>
where
    S: Service<Req, Response = Rep, Error = E>,
    K: Hash + Eq + Clone,
    Rep: Copied,
    E: Copied,
{
    let answer = alone(service, request).await;
    lead.land(&answer);
    answer
}

/// Asks. The instance was readied before it came here.
async fn alone<S: Service<Req>, Req>(mut service: S, request: Req) -> Result<S::Response, S::Error> {
    service.call(request).await
}

// Not derived: a derive would ask every parameter to be `Clone` and `Debug`.
impl<Req, K: Hash + Eq + Clone, Rep: Copied, E: Copied> Clone for Layer<Req, K, Rep, E> {
    fn clone(&self) -> Self {
        Layer { shared: Arc::clone(&self.shared) }
    }
}

impl<S: Clone, Req, K: Hash + Eq + Clone, Rep: Copied, E: Copied> Clone for SingleFlight<S, Req, K, Rep, E> {
    fn clone(&self) -> Self {
        SingleFlight { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<Req, K: Hash + Eq + Clone, Rep: Copied, E: Copied> fmt::Debug for Layer<Req, K, Rep, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("sky", &self.shared.sky).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, Req, K: Hash + Eq + Clone, Rep: Copied, E: Copied> fmt::Debug
    for SingleFlight<S, Req, K, Rep, E>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").field("inner", &self.inner).finish_non_exhaustive()
    }
}
