//! The layer: looks an answer up, and keeps one that was given.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use maof_core::{
    Cache, CacheKey, CacheStatus, Call, Clock, End, Error, Event, Guard, Guarded as _, Head, Kept, Money,
    Name, Observe, Reply, Response, Result, Signal, Timestamp,
};
use tower_service::Service;

use crate::config::Config;
use crate::record::record;
use crate::worth::is_worth_keeping;

/// The key of a call; none where its answer is not given again.
type KeyOf = dyn Fn(&Call) -> Option<CacheKey> + Send + Sync;

/// Makes [`Cached`] services, which share what is kept.
#[derive(Clone)]
pub struct Layer {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Cache>,
    key: Box<KeyOf>,
    ttl: Duration,
    most: u64,
    clock: Arc<dyn Clock>,
    observe: Arc<dyn Observe>,
}

impl Layer {
    /// Keeps answers in `store`, each under its call's `key`, which must hold whose call it is and all that may change
    /// the answer; a call without one passes by. Tells `observe` what came of each call.
    pub fn new(
        config: &Config,
        store: Arc<dyn Cache>,
        key: impl Fn(&Call) -> Option<CacheKey> + Send + Sync + 'static,
        clock: Arc<dyn Clock>,
        observe: Arc<dyn Observe>,
    ) -> Self {
        let (ttl, most) = (Duration::from_secs(config.ttl_seconds), config.max_answer_bytes);
        Layer { shared: Arc::new(Shared { store, key: Box::new(key), ttl, most, clock, observe }) }
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Cached<S>;

    fn layer(&self, inner: S) -> Cached<S> {
        Cached { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A call path whose answers are given again.
#[derive(Clone, Debug)]
pub struct Cached<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Call> for Cached<S>
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
        // The instance that was readied is the one that is called.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let Some(key) = (shared.key)(&call) else {
                return Ok(shared.marked(inner.call(call).await?, CacheStatus::Bypass));
            };
            let status = match shared.look_up(&key, &call).await {
                Found::Reply(reply) => return Ok(shared.told(*reply)),
                Found::Nothing(status) => status,
            };
            let asked = shared.clock.now();
            let (tenant, store) = (call.principal.tenant.clone(), !call.cache.no_store);
            let reply = shared.marked(inner.call(call).await?, status);
            Ok(if store { shared.kept(reply, key, tenant, asked) } else { reply })
        })
    }
}

enum Found {
    Reply(Box<Reply>),
    Nothing(CacheStatus),
}

impl Shared {
    async fn look_up(&self, key: &CacheKey, call: &Call) -> Found {
        if !call.cache.takes(Duration::ZERO) {
            return Found::Nothing(CacheStatus::Bypass);
        }
        let now = self.clock.now();
        let kept = match self.store.get(&call.principal.tenant, key, now).await {
            Ok(kept) => kept,
            // A cache that cannot be reached costs money, not answers.
            Err(error) => {
                tracing::warn!(error = ?error, "the cache cannot be asked");
                None
            }
        };
        let given = kept.and_then(|kept| {
            let age = now.since(kept.asked);
            call.cache.takes(age).then(|| replay(&kept, call.stream, age)).flatten()
        });
        match given {
            Some(reply) => Found::Reply(Box::new(reply)),
            None => Found::Nothing(CacheStatus::Miss),
        }
    }

    fn marked(&self, mut reply: Reply, status: CacheStatus) -> Reply {
        reply.head.cache = Some(status);
        self.told(reply)
    }

    fn told(&self, reply: Reply) -> Reply {
        if let Some(status) = reply.head.cache {
            self.observe.on(Signal::Cache(status));
        }
        reply
    }

    /// The reply, whose answer is kept: one that is whole now, a stream at its end.
    fn kept(&self, reply: Reply, key: CacheKey, tenant: Name, asked: Timestamp) -> Reply {
        let draft = Kept {
            tenant,
            head: reply.head.clone(),
            response: Response::chat(Default::default()),
            asked,
            until: asked.plus(self.ttl),
        };
        let (store, most) = (Arc::clone(&self.store), self.most);
        let keep = move |response: Response| {
            if is_worth_keeping(&draft.head, &response) && response.bytes() <= most {
                store.put(key, Kept { response, ..draft });
            }
        };
        match reply.response().cloned() {
            Some(response) => {
                keep(response);
                reply
            }
            None => reply.map_events(|events| record(events, most, keep)),
        }
    }
}

/// A kept answer as a reply, which costs nothing; none where it cannot be read.
fn replay(kept: &Kept, streamed: bool, age: Duration) -> Option<Reply> {
    let mut reply = match streamed {
        false => Reply::whole(kept.response.clone()),
        true => {
            let event = Event { frame: None, deltas: kept.response.deltas().ok()? };
            Reply::stream(Box::pin(futures::stream::iter([Ok(event)])))
        }
    };
    reply.head = Head { attempts: 0, cache: Some(CacheStatus::Hit { age }), ..kept.head.clone() };
    reply.guard(Box::new(Free));
    Some(reply)
}

/// Tells those outside that the answer cost nothing.
struct Free;

impl Guard for Free {
    fn end(self: Box<Self>, end: &mut End) {
        end.cost = Some(Money::ZERO);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("store", &self.store).field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("shared", &self.shared).finish()
    }
}
