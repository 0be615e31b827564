//! Who is asked after whom, what is returned when nobody answers, and who is told.
#![allow(clippy::unwrap_used, clippy::panic)]

mod hedged;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::future::BoxFuture;
use maof_core::{
    Body, Call, CallId, Candidate, ChatAnswer, ChatRequest, Classify as _, Clock, Decision, DecisionId,
    Error, ErrorKind, Event, Name, Observe, Observed, Outcome, Principal, Reply, Response, Result, Retry,
    Route, Signal, Target, Timestamp,
};
use parking_lot::Mutex;
use tower::ServiceExt as _;
use tower_service::Service;

use super::Fallback;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// Everything that happened, in words.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Observe for Log {
    fn on(&self, signal: Signal<'_>) {
        match signal {
            Signal::FellBack { from, to, error } => self.note(format!("{from} > {to}: {error}")),
            Signal::Hedged { from, to } => self.note(format!("{from} & {to}")),
            _ => {}
        }
    }
}

/// Decides on agents `A0`, `A1` … at endpoints `E0`, `E1` …
#[derive(Debug)]
struct InOrder(u32, Log);

impl Route for InOrder {
    fn decide(&self, _: &Call) -> Result<Decision> {
        let candidate = |n| Candidate {
            agent: name(&format!("A{n}")),
            endpoint: name(&format!("E{n}")),
            instructions: Some(format!("be A{n}").into()),
        };
        let id = DecisionId::from_uuid(uuid::Uuid::from_u128(7));
        Ok(Decision::in_order(id, (0..self.0).map(candidate).collect(), "in order"))
    }

    fn candidates(&self, call: &Call) -> Result<Vec<Candidate>> {
        Ok(self.decide(call)?.candidates().cloned().collect())
    }

    fn observe(&self, observed: Observed<'_>) {
        assert_eq!(observed.decision.uuid().as_u128(), 7);
        let endpoint = &observed.candidate.endpoint;
        let outcome = match &observed.end.outcome {
            Outcome::Complete => "complete",
            Outcome::Failed(failure) => failure.kind.as_str(),
            Outcome::Dropped => "dropped",
        };
        self.1.note(format!("{endpoint}: {outcome}"));
    }
}

#[derive(Debug)]
struct Paused;

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    #[allow(clippy::disallowed_methods, reason = "this is the port, over the runtime's paused time")]
    fn instant(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

type Answer = BoxFuture<'static, Result<Reply>>;

/// An endpoint that answers by script; panics when an instance is called that was not readied.
struct Scripted {
    script: Arc<Mutex<VecDeque<Answer>>>,
    seen: Arc<Mutex<Vec<Call>>>,
    ready: bool,
}

impl Clone for Scripted {
    fn clone(&self) -> Self {
        Scripted { script: Arc::clone(&self.script), seen: Arc::clone(&self.seen), ready: false }
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
        self.seen.lock().push(call);
        self.script.lock().pop_front().unwrap()
    }
}

fn answers() -> Answer {
    Box::pin(async { Ok(Reply::whole(Response::chat(ChatAnswer::text("ok")))) })
}

fn fails(error: Error) -> Answer {
    Box::pin(async { Err(error) })
}

fn streams(items: Vec<Result<Event>>) -> Answer {
    let reply = Reply::stream(Box::pin(futures::stream::iter(items)));
    Box::pin(async { Ok(reply) })
}

fn down() -> Error {
    Error::unavailable("down")
}

/// Endpoints that each give one answer, behind a fallback; the calls that they saw; and what was told.
fn house(script: Vec<Answer>) -> (Fallback<Scripted>, Arc<Mutex<Vec<Call>>>, Log) {
    let (log, seen) = (Log::default(), Arc::default());
    let route = InOrder(u32::try_from(script.len()).unwrap(), log.clone());
    let endpoint = |(n, answer)| {
        let script = Arc::new(Mutex::new(VecDeque::from([answer])));
        (name(&format!("E{n}")), Scripted { script, seen: Arc::clone(&seen), ready: false })
    };
    let services: HashMap<_, _> = script.into_iter().enumerate().map(endpoint).collect();
    let fallback = Fallback::new(Arc::new(route), services, Arc::new(Paused), Arc::new(log.clone()));
    (fallback, seen, log)
}

fn call() -> Call {
    let body = Body::from(ChatRequest::user("hello"));
    Call::new(CallId::from_uuid(uuid::Uuid::nil()), Target::Name(name("any")), Principal::local(), body)
}

/// Who answers of endpoints that fail with these errors, with one that is well behind them.
async fn check(errors: Vec<Error>, expect: Result<u32, ErrorKind>) {
    let script = errors.into_iter().map(fails).chain([answers()]).collect();
    let (fallback, seen, _) = house(script);
    let found = fallback.oneshot(call()).await;
    let found = found.map(|reply| reply.head.chosen.unwrap().fallbacks).map_err(|e| e.kind());
    assert_eq!(found, expect);
    assert_eq!(seen.lock().len() as u32, expect.unwrap_or(0) + 1, "each is asked once");
}

#[tokio::test]
async fn the_next_is_asked_unless_nothing_could_help() {
    check(vec![], Ok(0)).await;
    check(vec![down()], Ok(1)).await;
    check(vec![down(), Error::context_length("x"), Error::budget_exceeded("x")], Ok(3)).await;
    check(vec![Error::circuit_open(Duration::from_secs(1))], Ok(1)).await;
    check(vec![Error::rate_limited("x").retry_is(Retry::After(Duration::from_secs(9)))], Ok(1)).await;
    check(vec![Error::invalid_request("x")], Err(ErrorKind::InvalidRequest)).await;
    check(vec![Error::content_filtered("x")], Err(ErrorKind::ContentFiltered)).await;
}

/// The message of the error that is returned when all endpoints fail with these.
async fn most_telling(errors: Vec<Error>, expect: &str) {
    let (fallback, ..) = house(errors.into_iter().map(fails).collect());
    assert_eq!(fallback.oneshot(call()).await.unwrap_err().message(), expect);
}

#[tokio::test]
async fn when_nobody_answers_the_most_telling_error_is_returned() {
    let rested = || Error::circuit_open(Duration::from_secs(1)).context("rested");
    let rests = "rested: the endpoint failed too often and is rested for about 1000 ms";
    let dear = |message: &'static str| Error::budget_exceeded(message);
    most_telling(vec![Error::unavailable("a"), Error::timed_out("b")], "a").await;
    most_telling(vec![rested(), Error::timed_out("b"), Error::unavailable("c")], "b").await;
    most_telling(vec![Error::timed_out("a"), rested()], "a").await;
    most_telling(vec![dear("a"), rested()], rests).await;
    most_telling(vec![dear("a"), Error::unavailable("b"), dear("c")], "b").await;
    most_telling(vec![dear("a"), dear("b")], "a").await;
    let refused = Error::unavailable("b").retry_is(Retry::Never);
    most_telling(vec![Error::unavailable("a"), refused, Error::unavailable("c")], "b").await;
}

#[tokio::test]
async fn every_fallback_and_every_end_is_told() {
    let (fallback, _, log) = house(vec![fails(down()), fails(Error::budget_exceeded("x")), answers()]);
    let reply = fallback.oneshot(call()).await.unwrap();
    let asked =
        ["E0: unavailable", "A0 > A1: unavailable", "E1: budget_exceeded", "A1 > A2: budget_exceeded"];
    assert_eq!(log.take(), asked);
    reply.collect().await.unwrap();
    assert_eq!(log.take(), ["E2: complete"]);
}

#[tokio::test]
async fn the_last_error_is_no_fallback() {
    let (fallback, _, log) = house(vec![fails(down()), fails(down())]);
    fallback.oneshot(call()).await.unwrap_err();
    assert_eq!(log.take(), ["E0: unavailable", "A0 > A1: unavailable", "E1: unavailable"]);
}

#[tokio::test]
async fn a_stream_that_began_is_never_begun_anew() {
    let broken = streams(vec![Ok(Event::default()), Err(Error::protocol("torn"))]);
    let (fallback, seen, log) = house(vec![broken, answers()]);
    let reply = fallback.oneshot(call()).await.unwrap();
    assert_eq!(reply.collect().await.unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!((seen.lock().len(), log.take()), (1, vec!["E0: protocol".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_before_it_answers_is_told_as_dropped() {
    let (fallback, _, log) = house(vec![fails(down()), Box::pin(std::future::pending())]);
    let given_up = tokio::time::timeout(Duration::from_secs(1), fallback.oneshot(call())).await;
    assert!(given_up.is_err());
    assert_eq!(log.take().last().unwrap(), "E1: dropped");
}

#[tokio::test(start_paused = true)]
async fn nobody_further_is_asked_after_the_deadline() {
    let slow = || -> Answer {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Err(down())
        })
    };
    let (fallback, seen, log) = house(vec![slow(), slow(), answers()]);
    let mut call = call();
    call.deadline = Some(Paused.instant() + Duration::from_millis(1_500));
    assert_eq!(fallback.oneshot(call).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(seen.lock().len(), 2);
    assert_eq!(log.take(), ["E0: unavailable", "A0 > A1: unavailable", "E1: unavailable"]);
}

#[tokio::test]
async fn the_call_and_the_reply_say_who_was_chosen() {
    let (fallback, seen, _) = house(vec![fails(down()), answers()]);
    let reply = fallback.oneshot(call()).await.unwrap();
    let seen = seen.lock();
    let chosen = |n: usize| seen[n].chosen.as_ref().unwrap();
    assert_eq!((chosen(0).endpoint.as_str(), chosen(0).fallbacks), ("E0", 0));
    assert_eq!((chosen(1).endpoint.as_str(), chosen(1).fallbacks), ("E1", 1));
    assert_eq!(chosen(1).instructions.as_deref(), Some("be A1"));
    assert_eq!(reply.head.chosen.as_ref(), Some(chosen(1)));
}

#[tokio::test]
async fn an_endpoint_without_a_service_is_passed_over() {
    let log = Log::default();
    let services = HashMap::from([(
        name("E1"),
        Scripted { script: Arc::new(Mutex::new([answers()].into())), seen: Arc::default(), ready: false },
    )]);
    let route = Arc::new(InOrder(2, log.clone()));
    let fallback = Fallback::new(route, services, Arc::new(Paused), Arc::new(log.clone()));
    assert!(fallback.oneshot(call()).await.is_ok());
    assert_eq!(log.take()[0], "A0 > A1: internal");
}
