//! The path of a call: one layer a line, each with its reason, in the order in which a call meets them.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use maof_core::{Audit, Call, Clock, Endpoint, Error, Ledger, Name, Observe, Random, Reply, Route};
use maof_engine::CallService;
use tower::{Service, ServiceBuilder};

use crate::quote::Cheapest;

/// What the layers are made of. Only this file and the builder see all of it.
pub(crate) struct Parts {
    pub(crate) resilience: maof_resilience::Config,
    pub(crate) limits: Arc<maof_budget::Limits>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) route: Arc<dyn Route>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) ids: Arc<dyn maof_core::Ids>,
    pub(crate) observe: Arc<dyn Observe>,
}

/// The whole path, over these endpoints: what is done once for each call.
pub(crate) fn call(parts: &Parts, endpoints: &[Arc<dyn Endpoint>]) -> CallService {
    let cheapest = Cheapest::new(Arc::clone(&parts.route), endpoints);
    let services: HashMap<Name, CallService> = endpoints
        .iter()
        .map(|endpoint| (endpoint.card().name.clone(), self::endpoint(parts, Arc::clone(endpoint))))
        .collect();
    let router = maof_router::Fallback::new(
        Arc::clone(&parts.route),
        services,
        Arc::clone(&parts.clock),
        Arc::clone(&parts.observe),
    );
    let service = ServiceBuilder::new()
        // Outermost, so that everything below is inside the span and counted, refusals too.
        .layer(maof_telemetry::call::Layer::new(Arc::clone(&parts.clock), Arc::clone(&parts.observe)))
        // Before anything is reserved or looked up for somebody who may not have it.
        .layer(maof_security::authorise::Layer::new(Arc::clone(&parts.audit), Arc::clone(&parts.clock)))
        // Around every attempt and fallback: what one call may cost is held once, and given back once.
        .layer(
            maof_budget::hold::Layer::new(
                Arc::clone(&parts.ledger),
                Arc::clone(&parts.limits),
                Arc::clone(&parts.clock),
                Arc::new(cheapest),
            )
            .observed_by(Arc::clone(&parts.observe)),
        )
        // Inside the hold, so that a call that comes too late gives its money back like any other.
        .layer(maof_resilience::timeout::DeadlineLayer::new(
            |call: &Call| call.deadline,
            Arc::clone(&parts.clock),
            || Error::timed_out("the call's deadline has passed").retry_is(maof_core::Retry::Never),
        ))
        // Innermost of what is done once: from here on a call belongs to one endpoint after the other.
        .service(router);
    CallService::new(service)
}

/// The path to one endpoint: what is done once for each time that the router turns to it.
fn endpoint(parts: &Parts, endpoint: Arc<dyn Endpoint>) -> CallService {
    let card = Arc::new(endpoint.card().clone());
    let name = card.name.clone();
    let (retried, opened) = (Arc::clone(&parts.observe), Arc::clone(&parts.observe));
    let (retried_name, opened_name) = (name.clone(), name);
    let service = ServiceBuilder::new()
        // Outside the breaker, so that a breaker that opens between attempts ends the retrying.
        .layer(maof_resilience::retry::Layer::new(
            &parts.resilience.retry,
            Arc::clone(&parts.clock),
            Arc::clone(&parts.random),
            move |error: &Error, _attempt| {
                retried.on(maof_core::Signal::Retried { endpoint: &retried_name, error: error.kind() });
            },
        ))
        // Sees every attempt: one that failed counts even if the next one succeeds.
        .layer(maof_resilience::circuit_breaker::Layer::new(
            &parts.resilience.circuit_breaker,
            Arc::clone(&parts.clock),
            move |state| opened.on(maof_core::Signal::Circuit { endpoint: &opened_name, state }),
        ))
        // Inside the breaker, so that an endpoint that does not answer counts as one that failed.
        .layer(maof_resilience::timeout::Layer::new(parts.resilience.timeout.attempt()))
        // Around the attempt alone, whose guard is told of the end first: the span says what it cost.
        .layer(maof_telemetry::attempt::Layer::new(Arc::clone(&card)))
        // Innermost: exactly what the upstream receives is held, written down and billed.
        .layer(maof_budget::attempt::Layer::new(
            card,
            Arc::clone(&parts.ledger),
            Arc::clone(&parts.limits),
            Arc::clone(&parts.clock),
            Arc::clone(&parts.ids),
            Arc::clone(&parts.observe),
        ))
        .service(Asked(endpoint));
    CallService::new(service)
}

/// An endpoint as a service; says on the reply which attempt it answers.
#[derive(Clone, Debug)]
struct Asked(Arc<dyn Endpoint>);

impl Service<Call> for Asked {
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Reply, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let endpoint = Arc::clone(&self.0);
        Box::pin(async move {
            let attempt = call.attempt;
            let mut reply = endpoint.call(call).await?;
            reply.head.attempts = attempt;
            Ok(reply)
        })
    }
}
