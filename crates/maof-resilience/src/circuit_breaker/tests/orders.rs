//! The breaker in every order in which callers can meet at it, as far as shuttle tries them.

use std::sync::Arc;
use std::time::Duration;

use maof_core::CircuitState;
use parking_lot::Mutex;
use shuttle::{check_pct, check_random, thread};

use crate::circuit_breaker::{Breaker, Config};
use crate::scripted::Moved;

const ORDERS: usize = 1_000;

/// A breaker that has opened and rested, and the states that it has told.
fn rested(half_open_max: u32, success_threshold: u32) -> (Breaker, Arc<Mutex<Vec<CircuitState>>>) {
    let config = Config { failure_threshold: 1, open_ms: 10, success_threshold, half_open_max, rate: None };
    let (clock, told) = (Moved::new(), Arc::new(Mutex::new(Vec::new())));
    let tell = Arc::clone(&told);
    let breaker = Breaker::new(&config, clock.clone(), move |state| tell.lock().push(state));
    breaker.admit().unwrap().failure();
    clock.advance(Duration::from_millis(10));
    (breaker, told)
}

#[test]
fn just_so_many_probe_whoever_comes_first() {
    let test = || {
        let (breaker, _) = rested(3, 3);
        let ask = |breaker: Breaker| thread::spawn(move || breaker.admit().ok());
        let callers: Vec<_> = (0..8).map(|_| ask(breaker.clone())).collect();
        let permits: Vec<_> = callers.into_iter().filter_map(|caller| caller.join().unwrap()).collect();
        assert_eq!(permits.len(), 3);
        permits.into_iter().for_each(|permit| permit.success());
        assert_eq!(breaker.state(), CircuitState::Closed);
    };
    check_random(test, ORDERS);
    check_pct(test, ORDERS, 3);
}

#[test]
fn probes_that_are_dropped_come_back_and_one_that_fails_counts_for_all() {
    let test = || {
        let (breaker, told) = rested(2, 2);
        let callers: Vec<_> = (0..4)
            .map(|number| {
                let breaker = breaker.clone();
                thread::spawn(move || match (breaker.admit(), number) {
                    (Ok(permit), 0) => permit.failure(),
                    (Ok(permit), 1) => drop(permit),
                    (Ok(permit), _) => permit.success(),
                    (Err(_), _) => {}
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        let told = told.lock().clone();
        let legal = told.windows(2).all(|two| match two[0] {
            CircuitState::Open => two[1] == CircuitState::HalfOpen,
            CircuitState::HalfOpen => two[1] != CircuitState::HalfOpen,
            CircuitState::Closed => two[1] == CircuitState::Open,
        });
        assert!(legal, "told in order, each once: {told:?}");
        assert_eq!(told.last(), Some(&breaker.state()), "what was told last is true");
        if breaker.state() == CircuitState::HalfOpen {
            let probes = [breaker.admit(), breaker.admit(), breaker.admit()];
            assert_eq!(probes.iter().filter(|p| p.is_ok()).count(), 2, "nobody keeps a probe");
        }
    };
    check_random(test, ORDERS);
    check_pct(test, ORDERS, 3);
}
