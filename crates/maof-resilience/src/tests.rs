//! The layers together, in the order in which an endpoint has them.

use std::sync::Arc;
use std::time::Duration;

use maof_core::{Call, Error, ErrorKind, Origin, Reply};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceBuilder, ServiceExt as _};

use crate::scripted::{Answer, Fixed, Paused, Scripted, answers, call, fails, hangs};
use crate::{Config, circuit_breaker, retry, timeout};

/// Asks an endpoint that does as the script says; its breaker opens after so many failures.
async fn ask(failure_threshold: u32, script: Vec<Answer>) -> (Result<Reply, Error>, usize) {
    let mut config = Config::default();
    config.circuit_breaker.failure_threshold = failure_threshold;
    let scripted = Scripted::new(script);
    let (clock, random) = (Arc::new(Paused), Arc::new(Fixed(0)));
    let layers = ServiceBuilder::new()
        .layer(timeout::DeadlineLayer::new(
            |call: &Call| call.deadline,
            clock.clone(),
            || Error::timed_out("the deadline has passed").origin_is(Origin::Caller),
        ))
        .layer(retry::Layer::new(&config.retry, clock.clone(), random, |_: &Error, _| {}))
        .layer(circuit_breaker::Layer::new(&config.circuit_breaker, clock, |_| {}))
        .layer(timeout::Layer::new(config.timeout.attempt()));
    let service = BoxCloneSyncService::new(layers.into_inner().layer(scripted.clone()));
    let reply = service.oneshot(call(Some(Duration::from_secs(100)))).await;
    (reply, scripted.calls().len())
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_is_given_up_and_made_again() {
    let (reply, calls) = ask(5, vec![hangs(), answers()]).await;
    assert!(reply.is_ok());
    assert_eq!(calls, 2);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_between_attempts_ends_the_retrying() {
    let down = || fails(Error::unavailable("down"));
    let (reply, calls) = ask(2, vec![down(), down(), answers()]).await;
    let error = reply.err().map(|e| (e.kind(), e.origin()));
    assert_eq!((error, calls), (Some((ErrorKind::Unavailable, Origin::Maof)), 2));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_all_attempts() {
    let (reply, calls) = ask(5, vec![hangs(), hangs(), answers()]).await;
    let error = reply.err().map(|e| (e.kind(), e.origin()));
    assert_eq!((error, calls), (Some((ErrorKind::Timeout, Origin::Caller)), 2));
}
