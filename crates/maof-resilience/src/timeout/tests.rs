//! What is late has failed, and not before.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use maof_core::{Call, Error, ErrorKind, Retry};
use tower::ServiceExt as _;
use tower_layer::Layer as _;

use super::{DeadlineLayer, Layer};
use crate::scripted::{Answer, Paused, Scripted, after, answers, call, fails, hangs};

const SECOND: Duration = Duration::from_secs(1);

async fn attempt(answer: Answer, expect: Result<(), (ErrorKind, Retry)>) {
    let service = Layer::new(SECOND).layer(Scripted::new([answer]));
    let found = service.oneshot(call(None)).await;
    assert_eq!(found.map(drop).map_err(|e| (e.kind(), e.retry())), expect);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_late_fails_and_may_be_retried() {
    attempt(answers(), Ok(())).await;
    attempt(after(Duration::from_millis(999), answers()), Ok(())).await;
    attempt(after(Duration::from_millis(1001), answers()), Err((ErrorKind::Timeout, Retry::Here))).await;
    attempt(hangs(), Err((ErrorKind::Timeout, Retry::Here))).await;
    attempt(fails(Error::conflict("x")), Err((ErrorKind::Conflict, Retry::Never))).await;
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
