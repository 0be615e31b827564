//! The path of a call: one layer a line, each with its reason, in the order in which a call meets them.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use maof_budget::Prices;
use maof_core::{
    Audit, Cache, Call, Card, Clock, Endpoint, Error, Hedge, Ledger, Name, Observe, Random, Reply, Result,
    Route, Signal,
};
use maof_engine::CallService;
use maof_resilience::{AfterFirstByte, load_shed, retry, timeout};
use tower::{Service, ServiceBuilder};

use crate::lasting::{Lasting, Protection};
use crate::priced::Priced;
use crate::quote::Cheapest;
use crate::same;
use crate::waited::Waited;

/// What the layers are made of. Only this file and the builder see all of it.
pub(crate) struct Parts {
    /// What becomes of a stream that dies after its first byte.
    pub(crate) after_first_byte: AfterFirstByte,
    /// What outlives a change of endpoints, once for all of them and once for each.
    pub(crate) lasting: Arc<Lasting>,
    pub(crate) protections: HashMap<Name, Protection>,
    pub(crate) hedges: Option<Arc<dyn Hedge>>,
    /// What is given again, and where it is kept.
    pub(crate) cache: Option<(maof_cache::Config, Arc<dyn Cache>)>,
    /// What was kept in another one is not given again.
    pub(crate) epoch: u64,
    /// What endpoints charge, where that is not just their card's tariff.
    pub(crate) priced: HashMap<Name, Priced>,
    pub(crate) outputs: Arc<maof_structured::Outputs>,
    pub(crate) limits: Arc<maof_budget::Limits>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) alerts: Arc<maof_budget::Alerts>,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) route: Arc<dyn Route>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) ids: Arc<dyn maof_core::Ids>,
    pub(crate) observe: Arc<dyn Observe>,
    /// Who is asked first, and who is asked too.
    pub(crate) routing: maof_router::Config,
    /// Its cascades, each with who judges first answers.
    pub(crate) cascades: Vec<(maof_router::Cascade, maof_router::cascade::Judge)>,
    /// All that runs beside its callers.
    pub(crate) tracker: tokio_util::task::TaskTracker,
}

/// Above so much of what may be under way, nothing is asked that can be left undone; hedging does likewise.
const BUSY_PERCENT: u32 = 70;

/// The whole path, over these endpoints: what is done once for each call.
pub(crate) fn call(parts: &Parts, endpoints: &[Arc<dyn Endpoint>]) -> Result<CallService> {
    let prices = |card: &Card| prices(parts, card).0;
    let cheapest = Cheapest::new(Arc::clone(&parts.route), Arc::clone(&parts.clock), endpoints, prices)
        .cascaded(&parts.routing.cascade);
    let door = parts.lasting.door.clone();
    let door_room = door.clone();
    let mut services = HashMap::new();
    for endpoint in endpoints {
        let service = self::endpoint(parts, Arc::clone(endpoint))?;
        services.insert(endpoint.card().name.clone(), service);
    }
    let router = maof_router::Fallback::new(
        Arc::clone(&parts.route),
        services,
        Arc::clone(&parts.clock),
        Arc::clone(&parts.observe),
    )
    .hedged_by(parts.hedges.clone());
    let router = match parts.after_first_byte {
        AfterFirstByte::Error => router,
        AfterFirstByte::Rescue => router.rescuing(),
    };
    let service = ServiceBuilder::new()
        // Outermost, so that everything below is inside the span and counted, refusals too.
        .layer(maof_telemetry::call::Layer::new(Arc::clone(&parts.clock), Arc::clone(&parts.observe)))
        // Before any work is done: to refuse must cost next to nothing when there is too much to do.
        .option_layer(door.map(|door| shed(parts, door)))
        // Before anything is reserved or looked up for somebody who may not have it.
        .layer(maof_security::authorise::Layer::new(Arc::clone(&parts.audit), Arc::clone(&parts.clock)))
        // After it is known that each may ask, and before the hold: who only has a copy pays nothing.
        .option_layer(parts.lasting.flights.clone())
        // Below it, so that the first of many that are the same fills it for the others; above the hold: what was paid
        // for once is given again for nothing, even to whom nothing is left.
        .option_layer(parts.cache.as_ref().map(|(config, store)| cache(parts, config, store)))
        // Above the hold, so that a shadow has one of its own; below the cache: who is answered from it asks nobody.
        .option_layer(parts.routing.shadow.as_ref().map(|config| shadow(parts, config, door_room)))
        // Around every attempt and fallback: what one call may cost is held once, and given back once.
        .layer(
            maof_budget::hold::Layer::new(
                Arc::clone(&parts.ledger),
                Arc::clone(&parts.limits),
                Arc::clone(&parts.clock),
                Arc::new(cheapest),
            )
            .observed_by(Arc::clone(&parts.observe))
            .alerting(Arc::clone(&parts.alerts)),
        )
        // Inside the hold, so that a call that comes too late gives its money back like any other.
        .layer(timeout::DeadlineLayer::new(
            |call: &Call| call.deadline,
            Arc::clone(&parts.clock),
            || Error::timed_out("the call's deadline has passed").retry_is(maof_core::Retry::Never),
        ))
        // Inside the hold and the deadline: what is asked first and what it is escalated to are one call of the caller's.
        .option_layer(cascades(parts))
        // Innermost of what is done once: from here on a call belongs to one endpoint after the other.
        .service(router);
    Ok(CallService::new(service))
}

fn shed(parts: &Parts, door: load_shed::Door) -> load_shed::Layer<Call> {
    let observe = Arc::clone(&parts.observe);
    // The calls of a run were accepted with it, and the engine makes only so many at once.
    let exempt = |call: &Call| call.provenance.run.is_some();
    load_shed::Layer::new(door, exempt, move || observe.on(Signal::Shed))
}

fn cascades(parts: &Parts) -> Option<maof_router::cascade::Layer> {
    let cascades = parts.cascades.clone();
    (!cascades.is_empty()).then(|| maof_router::cascade::Layer::new(cascades, Arc::clone(&parts.observe)))
}

fn shadow(
    parts: &Parts,
    config: &maof_router::Shadow,
    door: Option<load_shed::Door>,
) -> maof_router::shadow::Layer {
    let tracker = parts.tracker.clone();
    let ports = maof_router::shadow::Ports {
        ids: Arc::clone(&parts.ids),
        clock: Arc::clone(&parts.clock),
        random: Arc::clone(&parts.random),
        observe: Arc::clone(&parts.observe),
        spawn: Arc::new(move |work| drop(tracker.spawn(work))),
        has_room: Arc::new(move || door.as_ref().is_none_or(|door| door.load_percent() <= BUSY_PERCENT)),
    };
    maof_router::shadow::Layer::new(config, ports)
}

fn cache(parts: &Parts, config: &maof_cache::Config, store: &Arc<dyn Cache>) -> maof_cache::Layer {
    let (when, epoch) = (config.when, parts.epoch);
    let (store, clock, observe) = (Arc::clone(store), Arc::clone(&parts.clock), Arc::clone(&parts.observe));
    let layer =
        maof_cache::Layer::new(config, store, move |call| same::kept(when, epoch, call), clock, observe);
    match &parts.lasting.questions {
        Some(known) => layer.worded(Arc::clone(known), move |call| same::worded(when, epoch, call)),
        None => layer,
    }
}

/// The path to one endpoint: what is done once for each time that the router turns to it.
fn endpoint(parts: &Parts, endpoint: Arc<dyn Endpoint>) -> Result<CallService> {
    let card = Arc::new(endpoint.card().clone());
    let unprotected = || Error::internal(format!("the endpoint `{}` has no protection", card.name));
    let Protection { config, breaker, rate_limit, bulkhead, .. } =
        parts.protections.get(&card.name).ok_or_else(unprotected)?;
    let (prices, unknown, version) = prices(parts, &card);
    let service = ServiceBuilder::new()
        // Inside the router, which says whose answer it is and turns to the next candidate where it is refused; outside
        // the retry, so that a wrong answer is no failure of the endpoint, and the turn that mends it, at this same
        // endpoint, is retried, held and billed like any other, within the call's one hold and deadline.
        .layer(maof_structured::Layer::new(Arc::clone(&parts.outputs)))
        // Outside the breaker, so that a breaker that opens between attempts ends the retrying.
        .layer(retries(parts, &config.retry, &card.name))
        // Sees every attempt: one that failed counts even if the next one succeeds.
        .layer(breaker.clone())
        // Inside the breaker, so that calls that it refuses use up no turn.
        .option_layer(rate_limit.clone())
        // Inside the rate limit, so that nobody holds a place while waiting for a turn.
        .option_layer(bulkhead.clone())
        // Inside the breaker, so that an endpoint that does not answer counts as one that failed; inside the
        // queues, so that the time of waiting for a turn is not the endpoint's.
        .layer(timeout::Layer::new(&config.timeout, Arc::clone(&parts.clock)))
        // Around the attempt alone, whose guard is told of the end first: the span says what it cost.
        .layer(maof_telemetry::attempt::Layer::new(Arc::clone(&card)))
        // Innermost: exactly what the upstream receives is held, written down and billed.
        .layer(
            maof_budget::attempt::Layer::new(
                card,
                Arc::clone(&parts.ledger),
                Arc::clone(&parts.limits),
                Arc::clone(&parts.clock),
                Arc::clone(&parts.ids),
                Arc::clone(&parts.observe),
            )
            .priced(prices, unknown)
            .of_version(version),
        )
        .service(Asked { endpoint, clock: Arc::clone(&parts.clock), observe: Arc::clone(&parts.observe) });
    Ok(CallService::new(service))
}

/// What an endpoint charges, whether nobody knows it, and where that is from.
fn prices(parts: &Parts, card: &Card) -> (Arc<Prices>, bool, Option<Arc<str>>) {
    match parts.priced.get(&card.name) {
        Some(priced) => (Arc::clone(&priced.prices), priced.unknown, priced.version.clone()),
        None => (Arc::new(Prices::from(card.tariff)), false, None),
    }
}

fn retries(parts: &Parts, config: &retry::Config, name: &Name) -> retry::Layer<Error> {
    let (observe, endpoint) = (Arc::clone(&parts.observe), name.clone());
    let on_retry = move |error: &Error, _attempt| {
        observe.on(Signal::Retried { endpoint: &endpoint, error: error.kind() });
    };
    let layer = retry::Layer::new(config, Arc::clone(&parts.clock), Arc::clone(&parts.random), on_retry);
    let Some(budget) = &parts.lasting.retries else { return layer };
    let (observe, endpoint) = (Arc::clone(&parts.observe), name.clone());
    layer.within(budget.clone(), move || observe.on(Signal::RetryRefused { endpoint: &endpoint }))
}

/// An endpoint as a service; says on the reply whose it is, which attempt it answers and how long was waited.
#[derive(Clone, Debug)]
struct Asked {
    endpoint: Arc<dyn Endpoint>,
    clock: Arc<dyn Clock>,
    observe: Arc<dyn Observe>,
}

/// A request on its way; tells that it was sent, unless it was not, and whether or not anybody waits for it.
struct Sending {
    endpoint: Arc<dyn Endpoint>,
    observe: Arc<dyn Observe>,
    unsent: bool,
}

impl Drop for Sending {
    fn drop(&mut self) {
        if !self.unsent {
            self.observe.on(Signal::Sent { endpoint: &self.endpoint.card().name });
        }
    }
}

impl Service<Call> for Asked {
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Reply, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let (endpoint, clock) = (Arc::clone(&self.endpoint), Arc::clone(&self.clock));
        let observe = Arc::clone(&self.observe);
        Box::pin(async move {
            let (attempt, waits) = (call.attempt, Arc::clone(&call.waits));
            let mut sending = Sending { endpoint: Arc::clone(&endpoint), observe, unsent: false };
            let answered = Waited::new(endpoint.call(call), clock, Arc::clone(&waits)).await;
            sending.unsent = answered.as_ref().is_err_and(Error::is_before_sending);
            drop(sending);
            let mut reply = answered?;
            reply.head.attempts = attempt;
            reply.head.waits = Some(waits);
            reply.head.provider = Some(endpoint.card().provider.clone());
            Ok(reply)
        })
    }
}

#[cfg(test)]
mod tests;
