//! When calls pass, and which are refused.

use std::sync::Arc;
use std::time::Duration;

use maof_core::{Clock as _, ErrorKind, Origin, Retry};
use shuttle::check_random;
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use tower_layer::Layer as _;

use super::{Config, Layer, Limiter};
use crate::scripted::{Moved, Paused, Scripted, call};

fn limiter(requests: u32, per_ms: u64, burst: u32, max_wait_ms: u64) -> Limiter {
    Limiter::new(&Config { requests, per_ms, burst, max_wait_ms }, Arc::new(Paused))
}

/// So many callers at once; when each that passed did so, in milliseconds, and how many were refused at once.
async fn crowd(limiter: &Limiter, callers: usize) -> (Vec<u128>, usize) {
    let began = tokio::time::Instant::now();
    let mut crowd = JoinSet::new();
    for _ in 0..callers {
        let limiter = limiter.clone();
        crowd.spawn(async move { (limiter.pass().await, began.elapsed().as_millis()) });
    }
    let found = crowd.join_all().await;
    let mut passed: Vec<_> = found.iter().filter(|(pass, _)| pass.is_ok()).map(|(_, at)| *at).collect();
    passed.sort_unstable();
    let refused = found.iter().filter(|(pass, at)| pass.is_err() && *at == 0).count();
    assert_eq!(passed.len() + refused, callers, "who is refused is refused at once");
    (passed, refused)
}

#[tokio::test(start_paused = true)]
async fn requests_are_spread_evenly_over_time() {
    let limiter = limiter(10, 1_000, 1, 60_000);
    let (passed, _) = crowd(&limiter, 5).await;
    let late = |(n, at): (usize, &u128)| *at as i128 - n as i128 * 100;
    assert!(passed.iter().enumerate().map(late).all(|late| (0..=5).contains(&late)), "{passed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_at_once_after_a_pause() {
    let limiter = limiter(10, 1_000, 3, 0);
    assert_eq!(crowd(&limiter, 5).await, (vec![0; 3], 2));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(crowd(&limiter, 5).await, (vec![0; 2], 3));
}

#[tokio::test(start_paused = true)]
async fn who_would_wait_too_long_is_refused_at_once() {
    let limiter = limiter(10, 1_000, 1, 250);
    let (passed, refused) = crowd(&limiter, 10).await;
    assert_eq!((passed.len(), refused), (3, 7), "{passed:?}");
    assert!(passed.iter().all(|at| *at <= 250), "{passed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rate_faster_than_timers_tick_is_reached_all_the_same() {
    let limiter = limiter(2_000, 1_000, 1, 10_000);
    let (passed, _) = crowd(&limiter, 1_000).await;
    assert!((490..=520).contains(passed.last().unwrap()), "{:?}", passed.last());
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_leaves_no_gap() {
    let limiter = limiter(1, 1_000, 1, 60_000);
    limiter.pass().await.unwrap();
    let begin = || {
        let limiter = limiter.clone();
        tokio::spawn(async move { limiter.pass().await })
    };
    let (head, second, third) = (begin(), begin(), begin());
    tokio::time::sleep(Duration::from_millis(500)).await;
    head.abort();
    second.abort();
    let began = tokio::time::Instant::now();
    third.await.unwrap().unwrap();
    assert!((495..=510).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_is_sent_elsewhere_without_asking_the_endpoint() {
    let config = Config { max_wait_ms: 0, ..Config::default() };
    let scripted = Scripted::new([]);
    let service = Layer::new(&config, Arc::new(Paused), || {}).layer(scripted.clone());
    assert!(service.clone().oneshot(call(None)).await.is_ok());
    let error = service.oneshot(call(None)).await.unwrap_err();
    let facts = (error.kind(), error.origin(), error.retry());
    assert_eq!(facts, (ErrorKind::RateLimited, Origin::Maof, Retry::Elsewhere));
    assert_eq!(scripted.calls().len(), 1);
}

#[test]
fn in_any_order_as_many_pass_as_may() {
    let test = || {
        let clock = Moved::new();
        let began = clock.instant();
        let config = Config { requests: 10, per_ms: 1_000, burst: 3, max_wait_ms: 0 };
        let limiter = Limiter::new(&config, clock.clone());
        let pass = |limiter: &Limiter| {
            let limiter = limiter.clone();
            shuttle::future::spawn(async move { limiter.pass().await.is_ok() })
        };
        let passed = shuttle::future::block_on(async {
            let callers: Vec<_> = (0..6).map(|_| pass(&limiter)).collect();
            let mut passed = 0;
            for caller in callers {
                passed += usize::from(caller.await.unwrap());
            }
            passed
        });
        assert_eq!((passed, clock.instant()), (3, began));
    };
    check_random(test, 500);
}
