//! The limit before a simulated service: so many workers, each of which takes so long for a call; calls queue for
//! them. Time is virtual, arrivals and lengths come from a fixed seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use maof_core::Clock as _;

use crate::load_shed::Config;
use crate::load_shed::state::{Machine, Ticket};
use crate::scripted::Moved;

/// A service, and who comes to it.
#[derive(Clone, Copy)]
struct Service {
    workers: u32,
    /// The mean of how long a call takes, in milliseconds.
    takes: f64,
    /// Calls a second, spread at random.
    arrive: f64,
}

/// What came of some seconds.
#[derive(Debug)]
struct Found {
    limit: u32,
    /// Of the second half of the time: waits in milliseconds, sorted, and how many were refused of all.
    waits: Vec<f64>,
    refused: f64,
}

impl Found {
    fn p99(&self) -> f64 {
        self.waits[self.waits.len() * 99 / 100]
    }
}

/// xorshift: numbers from 0 to 1.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.roll()).ln()
    }
}

struct Simulation {
    machine: Machine,
    began: Instant,
    /// In milliseconds.
    now: f64,
    dice: Dice,
    /// When calls that are under way end, in microseconds, and how long each waited.
    ends: BinaryHeap<Reverse<(u64, u64, usize)>>,
    tickets: Vec<Ticket>,
    /// When each worker is free, in microseconds.
    free: BinaryHeap<Reverse<u64>>,
}

impl Simulation {
    fn new(config: &Config) -> Self {
        let began = Moved::new().instant();
        let machine = Machine::new(config, began);
        let (ends, free, tickets) = (BinaryHeap::new(), BinaryHeap::new(), Vec::new());
        Simulation { machine, began, now: 0.0, dice: Dice(0x9E37_79B9_7F4A_7C15), ends, tickets, free }
    }

    fn run(&mut self, seconds: f64, service: Service) -> Found {
        let now_us = (self.now * 1_000.0) as u64;
        self.free = (0..service.workers).map(|_| Reverse(now_us)).collect();
        let (until, half) = (self.now + seconds * 1_000.0, self.now + seconds * 500.0);
        let (mut waits, mut refused, mut all) = (Vec::new(), 0.0, 0.0);
        while self.now < until {
            self.now += self.dice.exponential(1_000.0 / service.arrive);
            let now_us = (self.now * 1_000.0) as u64;
            while let Some(Reverse((end, waited, call))) =
                self.ends.peek().copied().filter(|e| e.0.0 <= now_us)
            {
                self.ends.pop();
                let at = self.began + Duration::from_micros(end);
                self.machine.done(self.tickets[call], Some(Duration::from_micros(waited)), at);
                self.machine.leave();
            }
            let counts = self.now > half;
            all += f64::from(u8::from(counts));
            let at = self.began + Duration::from_micros(now_us);
            let Some(ticket) = self.machine.enter(false, at) else {
                refused += f64::from(u8::from(counts));
                continue;
            };
            let Reverse(free) = self.free.pop().unwrap();
            let takes = service.takes / 2.0 + self.dice.exponential(service.takes / 2.0);
            let end = free.max(now_us) + (takes * 1_000.0) as u64;
            self.free.push(Reverse(end));
            self.ends.push(Reverse((end, end - now_us, self.tickets.len())));
            self.tickets.push(ticket);
            if counts {
                waits.push((end - now_us) as f64 / 1_000.0);
            }
        }
        waits.sort_by(f64::total_cmp);
        Found { limit: self.machine.limit(), waits, refused: refused / all }
    }
}

/// 100 workers of 100 ms: a thousand calls a second.
fn service(arrive: f64) -> Service {
    Service { workers: 100, takes: 100.0, arrive }
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
    let roomy = Service { workers: 100_000, takes: 5_000.0, arrive: 800.0 };
    let found = simulation.run(60.0, roomy);
    assert!(found.refused < 0.001, "{}", found.refused);
    assert!(found.limit >= 4_000, "{}", found.limit);
}

#[test]
fn a_service_that_becomes_slower_for_good_is_used_again() {
    let mut simulation = Simulation::new(&Config::default());
    let roomy = |takes: f64| Service { workers: 100_000, takes, arrive: 300.0 };
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
