//! What outlives a change of endpoints: the state of the layers, once for all endpoints and once for each that stays.
//!
//! The stack is put together anew whenever endpoints come and go (`live.rs`); what is here goes from one to the next.

use std::sync::Arc;

use maof_cache::semantic::Questions;
use maof_core::{Call, CircuitState, Clock, Error, Limit, Name, Observe, Reply, Result, Signal};
use maof_resilience::circuit_breaker::Ward;
use maof_resilience::{bulkhead, circuit_breaker, hedge, load_shed, rate_limit, retry, single_flight};
use parking_lot::Mutex;

use crate::same;

/// What the paths to all endpoints share.
pub(crate) struct Lasting {
    pub(crate) retries: Option<retry::Budget>,
    pub(crate) ward: Arc<Ward>,
    pub(crate) door: Option<load_shed::Door>,
    pub(crate) flights: Option<single_flight::Layer<Call, same::Key, Reply, Error>>,
    /// Questions that were answered, where those in other words are answered likewise.
    pub(crate) questions: Option<Arc<Mutex<Questions>>>,
    hedge: Option<hedge::Config>,
    clock: Arc<dyn Clock>,
    /// Whoever watches now, whenever that is.
    observe: Arc<dyn Observe>,
}

impl Lasting {
    /// As configured; what is set of all endpoints together holds until a restart.
    pub(crate) fn new(
        config: &maof_resilience::Config,
        cache: Option<&maof_cache::Config>,
        clock: &Arc<dyn Clock>,
        observe: &Arc<dyn Observe>,
    ) -> Self {
        let semantic = cache.and_then(|cache| cache.semantic.as_ref());
        Lasting {
            retries: config.retry_budget.as_ref().map(|b| retry::Budget::new(b, Arc::clone(clock))),
            ward: Arc::new(Ward::new([])),
            door: config.load_shed.as_ref().map(|config| door(config, clock, observe)),
            flights: config.single_flight.as_ref().map(|config| one_flight(config, clock, observe)),
            questions: semantic.map(|config| Arc::new(Mutex::new(Questions::new(config)))),
            hedge: config.hedge.clone(),
            clock: Arc::clone(clock),
            observe: Arc::clone(observe),
        }
    }

    /// When a second endpoint is asked; knows nothing of these yet.
    pub(crate) fn hedges(&self, endpoints: impl IntoIterator<Item = Name>) -> Option<Arc<hedge::Hedges>> {
        let config = self.hedge.as_ref()?;
        let clock = Arc::clone(&self.clock);
        Some(Arc::new(hedge::Hedges::new(config, clock, endpoints, self.door.clone())))
    }

    /// Tells who is left without any endpoint, or is so no longer, to whoever watches.
    pub(crate) fn tell_rested(&self, change: &circuit_breaker::Rested) {
        tell_rested(&*self.observe, change);
    }
}

/// The door of this process.
fn door(config: &load_shed::Config, clock: &Arc<dyn Clock>, observe: &Arc<dyn Observe>) -> load_shed::Door {
    let observe = Arc::clone(observe);
    let on_limit = move |limit| {
        tracing::info!(limit, "another number of calls may be under way at once");
        observe.on(Signal::ConcurrencyLimit { limit });
    };
    load_shed::Door::new(config, Arc::clone(clock), on_limit)
}

fn one_flight(
    config: &single_flight::Config,
    clock: &Arc<dyn Clock>,
    observe: &Arc<dyn Observe>,
) -> single_flight::Layer<Call, same::Key, Reply, Error> {
    let (observe, said) = (Arc::clone(observe), config.clone());
    let key = move |call: &Call| same::key(&said, call);
    single_flight::Layer::new(config, Arc::clone(clock), key, move || observe.on(Signal::Joined))
}

/// What protects one endpoint, with its state. Clones share it.
#[derive(Clone)]
pub(crate) struct Protection {
    pub(crate) config: maof_resilience::EndpointConfig,
    pub(crate) breaker: circuit_breaker::Layer,
    pub(crate) rate_limit: Option<rate_limit::Layer>,
    pub(crate) bulkhead: Option<bulkhead::Layer>,
    heard: Arc<Mutex<bool>>,
}

impl Protection {
    /// With a closed breaker, an idle limiter and an empty bulkhead.
    pub(crate) fn new(config: maof_resilience::EndpointConfig, name: &Name, lasting: &Lasting) -> Self {
        let heard = Arc::new(Mutex::new(true));
        let limited = |by: Limit| {
            let (observe, name) = (Arc::clone(&lasting.observe), name.clone());
            move || observe.on(Signal::Limited { endpoint: &name, by })
        };
        let limit = |c| rate_limit::Layer::new(c, Arc::clone(&lasting.clock), limited(Limit::Rate));
        Protection {
            breaker: breaker(&config.circuit_breaker, name, lasting, Arc::clone(&heard)),
            rate_limit: config.rate_limit.as_ref().map(limit),
            bulkhead: config.bulkhead.as_ref().map(|c| bulkhead::Layer::new(c, limited(Limit::Bulkhead))),
            heard,
            config,
        }
    }

    /// Tells nothing from now on: the endpoint is gone or another one has its name, and calls that end late must not
    /// speak of that one.
    pub(crate) fn fall_silent(&self) {
        *self.heard.lock() = false;
    }
}

fn breaker(
    config: &circuit_breaker::Config,
    name: &Name,
    lasting: &Lasting,
    heard: Arc<Mutex<bool>>,
) -> circuit_breaker::Layer {
    let (observe, ward, name) = (Arc::clone(&lasting.observe), Arc::clone(&lasting.ward), name.clone());
    circuit_breaker::Layer::new(config, Arc::clone(&lasting.clock), move |state| {
        // Held while it is told, so that nothing is told after it fell silent.
        let heard = heard.lock();
        if !*heard {
            return;
        }
        match state {
            CircuitState::Open => tracing::warn!(endpoint = %name, "failed too often and is rested"),
            CircuitState::HalfOpen => tracing::info!(endpoint = %name, "has rested and is probed"),
            CircuitState::Closed => tracing::info!(endpoint = %name, "is well again"),
        }
        observe.on(Signal::Circuit { endpoint: &name, state });
        ward.change(&name, state, |change| tell_rested(&*observe, &change));
    })
}

fn tell_rested(observe: &dyn Observe, change: &circuit_breaker::Rested) {
    let (agent, rested) = (&change.agent, change.rested);
    match rested {
        true => tracing::error!(%agent, "nobody can answer: all of its endpoints are rested"),
        false => tracing::info!(%agent, "can be asked again"),
    }
    observe.on(Signal::AgentRested { agent, rested });
}

/// How an endpoint survives failure: `streams` where what is asked of it as a stream begins before it has ended.
///
/// # Errors
/// `invalid_request` naming the field that is out of range.
pub(crate) fn survival(
    config: &maof_resilience::Config,
    provider: &Name,
    own: Option<&maof_resilience::Override>,
    streams: bool,
) -> Result<maof_resilience::EndpointConfig> {
    let mut config = config.endpoint(provider, own)?;
    if !streams {
        // Its first event is its whole answer.
        config.timeout.first_token_ms = config.timeout.attempt_ms;
    }
    Ok(config)
}
