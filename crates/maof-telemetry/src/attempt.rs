//! A span around each request to an upstream: whom it went to, how it ended and what it used.
//!
//! It belongs outside the layer that prices the request, since the innermost is told of an end first.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use maof_core::{Call, Card, End, Error, ErrorKind, Guard, Guarded, Reply};
use tower_service::Service;
use tracing::{Instrument, Span, field};

use crate::names::{attribute, span};
use crate::span::{error_of, record_end, record_error};

/// Makes [`Traced`] services; one for each endpoint.
#[derive(Clone, Debug)]
pub struct Layer {
    card: Arc<Card>,
}

impl Layer {
    /// For the endpoint of this card.
    pub fn new(card: Arc<Card>) -> Self {
        Layer { card }
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        Traced { inner, card: Arc::clone(&self.card) }
    }
}

/// An endpoint whose requests have spans.
#[derive(Clone, Debug)]
pub struct Traced<S> {
    inner: S,
    card: Arc<Card>,
}

impl<S> Service<Call> for Traced<S>
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
        let agent = call.chosen.as_ref().map_or(&self.card.name, |chosen| &chosen.agent);
        let span = tracing::info_span!(
            span::ATTEMPT,
            { attribute::OPERATION } = call.operation().as_str(),
            { attribute::PROVIDER } = %self.card.provider,
            { attribute::REQUEST_MODEL } = &*self.card.model,
            { attribute::AGENT } = %agent,
            { attribute::ENDPOINT } = %self.card.name,
            { attribute::ATTEMPT } = call.attempt,
            { attribute::RESPONSE_MODEL } = field::Empty,
            { attribute::FINISH_REASONS } = field::Empty,
            { attribute::INPUT_TOKENS } = field::Empty,
            { attribute::OUTPUT_TOKENS } = field::Empty,
            { attribute::COST } = field::Empty,
            { attribute::ERROR_TYPE } = field::Empty,
        );
        let answered = self.inner.call(call);
        if span.is_disabled() {
            return Box::pin(answered);
        }
        let mut open = Open { span: span.clone(), told: false };
        let traced = async move {
            match answered.await {
                Ok(mut reply) => {
                    reply.guard(Box::new(open));
                    Ok(reply)
                }
                Err(error) => {
                    open.tell(Some(error.kind()));
                    Err(error)
                }
            }
        };
        Box::pin(traced.instrument(span))
    }
}

/// A request in flight; its span is told how it ended, whatever happens to it.
struct Open {
    span: Span,
    told: bool,
}

impl Open {
    fn tell(&mut self, error: Option<ErrorKind>) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        if let Some(kind) = error {
            record_error(&self.span, kind);
        }
    }
}

impl Guard for Open {
    fn end(mut self: Box<Self>, end: &mut End) {
        record_end(&self.span, end);
        self.tell(error_of(end));
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // A future that was dropped before it had a reply.
        self.tell(Some(ErrorKind::Cancelled));
    }
}
