//! When to ask again, after which pause, and when to stop.
#![allow(clippy::unwrap_used)]

mod budget;

use std::sync::Arc;
use std::time::Duration;

use maof_core::{Classify as _, Error, ErrorKind, Retry};
use parking_lot::Mutex;
use proptest::prelude::*;
use tower::ServiceExt as _;
use tower_layer::Layer as _;
use tower_service::Service as _;

use super::state::Attempts;
use super::{Config, Layer};
use crate::scripted::{Answer, Fixed, Paused, Scripted, Then, answers, call, fails, streams};

/// The random port's largest number makes every pause as long as it can be.
const LONGEST: Fixed = Fixed(u64::MAX);
const SHORTEST: Fixed = Fixed(0);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn config(max_attempts: u32) -> Config {
    Config {
        max_attempts,
        initial_interval_ms: 100,
        max_interval_ms: 500,
        multiplier: 2.0,
        max_wait_ms: 2_000,
    }
}

/// The pauses, in whole milliseconds, that follow on errors which say these things of retrying.
fn check(script: &[Retry], left: Option<Duration>, random: &Fixed, expect: &[Option<u64>]) {
    let config = config(6);
    let mut attempts = Attempts::first(&config);
    let pauses: Vec<_> = script.iter().map(|retry| attempts.again(*retry, random, left)).collect();
    // A whole interval's pause may be a nanosecond over or under it.
    let rounded = |pause: Duration| u64::try_from((pause + Duration::from_micros(1)).as_millis()).unwrap();
    let found: Vec<_> = pauses.into_iter().map(|pause| pause.map(rounded)).collect();
    assert_eq!(found, expect, "{script:?}, {left:?} left");
}

#[test]
fn pauses_double_up_to_a_limit_until_the_attempts_are_used_up() {
    let expect = [Some(100), Some(200), Some(400), Some(500), Some(500), None];
    check(&[Retry::Here; 6], None, &LONGEST, &expect);
}

#[test]
fn jitter_reaches_from_nothing_to_the_whole_interval() {
    check(&[Retry::Here; 3], None, &SHORTEST, &[Some(0), Some(0), Some(0)]);
    check(&[Retry::Here; 3], None, &Fixed(u64::MAX / 2), &[Some(50), Some(100), Some(200)]);
}

#[test]
fn a_pause_that_the_upstream_asks_for_is_kept_unless_it_is_too_long() {
    check(&[Retry::After(ms(1_500))], None, &SHORTEST, &[Some(1_500)]);
    check(&[Retry::After(ms(2_000))], None, &LONGEST, &[Some(2_100)]);
    check(&[Retry::After(ms(2_001))], None, &SHORTEST, &[None]);
    check(&[Retry::After(Duration::MAX)], None, &SHORTEST, &[None]);
}

#[test]
fn what_cannot_succeed_here_is_not_asked_again() {
    check(&[Retry::Never], None, &SHORTEST, &[None]);
    check(&[Retry::Elsewhere], None, &SHORTEST, &[None]);
}

#[test]
fn no_pause_reaches_to_the_deadline() {
    check(&[Retry::Here], Some(ms(101)), &LONGEST, &[Some(100)]);
    check(&[Retry::Here], Some(ms(100)), &LONGEST, &[None]);
    check(&[Retry::Here], Some(Duration::ZERO), &SHORTEST, &[None]);
    check(&[Retry::After(ms(1_000))], Some(ms(999)), &SHORTEST, &[None]);
}

proptest! {
    #[test]
    fn every_pause_is_within_its_bounds(
        initial in 1..5_000u64, more in 0..100_000u64, multiplier in 1.0..10.0f64, seed: u64, asked in 0..3_000u64,
    ) {
        let max_interval_ms = initial + more;
        let config = Config { max_attempts: 20, initial_interval_ms: initial, max_interval_ms, multiplier, max_wait_ms: 3_000 };
        prop_assert!(config.validate().is_ok());
        let mut attempts = Attempts::first(&config);
        for _ in 1..20 {
            let pause = attempts.again(Retry::After(ms(asked)), &Fixed(seed), None).unwrap();
            prop_assert!(pause >= ms(asked));
            prop_assert!(pause <= ms(asked + max_interval_ms));
        }
        prop_assert_eq!(attempts.again(Retry::Here, &Fixed(seed), None), None);
        prop_assert_eq!(attempts.number(), 20);
    }
}

/// What the script's service is asked, and what comes of it.
async fn run(
    max_attempts: u32,
    deadline: Option<Duration>,
    script: Vec<Answer>,
) -> (Result<(), ErrorKind>, Vec<(u32, Duration)>, Vec<u32>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let on_retry = move |_: &Error, attempt: u32| tell.lock().push(attempt);
    let layer = Layer::new(&config(max_attempts), Arc::new(Paused), Arc::new(LONGEST), on_retry);
    let scripted = Scripted::new(script);
    let found = layer.layer(scripted.clone()).oneshot(call(deadline)).await;
    let told = told.lock().clone();
    (found.map(drop).map_err(|e| e.kind()), scripted.calls(), told)
}

fn down() -> Answer {
    fails(Error::unavailable("down"))
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_recovers_is_asked_until_it_answers() {
    let (found, calls, told) = run(3, None, vec![down(), down(), answers()]).await;
    assert_eq!(found, Ok(()));
    assert_eq!(calls.iter().map(|c| c.0).collect::<Vec<_>>(), [1, 2, 3], "each attempt has its number");
    assert!(calls[1].1 >= ms(100) && calls[1].1 < ms(110), "{calls:?}");
    assert!(calls[2].1 >= ms(300) && calls[2].1 < ms(320), "{calls:?}");
    assert_eq!(told, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_last_error_is_returned_when_the_attempts_are_used_up() {
    let script = vec![down(), down(), fails(Error::protocol("torn")), answers()];
    let (found, calls, told) = run(3, None, script).await;
    assert_eq!((found, calls.len(), told), (Err(ErrorKind::Protocol), 3, vec![1, 2]));
}

#[tokio::test(start_paused = true)]
async fn one_attempt_means_no_retry() {
    let (found, calls, told) = run(1, None, vec![down()]).await;
    assert_eq!((found, calls.len(), told), (Err(ErrorKind::Unavailable), 1, vec![]));
}

#[tokio::test(start_paused = true)]
async fn an_error_that_no_retry_helps_is_returned_at_once() {
    for (error, kind) in [
        (Error::invalid_request("x"), ErrorKind::InvalidRequest),
        (Error::budget_exceeded("x"), ErrorKind::BudgetExceeded),
        (Error::rate_limited("x").retry_is(Retry::After(ms(2_001))), ErrorKind::RateLimited),
        (Error::timeout(ms(1)), ErrorKind::Timeout),
    ] {
        let (found, calls, told) = run(3, None, vec![fails(error)]).await;
        assert_eq!((found, calls.len(), told), (Err(kind), 1, vec![]));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_retried_that_could_not_begin_before_the_deadline() {
    let (found, calls, _) = run(3, Some(ms(250)), vec![down(), down(), answers()]).await;
    assert_eq!((found, calls.len()), (Err(ErrorKind::Unavailable), 2), "the second pause would be too long");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_began_is_not_asked_for_again() {
    let (found, calls, _) = run(3, None, vec![streams(Then::Fails(Error::unavailable("cut")))]).await;
    assert_eq!((found, calls.len()), (Ok(()), 1));
}

#[tokio::test(start_paused = true)]
async fn a_service_can_be_called_again_after_a_call() {
    let layer = Layer::new(&config(3), Arc::new(Paused), Arc::new(SHORTEST), |_: &Error, _| {});
    let mut service = layer.layer(Scripted::new([down(), answers(), down(), answers()]));
    for _ in 0..2 {
        assert!(service.ready().await.unwrap().call(call(None)).await.is_ok());
    }
}
