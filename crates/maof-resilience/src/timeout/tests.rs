//! What is late has failed, and not before.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use maof_core::{Call, Error, ErrorKind, Retry};
use tower::ServiceExt as _;
use tower_layer::Layer as _;

use super::state::Limit;
use super::{AttemptConfig, Config, DeadlineLayer, Layer};
use crate::scripted::{Answer, Paused, Scripted, Then, after, answers, call, fails, hangs, streams};

const SECOND: Duration = Duration::from_secs(1);

fn limits(attempt_ms: u64, first_token_ms: u64) -> AttemptConfig {
    AttemptConfig { attempt_ms, first_token_ms }
}

async fn attempt(answer: Answer, expect: Result<(), (ErrorKind, Retry)>) {
    let service = Layer::new(&limits(1_000, 500), Arc::new(Paused)).layer(Scripted::new([answer]));
    let found = service.oneshot(call(None)).await;
    assert_eq!(found.map(drop).map_err(|e| (e.kind(), e.retry())), expect);
}

/// F06
#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_late_fails_and_another_endpoint_may_be_asked() {
    attempt(answers(), Ok(())).await;
    attempt(after(Duration::from_millis(999), answers()), Ok(())).await;
    let late = Err((ErrorKind::Timeout, Retry::Elsewhere));
    attempt(after(Duration::from_millis(1001), answers()), late).await;
    attempt(hangs(), late).await;
    attempt(fails(Error::conflict("x")), Err((ErrorKind::Conflict, Retry::Never))).await;
}

/// F07
#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_begin_in_time_fails() {
    for (wait, expect) in [(499, Ok(())), (501, Err(ErrorKind::Timeout))] {
        let layer = Layer::new(&limits(1_000, 500), Arc::new(Paused));
        let begins = after(Duration::from_millis(wait), streams(Then::Hangs));
        let mut call = call(None);
        call.stream = true;
        let found = layer.layer(Scripted::new([begins])).oneshot(call).await;
        assert_eq!(found.map(drop).map_err(|e| e.kind()), expect);
    }
}

#[test]
fn the_limit_is_the_shortest_that_holds() {
    let ms = Duration::from_millis;
    let check = |streamed: bool, left: Option<u64>, expect: Limit| {
        assert_eq!(Limit::of(&limits(1_000, 500), streamed, left.map(ms)), expect);
    };
    check(false, None, Limit::Own(ms(1_000)));
    check(true, None, Limit::Own(ms(500)));
    check(false, Some(5_000), Limit::Own(ms(1_000)));
    check(false, Some(1_010), Limit::Left(ms(990)));
    check(false, Some(200), Limit::Left(ms(190)));
    check(true, Some(530), Limit::Own(ms(500)));
    // Callers in a hurry say nothing of the endpoint.
    check(false, Some(99), Limit::Own(ms(1_000)));
    assert_eq!(Limit::of(&limits(100, 500), true, None), Limit::Own(ms(100)), "an attempt is never longer");
}

#[test]
fn what_is_waited_by_default() {
    let config = Config::default();
    assert_eq!((config.attempt_ms, config.first_token_ms, config.total_ms), (60_000, 12_000, 600_000));
}

/// Asks with a deadline so far away; returns how it went and whether the endpoint was asked.
async fn whole(deadline: Option<Duration>, answer: Answer) -> (Result<(), (ErrorKind, Retry)>, bool) {
    let late = || Error::timed_out("too late").retry_is(Retry::Never);
    let layer = DeadlineLayer::new(|call: &Call| call.deadline, Arc::new(Paused), late);
    let scripted = Scripted::new([answer]);
    let found = layer.layer(scripted.clone()).oneshot(call(deadline)).await;
    (found.map(drop).map_err(|e| (e.kind(), e.retry())), !scripted.calls().is_empty())
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline_with_the_error_that_was_given() {
    let late = Err((ErrorKind::Timeout, Retry::Never));
    assert_eq!(whole(None, after(SECOND * 3600, answers())).await, (Ok(()), true));
    assert_eq!(whole(Some(SECOND), after(SECOND / 2, answers())).await, (Ok(()), true));
    assert_eq!(whole(Some(SECOND), after(SECOND * 2, answers())).await, (late, true));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_comes_after_its_deadline_is_not_passed_on() {
    let late = Err((ErrorKind::Timeout, Retry::Never));
    assert_eq!(whole(Some(Duration::ZERO), answers()).await, (late, false));
}
