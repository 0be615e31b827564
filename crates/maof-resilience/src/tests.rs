//! The layers together, in the order in which an endpoint has them.

use std::sync::Arc;
use std::time::Duration;

use maof_core::{Call, CircuitState, Error, ErrorKind, Origin, Reply, Retry};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceBuilder, ServiceExt as _};

use crate::scripted::{Answer, Fixed, Paused, Scripted, answers, call, fails, hangs};
use crate::{Config, bulkhead, circuit_breaker, rate_limit, retry, timeout};

/// Asks an endpoint that does as the script says, within so many seconds; its breaker opens after so many failures.
async fn ask(
    failure_threshold: u32,
    seconds: u64,
    script: Vec<Answer>,
) -> (Result<Reply, Error>, usize, CircuitState) {
    let mut config = Config::default();
    config.circuit_breaker.failure_threshold = failure_threshold;
    let scripted = Scripted::new(script);
    let (clock, random) = (Arc::new(Paused), Arc::new(Fixed(0)));
    let breaker = circuit_breaker::Layer::new(&config.circuit_breaker, clock.clone(), |_| {});
    let watched = breaker.breaker();
    let layers = ServiceBuilder::new()
        .layer(timeout::DeadlineLayer::new(
            |call: &Call| call.deadline,
            clock.clone(),
            || Error::timed_out("the deadline has passed").origin_is(Origin::Caller),
        ))
        .layer(retry::Layer::new(&config.retry, clock.clone(), random, |_: &Error, _| {}))
        .layer(breaker)
        .layer(rate_limit::Layer::new(&rate_limit::Config::default(), clock.clone(), || {}))
        .layer(bulkhead::Layer::new(&bulkhead::Config::default(), || {}))
        .layer(timeout::Layer::new(&config.timeout.each_attempt(), clock));
    let service = BoxCloneSyncService::new(layers.into_inner().layer(scripted.clone()));
    let reply = service.oneshot(call(Some(Duration::from_secs(seconds)))).await;
    (reply, scripted.calls().len(), watched.state())
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_fails_is_made_again_when_the_rate_limit_allows() {
    let (reply, calls, _) = ask(5, 100, vec![fails(Error::unavailable("down")), answers()]).await;
    assert!(reply.is_ok());
    assert_eq!(calls, 2);
}

/// F06
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_hangs_is_left_after_the_first_attempt() {
    let (reply, calls, _) = ask(5, 600, vec![hangs(), answers()]).await;
    let error = reply.err().map(|e| (e.kind(), e.retry()));
    assert_eq!((error, calls), (Some((ErrorKind::Timeout, Retry::Elsewhere)), 1));
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_between_attempts_ends_the_retrying() {
    let down = || fails(Error::unavailable("down"));
    let (reply, calls, _) = ask(2, 100, vec![down(), down(), answers()]).await;
    let error = reply.err().map(|e| (e.kind(), e.origin()));
    assert_eq!((error, calls), (Some((ErrorKind::Unavailable, Origin::Maof)), 2));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_hangs_until_a_short_deadline_has_failed() {
    let (reply, calls, state) = ask(1, 1, vec![hangs()]).await;
    let error = reply.err().map(|e| (e.kind(), e.origin(), e.retry()));
    assert_eq!((error, calls), (Some((ErrorKind::Timeout, Origin::Provider, Retry::Never)), 1));
    assert_eq!(state, CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_limit_until_its_deadline_is_no_failure_of_the_endpoint() {
    let (first, _, state) = ask(1, 0, vec![hangs()]).await;
    assert_eq!(first.err().map(|e| e.origin()), Some(Origin::Caller));
    assert_eq!(state, CircuitState::Closed);
}
