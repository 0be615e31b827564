//! Once per call: holds what it may cost at the cheapest candidate on the caller's accounts, and closes the
//! hold when the reply ends, fails or is dropped, at whatever point.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use maof_core::{
    Balance, Call, Clock, End, Error, ErrorKind, Guard, Guarded as _, Ledger, Measure, Money, Name, Near,
    Observe, Reply, Result, Retry, Signal, Silent, Timestamp,
};
use tower_service::Service;

use crate::alert::Alerts;
use crate::limits::{Limits, Taken};
use crate::tool_calls;
use crate::worst::{Quote, Worst};

/// Makes [`Held`] services.
#[derive(Clone, Debug)]
pub struct Layer {
    shared: Arc<Shared>,
}

#[derive(Clone, Debug)]
struct Shared {
    ledger: Arc<dyn Ledger>,
    limits: Arc<Limits>,
    clock: Arc<dyn Clock>,
    quote: Arc<dyn Quote>,
    observe: Arc<dyn Observe>,
    alerts: Option<Arc<Alerts>>,
}

impl Layer {
    /// Holds on `ledger` what `limits` say.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        limits: Arc<Limits>,
        clock: Arc<dyn Clock>,
        quote: Arc<dyn Quote>,
    ) -> Self {
        let observe = Arc::new(Silent);
        Layer { shared: Arc::new(Shared { ledger, limits, clock, quote, observe, alerts: None }) }
    }

    /// Has `alerts` look at accounts. Default: nobody does.
    #[must_use]
    pub fn alerting(mut self, alerts: Arc<Alerts>) -> Self {
        Arc::make_mut(&mut self.shared).alerts = Some(alerts);
        self
    }

    /// Tells `observe` of refusals. Default: nobody.
    #[must_use]
    pub fn observed_by(mut self, observe: Arc<dyn Observe>) -> Self {
        Arc::make_mut(&mut self.shared).observe = observe;
        self
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

    fn call(&mut self, mut call: Call) -> Self::Future {
        // The instance that was readied is the one that is called.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            // Made before the first await: a future that is dropped at any point closes its hold.
            let closing = Closing { ledger: Arc::clone(&shared.ledger), key: call.hold_key() };
            if let Some(hold) = shared.hold(&closing.key, &mut call).await? {
                call.held = Some(Arc::new(maof_core::Held::new(hold.worst.amounts())));
                call.near = call.near.or(hold.near);
            }
            let near = call.near.clone();
            let mut reply = inner.call(call).await?;
            reply.head.near = near;
            reply.guard(Box::new(closing));
            Ok(reply)
        })
    }
}

/// What is held for a call.
struct Hold {
    worst: Worst,
    near: Option<Arc<Near>>,
}

impl Shared {
    /// Holds the worst case by the bound; where that is refused, by an exact count; where that is refused too, at who is
    /// asked near a limit, if that is cheaper. What is held, if anything is.
    async fn hold(&self, key: &Arc<str>, call: &mut Call) -> Result<Option<Hold>> {
        let cost = self.quote.cheapest(call).unwrap_or_default();
        let refused = match self.hold_for(key, call, cost).await {
            Err(error) if error.kind() == ErrorKind::BudgetExceeded => error,
            held => return held.map_err(|error| self.refused(error)),
        };
        let account = refused.field().and_then(|field| Name::new(field).ok());
        call.near = account.map(|account| Arc::new(Near { account, percent: 100 }));
        let cheaper = self.quote.cheapest(call).unwrap_or_default();
        let held = match call.near {
            Some(_) if cheaper < cost => self.hold_for(key, call, cheaper).await,
            _ => Err(refused),
        };
        held.map_err(|error| self.refused(error)).inspect(|held| {
            if let (Some(near), Some(_)) = (&call.near, held) {
                self.observe.on(Signal::NearLimit { account: &near.account });
            }
        })
    }

    async fn hold_for(&self, key: &Arc<str>, call: &Call, cost: Money) -> Result<Option<Hold>> {
        let counts = self.limits.count(Measure::ToolCalls);
        let tool_calls = |of: fn(&Call) -> u64| if counts { of(call) } else { 0 };
        let worst = Worst {
            cost,
            input: call.body.token_bound(),
            output: 0,
            tool_calls: tool_calls(tool_calls::most),
        };
        let refused = match self.try_hold(key, call, worst).await {
            Err(error) if error.kind() == ErrorKind::BudgetExceeded => error,
            held => return held,
        };
        let fewer = Worst { tool_calls: tool_calls(tool_calls::least), ..worst };
        match self.quote.counted(call) {
            Some(counted) => {
                let counted = Worst { tool_calls: fewer.tool_calls, ..counted.least(fewer) };
                self.try_hold(key, call, counted).await
            }
            None if fewer != worst => self.try_hold(key, call, fewer).await,
            None => Err(refused),
        }
    }

    async fn try_hold(&self, key: &Arc<str>, call: &Call, worst: Worst) -> Result<Option<Hold>> {
        let charges = self.limits.charges(call, None, &worst)?;
        if charges.is_empty() {
            return Ok(None);
        }
        let now = self.clock.now();
        let balances = self.ledger.hold(key, &charges, self.limits.mode(call), now).await?;
        let near = self.look(call, &balances, now)?;
        Ok(Some(Hold { worst, near }))
    }

    /// Looks at the accounts of a call; gives the one that is nearest to its limit, if one is near.
    fn look(&self, call: &Call, balances: &[Balance], now: Timestamp) -> Result<Option<Arc<Near>>> {
        let mut nearest: Option<Taken> = None;
        let from = self.alerts.as_ref().map_or(u8::MAX, |alerts| alerts.from());
        for taken in self.limits.taken(call, balances, from)? {
            if let Some(alerts) = &self.alerts {
                alerts.look(&taken.account, taken.percent, now);
            }
            let is_near = taken.percent >= taken.soft_percent && taken.soft_percent < 100;
            if is_near && nearest.as_ref().is_none_or(|other| taken.percent > other.percent) {
                nearest = Some(taken);
            }
        }
        Ok(nearest.map(|Taken { account, percent, .. }| {
            self.observe.on(Signal::NearLimit { account: &account.name });
            Arc::new(Near { account: account.name, percent })
        }))
    }

    /// Nothing cheaper is left to try.
    fn refused(&self, error: Error) -> Error {
        let kind = error.kind();
        if matches!(kind, ErrorKind::BudgetExceeded | ErrorKind::RateLimited) {
            self.observe.on(Signal::HoldRefused { account: error.field().unwrap_or_default() });
        }
        match kind {
            ErrorKind::BudgetExceeded => error.retry_is(Retry::Never),
            // Who has too many under way may try again when one has ended.
            _ => error,
        }
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
        #[cfg(feature = "planted")]
        if crate::planted::keeps() {
            return;
        }
        self.ledger.close(&self.key);
    }
}
