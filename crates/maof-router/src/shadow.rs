//! Shadowing: a share of the conversations is also sent to another agent, whose answers nobody gets.
//!
//! The caller's own call is passed on first and unchanged; the shadow runs beside it as work of its own, with an id, a hold and
//! a deadline of its own, and ends with the answer thrown away: what it cost stands in the ledger
//! ([`maof_core::Purpose::Shadow`]), and how it went is told to the router. Where there is no room it is not made.
//!
//! Not for choosing between two answers (that is a cascade or a vote), nor for sending a share of the callers elsewhere (that is
//! a split): here the caller never notices.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::future::BoxFuture;
use maof_core::{
    Call, CallId, Clock, Error, Grant, Ids, Observe, Operation, Principal, Provenance, Purpose, Random,
    Reply, Result, Signal, Target, Waits,
};
use tower_service::Service;

use crate::choose::asks_for;
use crate::config::Shadow as Config;
use crate::fallback::ready_and_call;
use crate::learned::uniform;

/// Lets work go on that nobody waits for.
pub type Spawn = Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>;
/// Whether this process has room for what could be left undone.
pub type HasRoom = Arc<dyn Fn() -> bool + Send + Sync>;

/// Makes [`Shadowed`] services.
#[derive(Clone)]
pub struct Layer {
    shared: Arc<Shared>,
}

/// What shadowing needs of the world.
#[derive(Clone)]
pub struct Ports {
    /// Gives the shadows' ids.
    pub ids: Arc<dyn Ids>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Draws.
    pub random: Arc<dyn Random>,
    /// Is told of each shadow, made or not.
    pub observe: Arc<dyn Observe>,
    /// Runs them.
    pub spawn: Spawn,
    /// Whether there is room.
    pub has_room: HasRoom,
}

struct Shared {
    config: Config,
    ports: Ports,
    under_way: AtomicU32,
}

impl Layer {
    /// Shadows as configured.
    pub fn new(config: &Config, ports: Ports) -> Layer {
        Layer { shared: Arc::new(Shared { config: config.clone(), ports, under_way: AtomicU32::new(0) }) }
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Shadowed<S>;

    fn layer(&self, inner: S) -> Shadowed<S> {
        Shadowed { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A call path of which a share is shadowed.
#[derive(Clone)]
pub struct Shadowed<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Call> for Shadowed<S>
where
    S: Service<Call, Response = Reply, Error = Error> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let drawn = self.shared.draw(&call);
        let fresh = self.inner.clone();
        // The instance that was readied is the one that is called, and before anything else.
        let asked = self.inner.call(call);
        if let Some((place, shadow)) = drawn {
            let (service, took) = (fresh, self.shared.config.timeout_ms);
            let work = async move {
                let _place = place;
                let asking = async { ready_and_call(service, shadow).await?.collect().await.map(drop) };
                let ended = tokio::time::timeout(Duration::from_millis(took), asking).await;
                let failed = ended.unwrap_or_else(|_| Err(Error::timed_out("it took too long"))).err();
                if let Some(error) = failed {
                    tracing::info!(
                        error.r#type = error.kind().as_str(),
                        error.message = error.message(),
                        "a shadow failed"
                    );
                }
            };
            (self.shared.ports.spawn)(Box::pin(work));
        }
        asked
    }
}

impl Shared {
    /// The shadow of a call, with its place, if it is to have one.
    fn draw(self: &Arc<Self>, call: &Call) -> Option<(Place, Call)> {
        let Config { agent, share, of, max_concurrent, timeout_ms } = &self.config;
        let fits = call.operation() == Operation::Chat && call.purpose == Purpose::Answer;
        if !fits
            || of.as_ref().is_some_and(|of| !asks_for(call, of))
            || uniform(&*self.ports.random) >= *share
        {
            return None;
        }
        let place = (self.ports.has_room)().then(|| Place::take(self, *max_concurrent)).flatten();
        self.ports.observe.on(Signal::Shadowed { asked: place.is_some() });
        let deadline = self.ports.clock.instant().checked_add(Duration::from_millis(*timeout_ms));
        let shadow = Call {
            id: CallId::from_uuid(self.ports.ids.next()),
            target: Target::Name(agent.clone()),
            principal: Arc::new(Principal { grant: Grant::Any, ..(*call.principal).clone() }),
            deadline,
            // No part of a run: neither its journal nor its report knows of it.
            provenance: Provenance { run: None, step: None, effect: None, ..call.provenance.clone() },
            waits: Arc::new(Waits::default()),
            purpose: Purpose::Shadow,
            ..call.clone()
        };
        Some((place?, shadow))
    }
}

/// One of the places of those that are under way.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>, most: u32) -> Option<Place> {
        let take = |taken: u32| (taken < most).then_some(taken + 1);
        let taken = shared.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.is_ok().then(|| Place(Arc::clone(shared)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

impl<S: fmt::Debug> fmt::Debug for Shadowed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shadowed").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
