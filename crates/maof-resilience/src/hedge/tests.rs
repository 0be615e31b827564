//! Who is slow, and what may be spent on it.

use std::sync::Arc;
use std::time::Duration;

use maof_core::{Error, Hedge as _, Name, Origin};

use super::{Config, Hedges};
use crate::load_shed::{self, Door};
use crate::scripted::Moved;

struct Bench {
    hedges: Hedges,
    clock: Arc<Moved>,
    door: Door,
    slow: Name,
    other: Name,
}

fn bench() -> Bench {
    let (slow, other): (Name, Name) = ("slow".parse().unwrap(), "other".parse().unwrap());
    let clock = Moved::new();
    let config = load_shed::Config { min_calls: 10, max_calls: 10, ..Default::default() };
    let door = Door::new(&config, clock.clone(), |_| {});
    let known = [slow.clone(), other.clone()];
    let hedges = Hedges::new(&Config::default(), clock.clone(), known, Some(door.clone()));
    Bench { hedges, clock, door, slow, other }
}

impl Bench {
    /// So many calls, of which every twentieth took a second and the others so many milliseconds.
    fn calls(&self, count: u32, ms: u64) {
        for number in 1..=count {
            self.hedges.began();
            let took = if number % 20 == 0 { 1_000 } else { ms };
            self.hedges.answered(&self.slow, Duration::from_millis(took));
        }
    }

    fn spend(&self) -> bool {
        self.hedges.spend(&self.slow, &self.other)
    }
}

#[test]
fn an_endpoint_is_waited_for_as_long_as_it_usually_takes() {
    let bench = bench();
    bench.calls(19, 200);
    assert_eq!(bench.hedges.patience(&bench.slow), None, "too little is known");
    bench.calls(100, 200);
    let patience = bench.hedges.patience(&bench.slow).unwrap().as_millis();
    assert!((200..=225).contains(&patience), "{patience}");
    bench.calls(2_000, 400);
    let patience = bench.hedges.patience(&bench.slow).unwrap().as_millis();
    assert!((400..=450).contains(&patience), "{patience}");
    assert_eq!(bench.hedges.patience(&bench.other), None);
}

#[test]
fn nobody_is_waited_for_less_than_the_least() {
    let bench = bench();
    bench.calls(100, 1);
    assert_eq!(bench.hedges.patience(&bench.slow), Some(Duration::from_millis(50)));
}

#[test]
fn hedges_are_a_twentieth_of_the_calls_and_few_are_saved_up() {
    let bench = bench();
    assert!(!bench.spend(), "nothing to begin with");
    bench.calls(100, 10);
    assert_eq!((0..20).filter(|_| bench.spend()).count(), 5);
    bench.calls(10_000, 10);
    assert_eq!((0..20).filter(|_| bench.spend()).count(), 10);
}

#[test]
fn there_are_no_hedges_while_this_process_is_busy() {
    let bench = bench();
    bench.calls(100, 10);
    let mut inside: Vec<_> = (0..8).map(|_| bench.door.enter(false).unwrap()).collect();
    assert!(!bench.spend(), "80 percent");
    inside.pop();
    assert!(bench.spend(), "70 percent");
}

#[test]
fn there_are_no_hedges_from_or_to_who_has_too_many_requests() {
    let limited = || Error::rate_limited("429").origin_is(Origin::Provider);
    for at in ["slow", "other"] {
        let bench = bench();
        bench.calls(100, 10);
        let at: Name = at.parse().unwrap();
        bench.hedges.failed(&at, &Error::unavailable("down"));
        bench.hedges.failed(&at, &limited().origin_is(Origin::Maof));
        assert!(bench.spend());
        bench.hedges.failed(&at, &limited());
        assert!(!bench.spend());
        assert_eq!(bench.hedges.patience(&bench.slow).is_none(), at == bench.slow);
        bench.clock.advance(Duration::from_secs(10));
        assert!(bench.spend());
        assert!(bench.hedges.patience(&bench.slow).is_some());
    }
}

#[test]
fn nobody_is_hedged_by_itself_or_by_a_stranger() {
    let bench = bench();
    bench.calls(100, 10);
    assert!(!bench.hedges.spend(&bench.slow, &bench.slow));
    assert!(!bench.hedges.spend(&bench.slow, &"stranger".parse().unwrap()));
    assert!(bench.spend());
}
