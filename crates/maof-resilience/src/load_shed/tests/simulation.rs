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
pub(super) struct Service {
    pub(super) workers: u32,
    /// The mean of how long a worker takes until the reply begins, in milliseconds: from half of it on.
    pub(super) takes: f64,
    /// For how long a reply streams afterwards, in milliseconds, without a worker.
    pub(super) streams: f64,
    /// Calls a second.
    pub(super) arrive: f64,
    /// Whether calls come evenly and take at most one and a half times the mean, as those of the wall's upstream; else
    /// both have exponential tails.
    pub(super) even: bool,
}

/// What came of some seconds.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) limit: u32,
    /// Of the calls that were judged: waits in milliseconds, sorted, and how many were refused of all.
    pub(super) waits: Vec<f64>,
    pub(super) refused: f64,
}

impl Found {
    pub(super) fn p99(&self) -> f64 {
        self.waits.get(self.waits.len() * 99 / 100).copied().unwrap_or(f64::INFINITY)
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

/// What happens to a call that was let in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Then {
    Replies { waited_us: u64, ticket: usize },
    Leaves,
}

pub(super) struct Simulation {
    machine: Machine,
    began: Instant,
    /// In milliseconds.
    now: f64,
    dice: Dice,
    /// What happens next, by microseconds.
    next: BinaryHeap<Reverse<(u64, Then)>>,
    tickets: Vec<Ticket>,
    /// When each worker is free, in microseconds.
    free: BinaryHeap<Reverse<u64>>,
}

impl Simulation {
    pub(super) fn new(config: &Config) -> Self {
        Self::seeded(config, 0x9E37_79B9_7F4A_7C15)
    }

    pub(super) fn seeded(config: &Config, seed: u64) -> Self {
        let began = Moved::new().instant();
        let machine = Machine::new(config, began);
        let (next, free, tickets) = (BinaryHeap::new(), BinaryHeap::new(), Vec::new());
        Simulation { machine, began, now: 0.0, dice: Dice(seed), next, tickets, free }
    }

    /// So many seconds of it, of which the second half is judged.
    pub(super) fn run(&mut self, seconds: f64, service: Service) -> Found {
        self.judged(seconds / 2.0, seconds, service)
    }

    /// So many seconds of it, of which the first ones are not judged. What waits goes on waiting if the workers are as
    /// many as before.
    pub(super) fn judged(&mut self, settles: f64, seconds: f64, service: Service) -> Found {
        if self.free.len() != service.workers as usize {
            let now_us = (self.now * 1_000.0) as u64;
            self.free = (0..service.workers).map(|_| Reverse(now_us)).collect();
        }
        let (from, until) = (self.now + settles * 1_000.0, self.now + seconds * 1_000.0);
        let (mut waits, mut refused, mut all) = (Vec::new(), 0.0, 0.0);
        while self.now < until {
            let every = 1_000.0 / service.arrive;
            self.now += if service.even { every } else { self.dice.exponential(every) };
            let now_us = (self.now * 1_000.0) as u64;
            self.pass(now_us);
            let judged = self.now > from;
            all += f64::from(u8::from(judged));
            match self.machine.enter(false, self.at(now_us)) {
                None => refused += f64::from(u8::from(judged)),
                Some(ticket) => {
                    let waited = self.serve(now_us, ticket, service);
                    waits.extend(judged.then_some(waited));
                }
            }
        }
        waits.sort_by(f64::total_cmp);
        Found { limit: self.machine.limit(), waits, refused: refused / all }
    }

    /// Waits until everybody has left.
    pub(super) fn drain(&mut self) {
        let last_us = self.next.iter().map(|next| next.0.0).max();
        self.now = last_us.map_or(self.now, |us| us as f64 / 1_000.0);
        self.pass(u64::MAX);
    }

    /// What happens until now.
    fn pass(&mut self, now_us: u64) {
        while let Some(Reverse((us, then))) = self.next.peek().copied().filter(|next| next.0.0 <= now_us) {
            self.next.pop();
            match then {
                Then::Leaves => self.machine.leave(),
                Then::Replies { waited_us, ticket } => {
                    let waited = Duration::from_micros(waited_us);
                    self.machine.done(self.tickets[ticket], Some(waited), self.at(us));
                }
            }
        }
    }

    /// The milliseconds until its reply begins.
    fn serve(&mut self, now_us: u64, ticket: Ticket, service: Service) -> f64 {
        let Reverse(free) = self.free.pop().unwrap();
        let rest = match service.even {
            true => service.takes * self.dice.roll(),
            false => self.dice.exponential(service.takes / 2.0),
        };
        let replies = free.max(now_us) + ((service.takes / 2.0 + rest) * 1_000.0) as u64;
        self.free.push(Reverse(replies));
        let waited_us = replies - now_us;
        self.next.push(Reverse((replies, Then::Replies { waited_us, ticket: self.tickets.len() })));
        self.next.push(Reverse((replies + (service.streams * 1_000.0) as u64, Then::Leaves)));
        self.tickets.push(ticket);
        waited_us as f64 / 1_000.0
    }

    fn at(&self, us: u64) -> Instant {
        self.began + Duration::from_micros(us)
    }
}
