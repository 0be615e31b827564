//! The limit before a simulated service: loads that it must refuse, and loads that it must not.

use super::simulation::{Service, Simulation};
use crate::load_shed::Config;

/// 100 workers of 100 ms: a thousand calls a second.
fn service(arrive: f64) -> Service {
    Service { workers: 100, takes: 100.0, streams: 0.0, arrive, even: false }
}

#[test]
fn at_twice_the_capacity_those_admitted_wait_hardly_longer_than_at_capacity() {
    let mut simulation = Simulation::new(&Config::default());
    let at_capacity = simulation.run(30.0, service(1_000.0));
    let at_twice = simulation.run(30.0, service(2_000.0));
    let (one, two) = (at_capacity.p99(), at_twice.p99());
    assert!(two <= 1.5 * one, "{two} ms at twice, {one} ms at capacity");
    assert!((0.4..0.6).contains(&at_twice.refused), "{}", at_twice.refused);
    assert!((100..300).contains(&at_twice.limit), "{}", at_twice.limit);
}

#[test]
fn an_overload_from_the_very_first_call_is_noticed() {
    let found = Simulation::new(&Config::default()).run(30.0, service(2_000.0));
    assert!(found.limit < 300, "{}", found.limit);
    assert!(found.p99() < 600.0, "{}", found.p99());
}

#[test]
fn an_overload_that_lasts_does_not_become_usual() {
    let mut simulation = Simulation::new(&Config::default());
    simulation.run(10.0, service(500.0));
    let soon = simulation.run(30.0, service(2_000.0));
    let late = simulation.run(300.0, service(2_000.0));
    assert!(late.limit < 2 * soon.limit, "{} after minutes, {} at first", late.limit, soon.limit);
}

#[test]
fn what_is_not_overloaded_is_not_refused() {
    let mut simulation = Simulation::new(&Config::default());
    for arrive in [10.0, 500.0, 900.0] {
        let found = simulation.run(30.0, service(arrive));
        assert!(found.refused < 0.001, "{} of {arrive} a second", found.refused);
    }
}

#[test]
fn many_calls_that_do_not_wait_for_one_another_are_let_in_within_seconds() {
    let mut simulation = Simulation::new(&Config::default());
    let roomy = Service { workers: 100_000, takes: 5_000.0, ..service(800.0) };
    let found = simulation.run(60.0, roomy);
    assert!(found.refused < 0.001, "{}", found.refused);
    assert!(found.limit >= 4_000, "{}", found.limit);
}

#[test]
fn a_service_that_becomes_slower_for_good_is_used_again() {
    let mut simulation = Simulation::new(&Config::default());
    let roomy = |takes: f64| Service { workers: 100_000, takes, ..service(300.0) };
    simulation.run(60.0, Service { arrive: 1_500.0, ..roomy(500.0) });
    let found = simulation.run(120.0, roomy(6_000.0));
    assert!(found.refused < 0.01, "{}", found.refused);
}

#[test]
fn the_limit_stays_within_its_bounds() {
    let fixed = Config { min_calls: 10, max_calls: 10, ..Config::default() };
    assert_eq!(Simulation::new(&fixed).run(5.0, service(2_000.0)).limit, 10);
    let bounded = Config { min_calls: 20, max_calls: 60, ..Config::default() };
    assert_eq!(Simulation::new(&bounded).run(30.0, service(900.0)).limit, 60);
}
