//! Once per call: holds what it may cost at the cheapest candidate on the caller's accounts, and closes the
//! hold when the reply ends, fails or is dropped, at whatever point.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use maof_core::{Call, Clock, End, Error, ErrorKind, Guard, Guarded as _, Ledger, Reply, Result, Retry};
use tower_service::Service;

use crate::limits::Limits;
use crate::worst::{Quote, Worst};

/// Makes [`Held`] services.
#[derive(Clone, Debug)]
pub struct Layer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ledger: Arc<dyn Ledger>,
    limits: Arc<Limits>,
    clock: Arc<dyn Clock>,
    quote: Arc<dyn Quote>,
}

impl Layer {
    /// Holds on `ledger` what `limits` say.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        limits: Arc<Limits>,
        clock: Arc<dyn Clock>,
        quote: Arc<dyn Quote>,
    ) -> Self {
        Layer { shared: Arc::new(Shared { ledger, limits, clock, quote }) }
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Held<S>;

    fn layer(&self, inner: S) -> Held<S> {
        Held { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A call path whose cost is held.
#[derive(Clone, Debug)]
pub struct Held<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Call> for Held<S>
where
    S: Service<Call, Response = Reply, Error = Error> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Reply>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        // The instance that was readied is the one that is called.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            // Made before the first await: a future that is dropped at any point closes its hold.
            let closing = Closing { ledger: Arc::clone(&shared.ledger), key: call.hold_key() };
            let cost = shared.quote.cheapest(&call).unwrap_or_default();
            let worst = Worst { cost, tokens: call.body.token_bound() };
            let charges = shared.limits.charges(&call.principal, None, &worst);
            if !charges.is_empty() {
                let held = shared.ledger.hold(&closing.key, &charges, shared.clock.now()).await;
                held.map_err(|e| match e.kind() {
                    // Nothing cheaper is left to try.
                    ErrorKind::BudgetExceeded => e.retry_is(Retry::Never),
                    _ => e,
                })?;
            }
            let mut reply = inner.call(call).await?;
            reply.guard(Box::new(closing));
            Ok(reply)
        })
    }
}

/// Gives back what is still held when it goes.
struct Closing {
    ledger: Arc<dyn Ledger>,
    key: Arc<str>,
}

impl Guard for Closing {
    fn end(self: Box<Self>, _: &mut End) {
        // Dropped here: the attempts inside have been charged before.
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.ledger.close(&self.key);
    }
}
