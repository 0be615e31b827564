//! For tests: a clock over tokio's paused time, a fixed random number, and a service that answers by script.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::future::BoxFuture;
use maof_core::{
    Body, Call, CallId, ChatAnswer, ChatRequest, Clock, Delta, Error, Event, Principal, Random, Reply,
    Response, Result, Target, Timestamp,
};
use parking_lot::Mutex;
use tower_service::Service;

/// Tells the runtime's time, which stands still but for timers.
#[derive(Debug)]
pub(crate) struct Paused;

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    #[allow(clippy::disallowed_methods, reason = "this is the port, over the runtime's paused time")]
    fn instant(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// Stands still until it is moved, also where there is no runtime.
#[derive(Debug)]
pub(crate) struct Moved(Mutex<Instant>);

impl Moved {
    #[allow(
        clippy::disallowed_methods,
        reason = "an `Instant` can be had from nowhere else; it only anchors"
    )]
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Moved(Mutex::new(Instant::now())))
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock() += by;
    }
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn instant(&self) -> Instant {
        *self.0.lock()
    }
}

/// Always the same number.
#[derive(Debug)]
pub(crate) struct Fixed(pub(crate) u64);

impl Random for Fixed {
    fn next_u64(&self) -> u64 {
        self.0
    }
}

/// What the service does with one call.
pub(crate) type Answer = BoxFuture<'static, Result<Reply>>;

pub(crate) fn answers() -> Answer {
    Box::pin(async { Ok(Reply::whole(Response::chat(ChatAnswer::text("ok")))) })
}

pub(crate) fn fails(error: Error) -> Answer {
    Box::pin(async { Err(error) })
}

pub(crate) fn hangs() -> Answer {
    Box::pin(std::future::pending())
}

pub(crate) fn after(pause: Duration, answer: Answer) -> Answer {
    Box::pin(async move {
        tokio::time::sleep(pause).await;
        answer.await
    })
}

/// A stream of one word, which then ends, fails or stays silent.
pub(crate) fn streams(then: Then) -> Answer {
    let text = Delta::Text { choice: 0, text: "word".into() };
    let word: Result<Event> = Ok(Event { frame: None, deltas: vec![text] });
    let rest: Pin<Box<dyn futures::Stream<Item = Result<Event>> + Send>> = match then {
        Then::Ends => Box::pin(futures::stream::empty()),
        Then::Fails(error) => Box::pin(futures::stream::iter([Err(error)])),
        Then::Hangs => Box::pin(futures::stream::pending()),
    };
    let reply = Reply::stream(Box::pin(futures::StreamExt::chain(futures::stream::iter([word]), rest)));
    Box::pin(async { Ok(reply) })
}

#[derive(Debug)]
pub(crate) enum Then {
    Ends,
    Fails(Error),
    Hangs,
}

/// Does what its script says, then answers well. Notes when each attempt came, and panics when an instance
/// is called that was not readied.
#[derive(Debug)]
pub(crate) struct Scripted {
    shared: Arc<Shared>,
    ready: bool,
}

struct Shared {
    script: Mutex<VecDeque<Answer>>,
    calls: Mutex<Vec<(u32, Instant)>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("calls", &self.calls).finish_non_exhaustive()
    }
}

impl Scripted {
    pub(crate) fn new(script: impl IntoIterator<Item = Answer>) -> Self {
        let script = Mutex::new(script.into_iter().collect());
        Scripted { shared: Arc::new(Shared { script, calls: Mutex::default() }), ready: false }
    }

    /// The number of each attempt, and how long after the first one it came.
    pub(crate) fn calls(&self) -> Vec<(u32, Duration)> {
        let calls = self.shared.calls.lock();
        calls.iter().map(|(number, at)| (*number, *at - calls[0].1)).collect()
    }
}

impl Clone for Scripted {
    fn clone(&self) -> Self {
        Scripted { shared: Arc::clone(&self.shared), ready: false }
    }
}

impl Service<Call> for Scripted {
    type Response = Reply;
    type Error = Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Answer {
        assert!(std::mem::take(&mut self.ready), "an instance was called that was not readied");
        self.shared.calls.lock().push((call.attempt, Paused.instant()));
        self.shared.script.lock().pop_front().unwrap_or_else(answers)
    }
}

/// A call, to be answered within `deadline` from now.
pub(crate) fn call(deadline: Option<Duration>) -> Call {
    let body = Body::from(ChatRequest::user("hello"));
    let id = CallId::from_uuid(uuid::Uuid::nil());
    let mut call = Call::new(id, Target::Name("analyst".parse().unwrap()), Principal::local(), body);
    call.deadline = deadline.map(|limit| Paused.instant() + limit);
    call
}
