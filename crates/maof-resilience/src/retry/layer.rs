//! The retries of one endpoint.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::future::BoxFuture;
use maof_core::{Classify, Clock, Random};
use tower_service::Service;

use super::attempted::Attempted;
use super::budget::Budget;
use super::config::Config;
use super::state::Attempts;

/// Makes [`Retry`] services.
pub struct Layer<E> {
    shared: Arc<Shared<E>>,
    spending: Option<Arc<Spending>>,
}

/// A budget of retries, and who is told that it refused one.
struct Spending {
    budget: Budget,
    on_refused: Box<dyn Fn() + Send + Sync>,
}

struct Shared<E> {
    config: Config,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    on_retry: Box<OnRetry<E>>,
}

/// Is told an error and the number of the attempt that failed.
type OnRetry<E> = dyn Fn(&E, u32) + Send + Sync;

impl<E> Layer<E> {
    /// Retries as `config` says. Before each retry `on_retry` is told the error and the number of the
    /// attempt that failed; it must neither block nor panic.
    pub fn new(
        config: &Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        on_retry: impl Fn(&E, u32) + Send + Sync + 'static,
    ) -> Self {
        let on_retry = Box::new(on_retry);
        let shared = Arc::new(Shared { config: config.clone(), clock, random, on_retry });
        Layer { shared, spending: None }
    }

    /// Retries no more often than `budget` allows; `on_refused` is told of each retry that it does not, and must
    /// neither block nor panic.
    #[must_use]
    pub fn within(mut self, budget: Budget, on_refused: impl Fn() + Send + Sync + 'static) -> Self {
        self.spending = Some(Arc::new(Spending { budget, on_refused: Box::new(on_refused) }));
        self
    }
}

impl<S, E> tower_layer::Layer<S> for Layer<E> {
    type Service = Retry<S, E>;

    fn layer(&self, inner: S) -> Retry<S, E> {
        Retry { inner, shared: Arc::clone(&self.shared), spending: self.spending.clone() }
    }
}

/// A service that is asked again where its error says that this may help.
pub struct Retry<S, E> {
    inner: S,
    shared: Arc<Shared<E>>,
    spending: Option<Arc<Spending>>,
}

impl<S, Req, E> Service<Req> for Retry<S, E>
where
    S: Service<Req, Error = E> + Clone + Send + 'static,
    S::Response: Send,
    S::Future: Send,
    Req: Attempted + Send + 'static,
    E: Classify + Send + 'static,
{
    type Response = S::Response;
    type Error = E;
    type Future = BoxFuture<'static, Result<S::Response, E>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        // The instance that was readied goes with the call; its clone stays and is readied anew.
        let unready = self.inner.clone();
        let readied = std::mem::replace(&mut self.inner, unready);
        Box::pin(attempts(readied, Arc::clone(&self.shared), self.spending.clone(), request))
    }
}

async fn attempts<S, Req, E>(
    mut service: S,
    shared: Arc<Shared<E>>,
    spending: Option<Arc<Spending>>,
    request: Req,
) -> Result<S::Response, E>
where
    S: Service<Req, Error = E>,
    Req: Attempted,
    E: Classify,
{
    let mut attempts = Attempts::first(&shared.config);
    let spending = spending.as_deref();
    let is_fallback = request.is_fallback();
    if let Some(spending) = spending.filter(|_| !is_fallback) {
        spending.budget.request();
    }
    loop {
        let number = attempts.number();
        let mut attempt = request.clone();
        attempt.attempt(number);
        let answer = service.call(attempt).await;
        // What was refused before it was sent has cost no upstream anything.
        let was_sent = answer.as_ref().map_or_else(E::is_fault, |_| true);
        if let Some(spending) = spending.filter(|_| is_fallback && number == 1 && was_sent) {
            spending.budget.fallback();
        }
        let error = match answer {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        let left = shared.left(&request);
        let Some(pause) = attempts.again(error.retry(), &*shared.random, left) else {
            return Err(error);
        };
        if let Some(spending) = spending
            && !spending.budget.retry()
        {
            (spending.on_refused)();
            return Err(error);
        }
        (shared.on_retry)(&error, number);
        drop(error);
        tokio::time::sleep(pause).await;
        poll_fn(|cx| service.poll_ready(cx)).await?;
    }
}

impl<E> Shared<E> {
    /// The time until the request's deadline.
    fn left(&self, request: &impl Attempted) -> Option<Duration> {
        request.deadline().map(|deadline| deadline.saturating_duration_since(self.clock.instant()))
    }
}

// Not derived: a derive would ask `E` to be `Clone` and `Debug`.
impl<E> Clone for Layer<E> {
    fn clone(&self) -> Self {
        Layer { shared: Arc::clone(&self.shared), spending: self.spending.clone() }
    }
}

impl<S: Clone, E> Clone for Retry<S, E> {
    fn clone(&self) -> Self {
        let (shared, spending) = (Arc::clone(&self.shared), self.spending.clone());
        Retry { inner: self.inner.clone(), shared, spending }
    }
}

impl<E> fmt::Debug for Layer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, E> fmt::Debug for Retry<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("inner", &self.inner)
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}
