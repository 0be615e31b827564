//! The layer: what counts, who passes, and what is told.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use maof_core::{CircuitState, Error, ErrorKind, Origin, Parts, Reply, Result, Retry};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use tower_layer::Layer as _;
use tower_service::Service as _;

use crate::circuit_breaker::{Breaker, CircuitBreaker, Config, Layer};
use crate::scripted::{Answer, Paused, Scripted, Then, after, answers, call, fails, hangs, streams};

const OPEN: Duration = Duration::from_secs(60);

fn down() -> Answer {
    fails(Error::unavailable("down"))
}

/// A breaker that opens at the first failure, over a service that does as the script says, then is well.
fn service(script: impl IntoIterator<Item = Answer>) -> (CircuitBreaker<Scripted>, Breaker, Scripted) {
    let config = Config { failure_threshold: 1, ..Config::default() };
    let layer = Layer::new(&config, Arc::new(Paused), |_| {});
    let scripted = Scripted::new(script);
    (layer.layer(scripted.clone()), layer.breaker(), scripted)
}

/// The state after one call with this answer, which is read to its end.
async fn check(answer: Answer, expect: CircuitState) {
    let (service, breaker, _) = service([answer]);
    if let Ok(reply) = service.oneshot(call(None)).await {
        assert_eq!(breaker.state(), CircuitState::Closed, "a reply is not judged before its end");
        let _ = reply.collect().await;
    }
    assert_eq!(breaker.state(), expect);
}

#[tokio::test(start_paused = true)]
async fn only_faults_of_the_endpoint_count() {
    let provider = Origin::Provider;
    check(answers(), CircuitState::Closed).await;
    check(down(), CircuitState::Open).await;
    check(fails(Error::timed_out("late")), CircuitState::Open).await;
    check(fails(Error::rate_limited("slower").origin_is(provider)), CircuitState::Open).await;
    check(fails(Error::rate_limited("our own limit")), CircuitState::Closed).await;
    check(fails(Error::budget_exceeded("x")), CircuitState::Closed).await;
    check(fails(Error::invalid_request("x").origin_is(provider)), CircuitState::Closed).await;
    check(fails(Error::context_length("x")), CircuitState::Closed).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_judged_by_its_end() {
    check(streams(Then::Ends), CircuitState::Closed).await;
    check(streams(Then::Fails(Error::protocol("torn"))), CircuitState::Open).await;
    check(streams(Then::Fails(Error::content_filtered("x"))), CircuitState::Closed).await;
}

/// Opens a breaker and lets it rest; the script is for the calls that follow.
async fn rested(script: Vec<Answer>) -> (CircuitBreaker<Scripted>, Breaker, Scripted) {
    let (mut service, breaker, scripted) = service([down()].into_iter().chain(script));
    service.ready().await.unwrap().call(call(None)).await.unwrap_err();
    tokio::time::sleep(OPEN).await;
    (service, breaker, scripted)
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_refuses_without_asking_and_sends_elsewhere() {
    let (mut service, breaker, scripted) = service([down()]);
    service.ready().await.unwrap().call(call(None)).await.unwrap_err();
    let error = service.ready().await.unwrap().call(call(None)).await.unwrap_err();
    let facts = (error.kind(), error.origin(), error.retry());
    assert_eq!(facts, (ErrorKind::Unavailable, Origin::Maof, Retry::Elsewhere));
    assert_eq!((scripted.calls().len(), breaker.state()), (1, CircuitState::Open));
}

#[tokio::test(start_paused = true)]
async fn of_two_hundred_callers_of_a_half_open_breaker_three_probe() {
    let slow = || after(Duration::from_secs(1), answers());
    let (service, breaker, scripted) = rested((0..3).map(|_| slow()).collect()).await;
    let mut callers: JoinSet<Result<Reply>> = JoinSet::new();
    for _ in 0..200 {
        callers.spawn(service.clone().oneshot(call(None)));
    }
    let found = callers.join_all().await;
    assert_eq!(found.iter().filter(|reply| reply.is_ok()).count(), 3);
    assert_eq!(scripted.calls().len(), 1 + 3, "the failure, and the probes");
    assert_eq!(breaker.state(), CircuitState::HalfOpen, "no reply has ended yet");
    drop(found);
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn of_two_hundred_threads_at_a_half_open_breaker_three_pass() {
    let config = Config { failure_threshold: 1, open_ms: 1, ..Config::default() };
    for _ in 0..20 {
        let breaker = Breaker::new(&config, Arc::new(Later::default()), |_| {});
        breaker.admit().unwrap().failure();
        let (start, end) = (Barrier::new(200), Barrier::new(200));
        let passed = std::thread::scope(|scope| {
            let ask = || {
                start.wait();
                let permit = breaker.admit();
                end.wait();
                permit.is_ok()
            };
            let threads: Vec<_> = (0..200).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).filter(|passed| *passed).count()
        });
        assert_eq!(passed, 3);
    }
}

/// Each look at this clock is a second later.
#[derive(Debug, Default)]
struct Later(Mutex<Duration>);

impl maof_core::Clock for Later {
    fn now(&self) -> maof_core::Timestamp {
        maof_core::Timestamp::default()
    }

    fn instant(&self) -> std::time::Instant {
        static BEGAN: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(|| maof_core::Clock::instant(&Paused));
        let mut passed = self.0.lock();
        *passed += Duration::from_secs(1);
        *BEGAN + *passed
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_is_given_back() {
    let script = vec![hangs(), streams(Then::Hangs), fails(Error::budget_exceeded("x"))];
    let (mut service, breaker, _) = rested(script).await;
    let never = service.ready().await.unwrap().call(call(None));
    assert!(tokio::time::timeout(Duration::from_secs(1), never).await.is_err(), "dropped before a reply");
    let reply = service.ready().await.unwrap().call(call(None)).await.unwrap();
    let (_, Parts::Stream(events)) = reply.into_parts() else { panic!("a stream") };
    drop(events);
    service.ready().await.unwrap().call(call(None)).await.unwrap_err();
    for _ in 0..3 {
        drop(breaker.admit().unwrap());
    }
    assert_eq!(breaker.state(), CircuitState::HalfOpen, "nothing was learnt");
    let probes = (0..4).map(|_| breaker.admit()).collect::<Vec<_>>();
    assert_eq!(probes.iter().filter(|probe| probe.is_ok()).count(), 3, "all three were given back");
}

#[tokio::test(start_paused = true)]
async fn every_change_is_told_once_and_in_order() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let config = Config { failure_threshold: 2, ..Config::default() };
    let breaker = Breaker::new(&config, Arc::new(Paused), move |state| tell.lock().push(state));
    breaker.admit().unwrap().failure();
    breaker.admit().unwrap().failure();
    tokio::time::sleep(OPEN).await;
    breaker.admit().unwrap().failure();
    tokio::time::sleep(OPEN).await;
    for _ in 0..3 {
        breaker.admit().unwrap().success();
    }
    use CircuitState::{Closed, HalfOpen, Open};
    assert_eq!(*told.lock(), [Open, HalfOpen, Open, HalfOpen, Closed]);
}

#[tokio::test(start_paused = true)]
async fn who_is_told_of_a_change_may_look_at_the_state() {
    let watched: Arc<Mutex<Option<Breaker>>> = Arc::default();
    let (look, seen) = (Arc::clone(&watched), Arc::new(Mutex::new(None)));
    let see = Arc::clone(&seen);
    let config = Config { failure_threshold: 1, ..Config::default() };
    let breaker = Breaker::new(&config, Arc::new(Paused), move |_| {
        *see.lock() = look.lock().as_ref().map(Breaker::state);
    });
    *watched.lock() = Some(breaker.clone());
    breaker.admit().unwrap().failure();
    assert_eq!(*seen.lock(), Some(CircuitState::Open));
}
