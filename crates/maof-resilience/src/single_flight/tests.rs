//! Who leads, who waits, and what they get.
#![allow(clippy::unwrap_used, clippy::panic)]

mod machine;
mod orders;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use maof_core::{Call, Error, ErrorKind, Reply, Result};
use tower::ServiceExt as _;
use tower_layer::Layer as _;

use super::{Config, Layer, SingleFlight};
use crate::scripted::{Answer, Paused, Scripted, Then, after, answers, call, fails, hangs, streams};

type Flown = SingleFlight<Scripted, Call, Arc<str>, Reply, Error>;

/// Calls under one effect key are the same.
fn flown(max_waiting: u32, script: Vec<Answer>) -> (Flown, Scripted, Arc<AtomicUsize>) {
    let joined = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&joined);
    let key = |call: &Call| call.provenance.effect.clone();
    let on_joined = move || {
        count.fetch_add(1, Ordering::SeqCst);
    };
    let config = Config { max_waiting, ..Config::default() };
    let scripted = Scripted::new(script);
    let layer = Layer::new(&config, Arc::new(Paused), key, on_joined);
    (layer.layer(scripted.clone()), scripted, joined)
}

fn keyed(key: &str, deadline: Option<u64>) -> Call {
    let mut call = call(deadline.map(Duration::from_secs));
    call.provenance.effect = Some(key.into());
    call
}

/// Begins these calls at once; how each went, in words.
async fn ask(service: &Flown, calls: Vec<Call>) -> Vec<Result<String, ErrorKind>> {
    let each = calls.into_iter().map(|call| {
        let service = service.clone();
        async move {
            let reply = service.oneshot(call).await.map_err(|e| e.kind())?;
            let (response, _) = reply.collect().await.map_err(|e| e.kind())?;
            response.text().map_err(|e| e.kind())
        }
    });
    futures::future::join_all(each).await
}

fn slow(answer: Answer) -> Answer {
    after(Duration::from_secs(1), answer)
}

fn ok() -> Result<String, ErrorKind> {
    Ok("ok".to_owned())
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_the_same_are_made_once_and_all_are_answered() {
    let (service, scripted, joined) = flown(10, vec![slow(answers())]);
    let same = || keyed("a", None);
    assert_eq!(ask(&service, vec![same(), same(), same(), keyed("b", None)]).await, vec![ok(); 4]);
    assert_eq!((scripted.calls().len(), joined.load(Ordering::SeqCst)), (2, 2));
    assert_eq!(ask(&service, vec![same()]).await, [ok()]);
    assert_eq!(scripted.calls().len(), 3, "nothing is kept");
}

#[tokio::test(start_paused = true)]
async fn calls_without_a_key_are_made_each_by_itself() {
    let (service, scripted, joined) = flown(10, vec![slow(answers()), slow(answers())]);
    assert_eq!(ask(&service, vec![call(None), call(None)]).await, vec![ok(); 2]);
    assert_eq!((scripted.calls().len(), joined.load(Ordering::SeqCst)), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_upstream_is_shared_a_refusal_of_our_own_is_not() {
    let (service, scripted, _) = flown(10, vec![slow(fails(Error::unavailable("down")))]);
    let both = || vec![keyed("a", None), keyed("a", None)];
    assert_eq!(ask(&service, both()).await, vec![Err(ErrorKind::Unavailable); 2]);
    assert_eq!(scripted.calls().len(), 1);
    let (service, scripted, _) = flown(10, vec![slow(fails(Error::budget_exceeded("its own")))]);
    assert_eq!(ask(&service, both()).await, [Err(ErrorKind::BudgetExceeded), ok()]);
    assert_eq!(scripted.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_for_one_alone() {
    let stream = || slow(streams(Then::Ends));
    let (service, scripted, _) = flown(10, vec![stream(), stream(), stream()]);
    let found = ask(&service, (0..3).map(|_| keyed("a", None)).collect()).await;
    assert_eq!(found, vec![Ok("word".to_owned()); 3]);
    assert_eq!(scripted.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_dropped_hands_over() {
    let (service, scripted, _) = flown(10, vec![hangs(), slow(answers())]);
    let leader = tokio::spawn(service.clone().oneshot(keyed("a", None)));
    tokio::task::yield_now().await;
    let waiting = tokio::spawn({
        let service = service.clone();
        async move { ask(&service, vec![keyed("a", None), keyed("a", None)]).await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(scripted.calls().len(), 1);
    leader.abort();
    assert_eq!(waiting.await.unwrap(), vec![ok(); 2]);
    assert_eq!(scripted.calls().len(), 2, "one of them led, the other went on waiting");
}

#[tokio::test(start_paused = true)]
async fn who_waits_waits_no_longer_than_its_own_deadline() {
    let (service, scripted, _) = flown(10, vec![after(Duration::from_secs(60), answers())]);
    let found = ask(&service, vec![keyed("a", None), keyed("a", Some(5))]).await;
    assert_eq!(found, [ok(), Err(ErrorKind::Timeout)]);
    assert_eq!(scripted.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_wait_than_may() {
    let (service, scripted, joined) = flown(1, vec![slow(answers())]);
    assert_eq!(ask(&service, (0..3).map(|_| keyed("a", None)).collect()).await, vec![ok(); 3]);
    assert_eq!((scripted.calls().len(), joined.load(Ordering::SeqCst)), (2, 1));
}
