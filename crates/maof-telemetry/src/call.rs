//! The outermost layer of a call: a span around it, and the signals that it began and ended.
//!
//! A streamed call ends when its stream does, and its span's figures are those of the end.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::future::BoxFuture;
use maof_core::{
    Call, Clock, End, Error, ErrorKind, Guard, Guarded, Observe, Operation, Origin, Reply, Signal,
};
use tower_service::Service;
use tracing::{Instrument, Span, field};

use crate::names::{attribute, span};
use crate::span::{failure_of, record_end, record_error};

/// Makes [`Watched`] services.
#[derive(Clone, Debug)]
pub struct Layer {
    clock: Arc<dyn Clock>,
    observe: Arc<dyn Observe>,
}

impl Layer {
    /// Tells `observe`, by the time of `clock`.
    pub fn new(clock: Arc<dyn Clock>, observe: Arc<dyn Observe>) -> Self {
        Layer { clock, observe }
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched { inner, clock: Arc::clone(&self.clock), observe: Arc::clone(&self.observe) }
    }
}

/// A call path that is watched.
#[derive(Clone, Debug)]
pub struct Watched<S> {
    inner: S,
    clock: Arc<dyn Clock>,
    observe: Arc<dyn Observe>,
}

impl<S> Service<Call> for Watched<S>
where
    S: Service<Call, Response = Reply, Error = Error>,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Reply, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let span = tracing::info_span!(
            span::CALL,
            { attribute::OPERATION } = call.operation().as_str(),
            { attribute::REQUEST_MODEL } = %call.target,
            { attribute::CALL_ID } = %call.id,
            { attribute::ROUTE_DECISION } = field::Empty,
            { attribute::ROUTE_STRATEGY } = field::Empty,
            { attribute::ROUTE_ARM } = field::Empty,
            { attribute::ROUTE_ORDER } = field::Empty,
            { attribute::ROUTE_PROPENSITY } = field::Empty,
            { attribute::AGENT } = field::Empty,
            { attribute::ENDPOINT } = field::Empty,
            { attribute::RESPONSE_MODEL } = field::Empty,
            { attribute::FINISH_REASONS } = field::Empty,
            { attribute::INPUT_TOKENS } = field::Empty,
            { attribute::OUTPUT_TOKENS } = field::Empty,
            { attribute::COST } = field::Empty,
            { attribute::ERROR_TYPE } = field::Empty,
        );
        let mut open = Open {
            operation: call.operation(),
            began: self.clock.instant(),
            clock: Arc::clone(&self.clock),
            observe: Arc::clone(&self.observe),
            span: span.clone(),
            told: false,
        };
        self.observe.on(Signal::CallBegan);
        let answered = self.inner.call(call);
        let watched = async move {
            match answered.await {
                Ok(mut reply) => {
                    if let Some(chosen) = &reply.head.chosen {
                        open.span.record(attribute::AGENT, chosen.agent.as_str());
                        open.span.record(attribute::ENDPOINT, chosen.endpoint.as_str());
                    }
                    reply.guard(Box::new(open));
                    Ok(reply)
                }
                Err(error) => {
                    open.tell(Some((error.kind(), error.origin())));
                    Err(error)
                }
            }
        };
        Box::pin(watched.instrument(span))
    }
}

/// A call in flight; says that it ended, whatever happens to it.
struct Open {
    operation: Operation,
    began: Instant,
    clock: Arc<dyn Clock>,
    observe: Arc<dyn Observe>,
    span: Span,
    told: bool,
}

impl Open {
    fn tell(&mut self, failed: Option<(ErrorKind, Origin)>) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        if let Some((error, origin)) = failed {
            record_error(&self.span, error);
            self.observe.on(Signal::CallFailed { error, origin });
        }
        let error = failed.map(|(error, _)| error);
        let took = self.clock.instant().saturating_duration_since(self.began);
        self.observe.on(Signal::CallEnded { operation: self.operation, error, took });
    }
}

impl Guard for Open {
    fn end(mut self: Box<Self>, end: &mut End) {
        record_end(&self.span, end);
        self.tell(failure_of(end));
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // A future that was dropped before it had a reply.
        self.tell(Some((ErrorKind::Cancelled, Origin::Caller)));
    }
}

#[cfg(test)]
#[path = "call/tests.rs"]
mod tests;
