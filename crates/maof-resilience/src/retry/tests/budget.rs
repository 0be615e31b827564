//! What retries may add.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use maof_core::{Call, Chosen, Clock as _, DecisionId, Error};
use proptest::prelude::*;
use shuttle::{check_random, thread};
use tower::ServiceExt as _;
use tower_layer::Layer as _;

use super::{SHORTEST, config};
use crate::retry::budget::Tokens;
use crate::retry::{Budget, BudgetConfig, Layer};
use crate::scripted::{Moved, Paused, Scripted, answers, call, fails};

#[derive(Clone, Copy, Debug)]
enum Act {
    Request,
    Retry,
    Wait(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => Just(vec![Act::Request]),
        2 => Just(vec![Act::Request; 40]),
        4 => Just(vec![Act::Retry]),
        2 => Just(vec![Act::Retry; 60]),
        3 => (1..500u64).prop_map(|ms| vec![Act::Wait(ms)]),
        1 => (500..12_000u64).prop_map(|ms| vec![Act::Wait(ms)]),
    ];
    prop::collection::vec(act, 0..150).prop_map(|acts| acts.concat())
}

proptest! {
    #[test]
    fn over_any_ten_seconds_retries_are_a_fifth_of_the_requests_and_ten_a_second(acts in acts()) {
        let began = Moved::new().instant();
        let mut tokens = Tokens::new(&BudgetConfig::default(), began);
        let mut now = 0;
        // When requests came, and retries that were let pass.
        let (mut requests, mut retries) = (Vec::new(), Vec::new());
        for act in acts {
            match act {
                Act::Wait(ms) => now += ms,
                Act::Request => {
                    tokens.request();
                    requests.push(now);
                }
                Act::Retry => {
                    if tokens.retry(began + Duration::from_millis(now)) {
                        retries.push(now);
                    }
                }
            }
        }
        // The worst windows begin with a retry.
        for from in &retries {
            let within = |times: &[u64]| times.iter().filter(|at| (*from..from + 10_000).contains(*at)).count();
            let (retries, requests) = (within(&retries), within(&requests));
            prop_assert!(retries * 10 <= requests * 2 + 1_000, "{retries} retries, {requests} requests");
        }
    }
}

#[test]
fn a_few_retries_are_always_there_and_requests_bring_more() {
    let began = Moved::new().instant();
    let passed = |tokens: &mut Tokens, secs| {
        let now = began + Duration::from_secs(secs);
        (0..1_000).filter(|_| tokens.retry(now)).count()
    };
    let mut tokens = Tokens::new(&BudgetConfig::default(), began);
    assert_eq!(passed(&mut tokens, 0), 50);
    assert_eq!(passed(&mut tokens, 1), 5);
    (0..100).for_each(|_| tokens.request());
    assert_eq!(passed(&mut tokens, 1), 20);
    assert_eq!(passed(&mut tokens, 1_000), 50);
    let mut none = Tokens::new(&BudgetConfig { percent: 50, per_second: 0 }, began);
    assert_eq!(passed(&mut none, 1_000), 0);
    (0..10).for_each(|_| none.request());
    assert_eq!(passed(&mut none, 1_000), 1, "nothing is saved up");
}

#[test]
fn fallbacks_are_never_refused_but_leave_less_for_retries() {
    let now = Moved::new().instant();
    let mut tokens = Tokens::new(&BudgetConfig::default(), now);
    (0..40).for_each(|_| tokens.fallback(now));
    assert_eq!((0..1_000).filter(|_| tokens.retry(now)).count(), 10);
    (0..1_000).for_each(|_| tokens.fallback(now));
    assert!(!tokens.retry(now + Duration::from_secs(10)), "no more is owed than ten seconds bring");
    assert!(tokens.retry(now + Duration::from_secs(11)));
}

#[test]
fn in_any_order_as_many_retries_pass_as_may() {
    let test = || {
        let budget = Budget::new(&BudgetConfig { percent: 100, per_second: 0 }, Moved::new());
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let budget = budget.clone();
                thread::spawn(move || {
                    budget.request();
                    usize::from(budget.retry()) + usize::from(budget.retry())
                })
            })
            .collect();
        let passed: usize = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
        assert!((1..=4).contains(&passed), "{passed}");
    };
    check_random(test, 1_000);
}

/// Asks so many times of an endpoint that fails twice and then answers; the attempts, and the retries refused.
async fn ask(per_second: u32, calls: usize, as_fallback: bool) -> (usize, usize) {
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let budget = Budget::new(&BudgetConfig { percent: 0, per_second }, Arc::new(Paused));
    let layer = Layer::new(&config(3), Arc::new(Paused), Arc::new(SHORTEST), |_: &Error, _| {});
    let layer = layer.within(budget, move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let mut attempts = 0;
    for _ in 0..calls {
        let down = || fails(Error::unavailable("down"));
        let scripted = Scripted::new([down(), down(), answers()]);
        let mut call = call(None);
        call.chosen = as_fallback.then(|| fallback(&call));
        let _ = layer.layer(scripted.clone()).oneshot(call).await;
        attempts += scripted.calls().len();
    }
    (attempts, refused.load(Ordering::SeqCst))
}

fn fallback(call: &Call) -> Arc<Chosen> {
    Arc::new(Chosen {
        decision: DecisionId::from_uuid(call.id.uuid()),
        agent: "b".parse().unwrap(),
        endpoint: "b".parse().unwrap(),
        instructions: None,
        fallbacks: 1,
        instead_of: None,
    })
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_the_budget_refuses_is_not_made() {
    assert_eq!(ask(10, 25, false).await, (75, 0));
    assert_eq!(ask(10, 30, false).await, (30 + 50, 5), "fifty retries, and the error of the others");
    assert_eq!(ask(0, 3, false).await, (3, 3));
    assert_eq!(ask(10, 17, true).await, (17 + 33, 1), "a fallback is a request more, and so are its retries");
}
