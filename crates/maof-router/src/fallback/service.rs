//! The service that asks one candidate after the other.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::future::BoxFuture;
use maof_core::{
    Call, Candidate, Chosen, Clock, Decision, Error, ErrorKind, Guarded as _, Hedge, Name, Observe,
    Operation, Reply, Result, Retry, Route, Signal,
};
use tower_service::Service;

use super::rescue;
use super::telling::MostTelling;
use super::told::Told;

/// Asks whom a router decides on, in order, until one answers; see the [module](super).
pub struct Fallback<S> {
    shared: Arc<Shared<S>>,
    hedge: Option<Arc<dyn Hedge>>,
}

pub(super) struct Shared<S> {
    route: Arc<dyn Route>,
    services: HashMap<Name, S>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) observe: Arc<dyn Observe>,
    rescues: bool,
}

impl<S> Fallback<S> {
    /// Asks `services`, by the names of their endpoints, in the order that `route` decides on; tells
    /// `observe` of every fallback.
    pub fn new(
        route: Arc<dyn Route>,
        services: HashMap<Name, S>,
        clock: Arc<dyn Clock>,
        observe: Arc<dyn Observe>,
    ) -> Self {
        let shared = Shared { route, services, clock, observe, rescues: false };
        Fallback { shared: Arc::new(shared), hedge: None }
    }

    /// Lets the next candidate go on with a stream that dies after its first byte, where the call allows it. Default: it
    /// ends in the error that it died of.
    #[must_use]
    pub fn rescuing(mut self) -> Self
    where
        S: Clone,
    {
        let Shared { route, services, clock, observe, .. } = &*self.shared;
        let (route, clock, observe) = (Arc::clone(route), Arc::clone(clock), Arc::clone(observe));
        self.shared = Arc::new(Shared { route, services: services.clone(), clock, observe, rescues: true });
        self
    }

    /// Asks the next candidate beside one that is slow, where `hedge` says so.
    #[must_use]
    pub fn hedged_by(self, hedge: Option<Arc<dyn Hedge>>) -> Self {
        Fallback { hedge, ..self }
    }
}

impl<S> Service<Call> for Fallback<S>
where
    S: Service<Call, Response = Reply, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Reply>>;

    /// Always ready: whom to ask, and so whom to ready, is only known with the call.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let (shared, hedge) = (Arc::clone(&self.shared), self.hedge.clone());
        Box::pin(async move { shared.ask_all(call, hedge.as_deref()).await })
    }
}

impl<S> Shared<S>
where
    S: Service<Call, Response = Reply, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    async fn ask_all(self: &Arc<Self>, call: Call, hedge: Option<&dyn Hedge>) -> Result<Reply> {
        let decision = self.route.decide(&call)?;
        self.tell_of(&decision);
        // What is long as a whole is no sign of trouble; what does not begin is.
        let hedge = hedge.filter(|_| call.stream && call.operation() == Operation::Chat);
        hedge.iter().for_each(|hedge| hedge.began());
        let mut errors = MostTelling::default();
        let mut instead_of = None;
        let mut at = 0;
        while at < decision.order.len() {
            let failed = match self.ask_or_hedge(&call, &decision, at, instead_of.take(), hedge).await {
                Ok(reply) => return Ok(self.rescuable(call, decision, reply)),
                Err(failed) => failed,
            };
            for error in failed {
                if error.retry() == Retry::Never {
                    return Err(error);
                }
                let Some(candidate) = decision.candidate(at) else { break };
                at += 1;
                if let Some(next) = decision.candidate(at).filter(|_| !self.is_late(&call)) {
                    self.tell(candidate, next, &error);
                }
                instead_of = Some((candidate.agent.clone(), error.kind()));
                errors.add(error);
            }
            if self.is_late(&call) {
                break;
            }
        }
        Err(errors.take().unwrap_or_else(|| Error::internal("the router decided on nobody")))
    }

    /// The reply, which the candidates after this one continue should it die, where that is wished and the call allows it.
    fn rescuable(self: &Arc<Self>, call: Call, decision: Decision, reply: Reply) -> Reply {
        if !self.rescues || !reply.is_stream() || !rescue::allows(&call) {
            return reply;
        }
        // With a hedge it is not always the one who was asked first.
        let mut at = reply.head.chosen.as_ref().map_or(0, |chosen| chosen.fallbacks as usize);
        let (shared, decision) = (Arc::clone(self), Arc::new(decision));
        let next = move |call: Call, error: &Error| -> Option<BoxFuture<'static, Result<Reply>>> {
            let from = decision.candidate(at)?;
            at += 1;
            let to = decision.candidate(at).filter(|_| !shared.is_late(&call))?.clone();
            shared.tell(from, &to, error);
            let instead_of = Some((from.agent.clone(), error.kind()));
            let (shared, decision, fallbacks) = (Arc::clone(&shared), Arc::clone(&decision), at as u32);
            Some(Box::pin(async move { shared.ask(&call, &decision, &to, fallbacks, instead_of).await }))
        };
        rescue::rescued(call, reply, Box::new(next))
    }

    /// Asks one candidate.
    pub(super) async fn ask(
        &self,
        call: &Call,
        decision: &Decision,
        candidate: &Candidate,
        fallbacks: u32,
        instead_of: Option<(Name, ErrorKind)>,
    ) -> Result<Reply> {
        let Some(service) = self.services.get(&candidate.endpoint) else {
            let why = format!("the router knows the endpoint `{}`, the stack does not", candidate.endpoint);
            return Err(Error::internal(why).retry_is(Retry::Elsewhere));
        };
        let chosen = Arc::new(Chosen {
            decision: decision.id,
            agent: candidate.agent.clone(),
            endpoint: candidate.endpoint.clone(),
            instructions: candidate.instructions.clone(),
            fallbacks,
            instead_of,
        });
        let mut call = call.clone();
        call.chosen = Some(Arc::clone(&chosen));
        let mut told = Told::new(&self.route, &self.clock, decision.id, candidate);
        match ready_and_call(service.clone(), call).await {
            Ok(mut reply) => {
                told.began();
                reply.head.chosen = Some(chosen);
                reply.guard(Box::new(told));
                Ok(reply)
            }
            Err(error) => {
                told.failed(&error);
                Err(error)
            }
        }
    }

    fn is_late(&self, call: &Call) -> bool {
        call.deadline.is_some_and(|deadline| self.clock.instant() >= deadline)
    }

    /// To whoever observes, and in the log.
    fn tell_of(&self, decision: &Decision) {
        self.observe.on(Signal::Routed { decision });
        // Words cost more than the decision, and are made for who reads them.
        if tracing::enabled!(tracing::Level::DEBUG) {
            let told = decision.explain();
            tracing::debug!(
                decision = %decision.id,
                strategy = told.strategy,
                found = told.found,
                propensity = told.propensity,
                order = %told,
                "routed"
            );
        }
    }

    fn tell(&self, from: &Candidate, to: &Candidate, error: &Error) {
        tracing::info!(
            from.agent = %from.agent,
            from.endpoint = %from.endpoint,
            to.agent = %to.agent,
            to.endpoint = %to.endpoint,
            error.type = error.kind().as_str(),
            error.message = error.message(),
            "falls back"
        );
        self.observe.on(Signal::FellBack { from: &from.agent, to: &to.agent, error: error.kind() });
    }
}

pub(crate) async fn ready_and_call<S: Service<Call>>(
    mut service: S,
    call: Call,
) -> Result<S::Response, S::Error> {
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(call).await
}

// Not derived: a derive would ask `S` to be `Clone` and `Debug`.
impl<S> Clone for Fallback<S> {
    fn clone(&self) -> Self {
        Fallback { shared: Arc::clone(&self.shared), hedge: self.hedge.clone() }
    }
}

impl<S> fmt::Debug for Fallback<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints: Vec<_> = self.shared.services.keys().collect();
        f.debug_struct("Fallback")
            .field("route", &self.shared.route)
            .field("endpoints", &endpoints)
            .finish_non_exhaustive()
    }
}
