//! The limit of a whole call: its deadline.

use std::fmt;
use std::future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_core::future::BoxFuture;
use maof_core::Clock;
use tower_service::Service;

/// Makes [`Deadline`] services.
pub struct DeadlineLayer<Req, E> {
    reader: Reader<Req, E>,
}

/// How to read a request's deadline, and what to say when it has passed.
struct Reader<Req, E> {
    deadline: fn(&Req) -> Option<Instant>,
    clock: Arc<dyn Clock>,
    late: fn() -> E,
}

impl<Req, E> DeadlineLayer<Req, E> {
    /// Ends what is not answered by the moment that `deadline` reads from a request, with the error that
    /// `late` makes. A request without a deadline is waited for without limit.
    pub fn new(deadline: fn(&Req) -> Option<Instant>, clock: Arc<dyn Clock>, late: fn() -> E) -> Self {
        DeadlineLayer { reader: Reader { deadline, clock, late } }
    }
}

impl<S, Req, E> tower_layer::Layer<S> for DeadlineLayer<Req, E> {
    type Service = Deadline<S, Req, E>;

    fn layer(&self, inner: S) -> Deadline<S, Req, E> {
        Deadline { inner, reader: self.reader.clone() }
    }
}

/// A service that answers before a request's deadline, or fails; what is late is dropped.
pub struct Deadline<S, Req, E> {
    inner: S,
    reader: Reader<Req, E>,
}

impl<S, Req, E> Service<Req> for Deadline<S, Req, E>
where
    S: Service<Req, Error = E>,
    S::Response: Send + 'static,
    S::Future: Send + 'static,
    E: Send + 'static,
{
    type Response = S::Response;
    type Error = E;
    type Future = BoxFuture<'static, Result<S::Response, E>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let Some(deadline) = (self.reader.deadline)(&request) else {
            return Box::pin(self.inner.call(request));
        };
        let late = self.reader.late;
        let left = deadline.saturating_duration_since(self.reader.clock.instant());
        if left.is_zero() {
            // Whoever answers must not begin what nobody waits for.
            return Box::pin(future::ready(Err(late())));
        }
        let answered = self.inner.call(request);
        Box::pin(async move {
            match tokio::time::timeout(left, answered).await {
                Ok(answer) => answer,
                Err(_) => Err(late()),
            }
        })
    }
}

// Not derived: a derive would ask `Req` and `E` to be `Clone` and `Debug`.
impl<Req, E> Clone for Reader<Req, E> {
    fn clone(&self) -> Self {
        Reader { deadline: self.deadline, clock: Arc::clone(&self.clock), late: self.late }
    }
}

impl<Req, E> Clone for DeadlineLayer<Req, E> {
    fn clone(&self) -> Self {
        DeadlineLayer { reader: self.reader.clone() }
    }
}

impl<S: Clone, Req, E> Clone for Deadline<S, Req, E> {
    fn clone(&self) -> Self {
        Deadline { inner: self.inner.clone(), reader: self.reader.clone() }
    }
}

impl<Req, E> fmt::Debug for DeadlineLayer<Req, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadlineLayer").finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, Req, E> fmt::Debug for Deadline<S, Req, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline").field("inner", &self.inner).finish_non_exhaustive()
    }
}
