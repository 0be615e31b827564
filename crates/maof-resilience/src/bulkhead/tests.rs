//! So many at once, so many waiting, and not for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use maof_core::{Error, ErrorKind, Origin, Retry};
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use tower_layer::Layer as _;

use super::{Bulkhead, Config, Layer};
use crate::scripted::{Answer, Scripted, Then, after, answers, call, fails, hangs, streams};

fn bulkhead(
    config: (u32, u32, u64),
    script: Vec<Answer>,
) -> (Bulkhead<Scripted>, Scripted, Arc<AtomicUsize>) {
    let (max_concurrent, max_queue, max_wait_ms) = config;
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let layer = Layer::new(&Config { max_concurrent, max_queue, max_wait_ms }, move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let scripted = Scripted::new(script);
    (layer.layer(scripted.clone()), scripted, refused)
}

fn seconds(n: u64) -> Answer {
    after(Duration::from_secs(n), answers())
}

/// Asks, and reads the reply to its end, if there is one.
fn read(service: &Bulkhead<Scripted>) -> impl Future<Output = bool> + Send + use<> {
    let asked = service.clone().oneshot(call(None));
    async move { asked.await.is_ok() }
}

/// Asks so many times at once; how many were answered.
async fn ask(service: &Bulkhead<Scripted>, times: usize) -> usize {
    let mut callers = JoinSet::new();
    for _ in 0..times {
        callers.spawn(read(service));
    }
    callers.join_all().await.into_iter().filter(|read| *read).count()
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_place_waits_and_who_finds_no_room_to_wait_is_refused() {
    let (service, scripted, refused) = bulkhead((2, 3, 10_000), (0..5).map(|_| seconds(1)).collect());
    assert_eq!(ask(&service, 9).await, 5);
    assert_eq!(refused.load(Ordering::SeqCst), 4);
    let began: Vec<_> = scripted.calls().iter().map(|(_, at)| at.as_secs()).collect();
    assert_eq!(began, [0, 0, 1, 1, 2], "two at a time");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_allowed_and_a_refusal_is_no_fault_of_the_endpoint() {
    let (service, _, refused) = bulkhead((1, 5, 1_500), vec![seconds(60)]);
    let first = tokio::spawn(read(&service));
    tokio::task::yield_now().await;
    let began = tokio::time::Instant::now();
    let error = service.clone().oneshot(call(None)).await.unwrap_err();
    assert_eq!(began.elapsed().as_millis(), 1_500);
    let facts = (error.kind(), error.origin(), error.retry());
    assert_eq!(facts, (ErrorKind::Unavailable, Origin::Maof, Retry::Elsewhere));
    assert_eq!(refused.load(Ordering::SeqCst), 1);
    assert!(first.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_place_is_held_until_the_stream_ends_and_given_back_by_whatever_ends_it() {
    let failing = || fails(Error::unavailable("down"));
    let script = vec![streams(Then::Hangs), failing(), hangs(), streams(Then::Ends)];
    let (service, ..) = bulkhead((1, 0, 0), script);
    let ask = || service.clone().oneshot(call(None));
    let stream = ask().await.unwrap();
    assert!(ask().await.is_err(), "its stream has not ended");
    drop(stream);
    assert_eq!(ask().await.unwrap_err().message(), "down");
    assert!(tokio::time::timeout(Duration::from_secs(1), ask()).await.is_err(), "dropped on its way");
    let read = ask().await.unwrap().collect().await.unwrap();
    assert!(read.1.is_complete());
    assert!(ask().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_leaves_room() {
    let (service, ..) = bulkhead((1, 1, 10_000), vec![seconds(5)]);
    let first = tokio::spawn(read(&service));
    tokio::task::yield_now().await;
    let patience = Duration::from_secs(1);
    assert!(tokio::time::timeout(patience, service.clone().oneshot(call(None))).await.is_err());
    assert!(service.oneshot(call(None)).await.is_ok(), "its room is free");
    assert!(first.await.unwrap());
}
