//! The limit by itself, against a simulated service, and the layer.
#![allow(clippy::unwrap_used, clippy::panic)]

mod machine;
mod orders;
mod overload;
mod simulation;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use maof_core::{Call, Error, ErrorKind, Origin, Retry};
use tower::ServiceExt as _;
use tower_layer::Layer as _;

use super::{Config, Door, Layer, LoadShed};
use crate::scripted::{Answer, Paused, Scripted, Then, call, fails, hangs, streams};

fn shed(calls: u32, script: Vec<Answer>) -> (LoadShed<Scripted, Call>, Door, Scripted, Arc<AtomicUsize>) {
    let config = Config { min_calls: calls, max_calls: calls, retry_after_ms: 700, ..Config::default() };
    let door = Door::new(&config, Arc::new(Paused), |_| {});
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let on_shed = move || {
        count.fetch_add(1, Ordering::SeqCst);
    };
    let layer = Layer::new(door.clone(), |call: &Call| call.provenance.step.is_some(), on_shed);
    let scripted = Scripted::new(script);
    (layer.layer(scripted.clone()), door, scripted, refused)
}

#[tokio::test(start_paused = true)]
async fn who_is_too_many_is_refused_at_once_and_told_when_to_come_again() {
    let (service, _, scripted, refused) = shed(1, vec![]);
    let first = service.clone().oneshot(call(None)).await.unwrap();
    let began = tokio::time::Instant::now();
    let error = service.clone().oneshot(call(None)).await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::ZERO);
    let facts = (error.kind(), error.origin(), error.retry());
    let later = Retry::After(Duration::from_millis(700));
    assert_eq!(facts, (ErrorKind::Unavailable, Origin::Maof, later));
    assert_eq!((scripted.calls().len(), refused.load(Ordering::SeqCst)), (1, 1));
    drop(first);
    assert!(service.oneshot(call(None)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_before_is_never_refused_but_counted() {
    let (service, door, ..) = shed(1, vec![]);
    let mut exempt = call(None);
    exempt.provenance.step = Some("think".into());
    let ask = |call: Call| service.clone().oneshot(call);
    let (one, two) = (ask(exempt.clone()).await.unwrap(), ask(exempt).await.unwrap());
    assert_eq!(door.load_percent(), 200);
    assert!(ask(call(None)).await.is_err());
    drop((one, two));
    assert!(ask(call(None)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn whatever_ends_a_call_it_has_left() {
    let failing = fails(Error::unavailable("down"));
    let script = vec![streams(Then::Hangs), failing, hangs(), streams(Then::Ends)];
    let (service, door, ..) = shed(1, script);
    let ask = || service.clone().oneshot(call(None));
    let stream = ask().await.unwrap();
    assert_eq!(door.load_percent(), 100, "its stream has not ended");
    drop(stream);
    assert_eq!(ask().await.unwrap_err().message(), "down");
    assert!(tokio::time::timeout(Duration::from_secs(1), ask()).await.is_err());
    assert!(ask().await.unwrap().collect().await.is_ok());
    assert_eq!(door.load_percent(), 0);
}
