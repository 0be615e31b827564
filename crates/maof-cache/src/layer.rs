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
use parking_lot::Mutex;
use tower_service::Service;

use crate::config::Config;
use crate::record::record;
use crate::semantic::{self, Questions};
use crate::worth::is_worth_keeping;

/// The key of a call; none where its answer is not given again.
type KeyOf = dyn Fn(&Call) -> Option<CacheKey> + Send + Sync;

/// The words of a question, and the key of all else that may change its answer; none where only the very same question is
/// answered. They must be those of a call that has a key.
type WordsOf = dyn Fn(&Call) -> Option<(CacheKey, String)> + Send + Sync;

/// What is known of questions in other words.
struct Worded {
    words: Box<WordsOf>,
    questions: Arc<Mutex<Questions>>,
}

/// Makes [`Cached`] services, which share what is kept.
#[derive(Clone)]
pub struct Layer {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Cache>,
    key: Box<KeyOf>,
    worded: Option<Worded>,
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
        let (key, worded) = (Box::new(key), None);
        Layer { shared: Arc::new(Shared { store, key, worded, ttl, most, clock, observe }) }
    }

    /// Gives answers to questions in other words as well, which `questions` remembers.
    #[must_use]
    pub fn worded(
        self,
        questions: Arc<Mutex<Questions>>,
        words: impl Fn(&Call) -> Option<(CacheKey, String)> + Send + Sync + 'static,
    ) -> Self {
        let worded = Some(Worded { words: Box::new(words), questions });
        match Arc::try_unwrap(self.shared) {
            Ok(shared) => Layer { shared: Arc::new(Shared { worded, ..shared }) },
            // It is made here and was given to nobody yet.
            Err(shared) => Layer { shared },
        }
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
            let words = shared.worded.as_ref().and_then(|worded| (worded.words)(&call));
            let status = match shared.look_up(&key, words.as_ref(), &call).await {
                Found::Reply(reply) => return Ok(shared.told(*reply)),
                Found::Nothing(status) => status,
            };
            let asked = shared.clock.now();
            let (tenant, store) = (call.principal.tenant.clone(), !call.cache.no_store);
            let reply = shared.marked(inner.call(call).await?, status);
            Ok(if store { shared.kept(reply, key, words, tenant, asked) } else { reply })
        })
    }
}

enum Found {
    Reply(Box<Reply>),
    Nothing(CacheStatus),
}

impl Shared {
    async fn look_up(&self, key: &CacheKey, words: Option<&(CacheKey, String)>, call: &Call) -> Found {
        if !call.cache.takes(Duration::ZERO) {
            return Found::Nothing(CacheStatus::Bypass);
        }
        if let Some(reply) = self.given(key, call, |age| CacheStatus::Hit { age }).await {
            return Found::Reply(Box::new(reply));
        }
        if let (Some(worded), Some((scope, text))) = (&self.worded, words) {
            let found = worded.questions.lock().find(scope, text);
            if let Some(semantic::Found { key, percent }) = found {
                match self.given(&key, call, |age| CacheStatus::Similar { age, percent }).await {
                    Some(reply) => return Found::Reply(Box::new(reply)),
                    // Most probably its answer is kept no longer.
                    None => worded.questions.lock().remove(scope, &key),
                }
            }
        }
        Found::Nothing(CacheStatus::Miss)
    }

    /// What is kept under a key, as a reply, where the call takes it.
    async fn given(
        &self,
        key: &CacheKey,
        call: &Call,
        status: impl FnOnce(Duration) -> CacheStatus,
    ) -> Option<Reply> {
        let now = self.clock.now();
        let kept = match self.store.get(&call.principal.tenant, key, now).await {
            Ok(kept) => kept,
            // A cache that cannot be reached costs money, not answers.
            Err(error) => {
                tracing::warn!(error = ?error, "the cache cannot be asked");
                None
            }
        };
        let kept = kept?;
        let age = now.since(kept.asked);
        call.cache.takes(age).then(|| replay(&kept, call.stream, status(age))).flatten()
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
    fn kept(
        &self,
        reply: Reply,
        key: CacheKey,
        words: Option<(CacheKey, String)>,
        tenant: Name,
        asked: Timestamp,
    ) -> Reply {
        let draft = Kept {
            tenant,
            head: reply.head.clone(),
            response: Response::chat(Default::default()),
            asked,
            until: asked.plus(self.ttl),
        };
        let (store, most) = (Arc::clone(&self.store), self.most);
        let questions = self.worded.as_ref().map(|worded| Arc::clone(&worded.questions));
        let keep = move |response: Response| {
            if is_worth_keeping(&draft.head, &response) && response.bytes() <= most {
                store.put(key, Kept { response, ..draft });
                if let (Some(questions), Some((scope, text))) = (questions, words) {
                    questions.lock().add(scope, &text, key);
                }
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
fn replay(kept: &Kept, streamed: bool, status: CacheStatus) -> Option<Reply> {
    let mut reply = match streamed {
        false => Reply::whole(kept.response.clone()),
        true => {
            let event = Event { frame: None, deltas: kept.response.deltas().ok()? };
            Reply::stream(Box::pin(futures::stream::iter([Ok(event)])))
        }
    };
    reply.head = Head { attempts: 0, cache: Some(status), ..kept.head.clone() };
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
