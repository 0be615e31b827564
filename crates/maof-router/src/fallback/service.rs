//! The service that asks one candidate after the other.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::future::BoxFuture;
use maof_core::{
    Call, Candidate, Chosen, Clock, Decision, Error, ErrorKind, Guarded as _, Name, Observe, Reply, Result,
    Retry, Route, Signal,
};
use tower_service::Service;

use super::rescue;
use super::telling::MostTelling;
use super::told::Told;

/// Asks whom a router decides on, in order, until one answers; see the [module](super).
pub struct Fallback<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    route: Arc<dyn Route>,
    services: HashMap<Name, S>,
    clock: Arc<dyn Clock>,
    observe: Arc<dyn Observe>,
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
        Fallback { shared: Arc::new(Shared { route, services, clock, observe, rescues: false }) }
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
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.ask_all(call).await })
    }
}

impl<S> Shared<S>
where
    S: Service<Call, Response = Reply, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    async fn ask_all(self: &Arc<Self>, call: Call) -> Result<Reply> {
        let decision = self.route.decide(&call)?;
        tracing::debug!(decision = %decision.id, why = decision.why, "routed");
        let mut errors = MostTelling::default();
        let mut instead_of = None;
        for (fallbacks, candidate) in (0..).zip(&decision.candidates) {
            let error = match self.ask(&call, &decision, candidate, fallbacks, instead_of.take()).await {
                Ok(reply) => return Ok(self.rescuable(call, decision, fallbacks, reply)),
                Err(error) if error.retry() == Retry::Never => return Err(error),
                Err(error) => error,
            };
            let next = decision.candidates.get(fallbacks as usize + 1).filter(|_| !self.is_late(&call));
            if let Some(next) = next {
                self.tell(candidate, next, &error);
            }
            instead_of = Some((candidate.agent.clone(), error.kind()));
            errors.add(error);
            if next.is_none() {
                break;
            }
        }
        Err(errors.take().unwrap_or_else(|| Error::internal("the router decided on nobody")))
    }

    /// The reply, which the candidates after this one continue should it die, where that is wished and the call allows it.
    fn rescuable(self: &Arc<Self>, call: Call, decision: Decision, by: u32, reply: Reply) -> Reply {
        if !self.rescues || !reply.is_stream() || !rescue::allows(&call) {
            return reply;
        }
        let (shared, decision, mut at) = (Arc::clone(self), Arc::new(decision), by as usize);
        let next = move |call: Call, error: &Error| -> Option<BoxFuture<'static, Result<Reply>>> {
            let from = decision.candidates.get(at)?;
            at += 1;
            let to = decision.candidates.get(at).filter(|_| !shared.is_late(&call))?.clone();
            shared.tell(from, &to, error);
            let instead_of = Some((from.agent.clone(), error.kind()));
            let (shared, decision, fallbacks) = (Arc::clone(&shared), Arc::clone(&decision), at as u32);
            Some(Box::pin(async move { shared.ask(&call, &decision, &to, fallbacks, instead_of).await }))
        };
        rescue::rescued(call, reply, Box::new(next))
    }

    /// Asks one candidate.
    async fn ask(
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
        let told = Told::new(&self.route, decision.id, candidate);
        match ready_and_call(service.clone(), call).await {
            Ok(mut reply) => {
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

async fn ready_and_call<S: Service<Call>>(mut service: S, call: Call) -> Result<S::Response, S::Error> {
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(call).await
}

// Not derived: a derive would ask `S` to be `Clone` and `Debug`.
impl<S> Clone for Fallback<S> {
    fn clone(&self) -> Self {
        Fallback { shared: Arc::clone(&self.shared) }
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
