//! The machine against a naive model, which keeps everything that ever happened and counts anew each time.

use std::time::{Duration, Instant};

use maof_core::{CircuitState, Clock as _};
use proptest::prelude::*;

use crate::circuit_breaker::Config;
use crate::circuit_breaker::state::{Judgement, Machine, Ticket};
use crate::scripted::Paused;

#[derive(Clone, Debug)]
enum Act {
    /// Somebody asks to pass.
    Ask,
    /// The call at this place (modulo) of those under way ends so.
    End(usize, Judgement),
    /// Milliseconds pass.
    Wait(u64),
}

#[derive(Clone, Copy)]
enum Fact {
    Began { call: usize },
    Ended(Judgement),
}

/// The facts since the last change of state, and since when it is so.
struct Model {
    config: Config,
    state: CircuitState,
    since: Instant,
    facts: Vec<Fact>,
}

impl Model {
    fn enter(&mut self, state: CircuitState, now: Instant) {
        (self.state, self.since) = (state, now);
        self.facts.clear();
    }

    fn began_here(&self, wanted: usize) -> bool {
        self.facts.iter().any(|fact| matches!(fact, Fact::Began { call } if *call == wanted))
    }

    fn under_way(&self) -> usize {
        let count = |began: bool| {
            self.facts.iter().filter(|fact| matches!(fact, Fact::Began { .. }) == began).count()
        };
        count(true) - count(false)
    }

    fn ended(&self) -> impl DoubleEndedIterator<Item = Judgement> {
        self.facts.iter().filter_map(|fact| match fact {
            Fact::Ended(judgement) if *judgement != Judgement::Neutral => Some(*judgement),
            _ => None,
        })
    }

    fn ask(&mut self, call: usize, now: Instant) -> bool {
        if self.state == CircuitState::Open && now - self.since >= self.config.open() {
            self.enter(CircuitState::HalfOpen, now);
        }
        let pass = match self.state {
            CircuitState::Closed => true,
            CircuitState::Open => false,
            CircuitState::HalfOpen => self.under_way() < self.config.half_open_max as usize,
        };
        if pass {
            self.facts.push(Fact::Began { call });
        }
        pass
    }

    fn end(&mut self, call: usize, judgement: Judgement, now: Instant) {
        if !self.began_here(call) {
            return;
        }
        self.facts.push(Fact::Ended(judgement));
        let in_a_row = self.ended().rev().take_while(|j| *j == Judgement::Failure).count();
        let successes = self.ended().filter(|j| *j == Judgement::Success).count();
        match self.state {
            CircuitState::Closed if in_a_row >= self.config.failure_threshold as usize => {
                self.enter(CircuitState::Open, now);
            }
            CircuitState::HalfOpen if in_a_row > 0 => self.enter(CircuitState::Open, now),
            CircuitState::HalfOpen if successes >= self.config.success_threshold as usize => {
                self.enter(CircuitState::Closed, now);
            }
            _ => {}
        }
    }
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let judgement = prop_oneof![3 => Just(Judgement::Failure), 3 => Just(Judgement::Success), 1 => Just(Judgement::Neutral)];
    let act = prop_oneof![
        4 => Just(Act::Ask),
        4 => (any::<usize>(), judgement).prop_map(|(at, judgement)| Act::End(at, judgement)),
        1 => (0..60u64).prop_map(Act::Wait),
    ];
    prop::collection::vec(act, 0..300)
}

proptest! {
    #[test]
    fn the_machine_does_as_the_model(
        acts in acts(), failure_threshold in 1..4u32, success_threshold in 1..4u32, half_open_max in 1..4u32,
    ) {
        let config = Config { failure_threshold, open_ms: 50, success_threshold, half_open_max, rate: None };
        let mut now = Paused.instant();
        let mut machine = Machine::new(&config);
        let mut model = Model { config, state: CircuitState::Closed, since: now, facts: Vec::new() };
        let mut under_way: Vec<(usize, Ticket)> = Vec::new();
        for (number, act) in acts.into_iter().enumerate() {
            match act {
                Act::Wait(ms) => now += Duration::from_millis(ms),
                Act::Ask => {
                    let admitted = machine.admit(now);
                    prop_assert_eq!(admitted.is_ok(), model.ask(number, now));
                    under_way.extend(admitted.ok().map(|ticket| (number, ticket)));
                }
                Act::End(at, judgement) if !under_way.is_empty() => {
                    let (call, ticket) = under_way.remove(at % under_way.len());
                    machine.resolve(ticket, judgement, now);
                    model.end(call, judgement, now);
                }
                Act::End(..) => {}
            }
            prop_assert_eq!(machine.state(), model.state);
        }
    }
}
