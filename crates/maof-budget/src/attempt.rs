//! Once per request to an upstream: raises the hold to what the endpoint may cost, and writes down what it
//! did cost.
//!
//! Exactly one row for each request, however it ends; none for what was refused before anything was sent. What a provider bills is charged: a whole answer by its
//! usage, a cut stream by its usage or an estimate, a request that was dropped before it was answered by an
//! estimate of its input. A refusal or failure before any answer costs nothing.

use std::borrow::Cow;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::future::BoxFuture;
use maof_core::{
    Attempt, AttemptId, Call, Card, Clock, End, Error, ErrorKind, Failure, Guard, Guarded as _, Ids, Ledger,
    Measure, Money, Name, Observe, Outcome, Reply, Result, Retry, Signal, Timestamp, Unit, Usage,
};
use tower_service::Service;

use crate::context;
use crate::limits::Limits;
use crate::price::{self, Prices, Served};
use crate::prints::Prints;
use crate::tokens::{CountTokens, Tiktoken};
use crate::tool_calls;
use crate::worst::{Terms, Worst, counted, estimate, worst};

/// Makes [`Attempted`] services; one for each endpoint.
#[derive(Clone, Debug)]
pub struct Layer {
    shared: Arc<Shared>,
}

#[derive(Clone, Debug)]
struct Shared {
    card: Arc<Card>,
    prices: Arc<Prices>,
    /// Whether nobody knows its prices.
    unknown: bool,
    /// Where its prices are from.
    version: Option<Arc<str>>,
    ledger: Arc<dyn Ledger>,
    limits: Arc<Limits>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    observe: Arc<dyn Observe>,
    count: Arc<dyn CountTokens>,
}

impl Layer {
    /// For the endpoint of this card.
    pub fn new(
        card: Arc<Card>,
        ledger: Arc<dyn Ledger>,
        limits: Arc<Limits>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        observe: Arc<dyn Observe>,
    ) -> Self {
        let (prices, unknown, count) = (Arc::new(Prices::from(card.tariff)), false, Arc::new(Tiktoken));
        Layer {
            shared: Arc::new(Shared {
                card,
                prices,
                unknown,
                version: None,
                ledger,
                limits,
                clock,
                ids,
                observe,
                count,
            }),
        }
    }

    /// Charges by these prices, and tells the observer of each request where they are `unknown`. Default: the card's
    /// tariff, always.
    #[must_use]
    pub fn priced(mut self, prices: Arc<Prices>, unknown: bool) -> Self {
        let shared = Arc::make_mut(&mut self.shared);
        (shared.prices, shared.unknown) = (prices, unknown);
        self
    }

    /// Writes down that prices are of this version: where they are from, in words. Default: nothing.
    #[must_use]
    pub fn of_version(mut self, version: Option<Arc<str>>) -> Self {
        Arc::make_mut(&mut self.shared).version = version;
        self
    }

    /// Counts tokens with `count` where their bound is refused. Default: [`Tiktoken`].
    #[must_use]
    pub fn counting(mut self, count: Arc<dyn CountTokens>) -> Self {
        Arc::make_mut(&mut self.shared).count = count;
        self
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Attempted<S>;

    fn layer(&self, inner: S) -> Attempted<S> {
        Attempted { inner, shared: Arc::clone(&self.shared) }
    }
}

/// An endpoint whose requests are held, written down and priced.
#[derive(Clone, Debug)]
pub struct Attempted<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Call> for Attempted<S>
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
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let agent = call.chosen.as_ref().map_or(&shared.card.name, |c| &c.agent).clone();
            let key = call.hold_key();
            // Made before the hold: however far this future comes, what is held beside the call's own hold is given back.
            let own = call.beside.then(|| Own { ledger: Arc::clone(&shared.ledger), key: Arc::clone(&key) });
            // What the model cannot take need not be sent to be refused.
            context::check(&call, &shared.card).await?;
            let tool_calls = shared.hold(&key, &call, &agent).await?;
            // Made before the request: whatever happens to this future, it is written down once.
            let mut open = Open::new(Arc::clone(&shared), key, own, call.clone(), agent);
            match inner.call(call).await {
                Ok(mut reply) => {
                    if shared.prices.by_service() {
                        reply = open.served.look(reply);
                    }
                    reply.guard(Box::new(open));
                    match shared.limits.count(Measure::ToolCalls) {
                        true => tool_calls::within(reply, tool_calls),
                        false => Ok(reply),
                    }
                }
                Err(error) if error.is_before_sending() => {
                    open.closed = true;
                    Err(error)
                }
                Err(error) => {
                    open.close(Usage::default(), Some(error.failure()));
                    Err(error)
                }
            }
        })
    }
}

impl Shared {
    /// Raises the hold to the worst case of this endpoint, by the bound; where that is refused, by an exact count. Gives how
    /// many calls of tools it covers.
    async fn hold(&self, key: &Arc<str>, call: &Call, agent: &Name) -> Result<u64> {
        let counts = self.limits.count(Measure::ToolCalls);
        let tool_calls = |of: fn(&Call) -> u64| if counts { of(call) } else { 0 };
        let most = tool_calls(tool_calls::most);
        let refused = match self.try_hold(key, call, agent, (call.token_bound(), most)).await {
            Ok(()) => return Ok(most),
            Err(error) if error.kind() == ErrorKind::BudgetExceeded => error,
            Err(error) => return Err(self.refused(error)),
        };
        let least = tool_calls(tool_calls::least);
        let held = match counted(call, &self.card, &*self.count) {
            Some(exact) => self.try_hold(key, call, agent, (exact, least)).await,
            None if least < most => self.try_hold(key, call, agent, (call.token_bound(), least)).await,
            None => Err(refused),
        };
        held.map(|()| least).map_err(|e| self.refused(e))
    }

    /// Holds what so many tokens of input, and calls of tools, come to.
    async fn try_hold(
        &self,
        key: &Arc<str>,
        call: &Call,
        agent: &Name,
        (input, tool_calls): (u64, u64),
    ) -> Result<()> {
        let terms = Terms { card: &self.card, prices: &self.prices, now: self.clock.now() };
        let worst = Worst { tool_calls, ..worst(call, terms, input)? };
        if self.is_held(call, agent, &worst)? {
            return Ok(());
        }
        let charges = self.limits.charges(call, Some(agent), &worst)?;
        match charges.is_empty() {
            true => Ok(()),
            false => self.ledger.hold(key, &charges, self.limits.mode(call), terms.now).await.map(drop),
        }
    }

    /// Whether the call's own hold is as large on every account, and nothing of it is spent: so it mostly is where the
    /// cheapest candidate is the one that is asked, first and alone.
    fn is_held(&self, call: &Call, agent: &Name, worst: &Worst) -> Result<bool> {
        let Some(held) = call.held.as_ref().filter(|held| held.is_whole() && !call.beside) else {
            return Ok(false);
        };
        self.limits.is_covered(call, agent, worst, held)
    }

    /// A cheaper candidate may still be affordable, or have fewer calls under way.
    fn refused(&self, error: Error) -> Error {
        if matches!(error.kind(), ErrorKind::BudgetExceeded | ErrorKind::RateLimited) {
            self.observe.on(Signal::HoldRefused { account: error.field().unwrap_or_default() });
            return error.retry_is(Retry::Elsewhere);
        }
        error
    }
}

/// A request in flight; written down once, whatever happens to it.
struct Open {
    shared: Arc<Shared>,
    /// Of the call's hold.
    key: Arc<str>,
    call: Call,
    agent: Name,
    began: Timestamp,
    since: Instant,
    /// The service that the answer says it came in, where prices depend on it.
    served: Served,
    /// Whether it is written down, or need not be.
    closed: bool,
    /// Dropped after the attempt was charged.
    _own: Option<Own>,
}

/// A hold of one attempt alone, which nobody else gives back.
struct Own {
    ledger: Arc<dyn Ledger>,
    key: Arc<str>,
}

impl Drop for Own {
    fn drop(&mut self) {
        self.ledger.close(&self.key);
    }
}

impl Open {
    fn new(shared: Arc<Shared>, key: Arc<str>, own: Option<Own>, call: Call, agent: Name) -> Self {
        let (began, since) = (shared.clock.now(), shared.clock.instant());
        let served = Served::default();
        Open { shared, key, call, agent, began, since, served, closed: false, _own: own }
    }

    fn estimate(&self, output: u64) -> Usage {
        estimate(&self.call, &self.shared.card, output)
    }

    /// Prices and writes down what was used; gives the cost back.
    fn close(&mut self, usage: Usage, failure: Option<Failure>) -> Money {
        if std::mem::replace(&mut self.closed, true) {
            return Money::ZERO;
        }
        let card = &self.shared.card;
        let served = self.served.said();
        let asked = || price::service(&self.call, &self.shared.prices);
        let service = served.as_deref().map(Cow::Borrowed).or_else(asked);
        let cost = self.shared.prices.cost(&usage, self.began, service.as_deref()).unwrap_or_else(|error| {
            tracing::error!(endpoint = %card.name, %error, "a cost beyond all bounds is charged as the largest");
            Money::from_nanos(i64::MAX)
        });
        #[cfg(feature = "planted")]
        let cost = crate::planted::float(cost);
        let took = self.shared.clock.instant().saturating_duration_since(self.since);
        self.shared.observe.on(Signal::AttemptEnded {
            agent: &self.agent,
            endpoint: &card.name,
            error: failure.as_ref().map(|f| f.kind),
            took,
            usage: &usage,
            cost,
        });
        if self.shared.unknown {
            self.shared.observe.on(Signal::PriceUnknown { endpoint: &card.name });
        }
        let principal = &self.call.principal;
        let provenance = &self.call.provenance;
        let Prints { question, opening } = Prints::of(&self.call.body);
        let attempt = Attempt {
            id: AttemptId::from_uuid(self.shared.ids.next()),
            call: self.call.id,
            tenant: principal.tenant.clone(),
            user: principal.user.clone(),
            key: principal.key.clone(),
            team: principal.team.clone(),
            tier: principal.tier.clone(),
            task_type: provenance.task_type.clone(),
            tags: provenance.tags.clone(),
            run: provenance.run,
            step: provenance.step.clone(),
            agent: self.agent.clone(),
            endpoint: card.name.clone(),
            model: Arc::clone(&card.model),
            began: self.began,
            micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            usage,
            cost,
            price: self.shared.version.clone(),
            failure,
            purpose: self.call.purpose,
            asked: self.call.body.asked_output(),
            question,
            opening,
        };
        self.shared.ledger.charge(&self.key, attempt);
        cost
    }
}

impl Guard for Open {
    fn end(mut self: Box<Self>, end: &mut End) {
        let failure = match &end.outcome {
            Outcome::Complete => None,
            Outcome::Failed(failure) => Some(failure.clone()),
            Outcome::Dropped => Some(Error::cancelled("nobody wanted the rest of the answer").failure()),
        };
        // Providers do not count requests; who charges by them does.
        let usage = end.usage.unwrap_or_else(|| self.estimate(end.estimated_output())).with(Unit::Request, 1);
        let usage = usage.with(Unit::ToolCall, end.tool_calls);
        end.usage = Some(usage);
        end.cost = Some(self.close(usage, failure));
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.closed {
            // The request was under way and nobody waits for the answer: the provider may bill it all the same.
            let failure = Error::cancelled("dropped before it was answered").failure();
            self.close(self.estimate(0), Some(failure));
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
