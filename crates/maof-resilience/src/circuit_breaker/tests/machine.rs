//! The machine by tables.

use std::time::{Duration, Instant};

use maof_core::{CircuitState, Clock as _};

use crate::circuit_breaker::Config;
use crate::circuit_breaker::state::{Judgement, Machine, Ticket};
use crate::scripted::Paused;

/// A script's words, separated by spaces: `+` a call that succeeds, `-` one that fails, `0` one that says
/// nothing, `(` a call begins and stays, `+)` `-)` `0)` the oldest such call ends, `x` a call is refused,
/// a number: so many milliseconds pass. Opens after 3 failures for 1000 ms; closes after 2 successes.
struct Script {
    machine: Machine,
    now: Instant,
    open: Vec<Ticket>,
}

impl Script {
    fn word(&mut self, word: &str) {
        let judgement = |word: &str| match &word[..1] {
            "+" => Judgement::Success,
            "-" => Judgement::Failure,
            "0" => Judgement::Neutral,
            _ => panic!("no such word: {word}"),
        };
        match word {
            "(" => self.open.push(self.machine.admit(self.now).unwrap()),
            "x" => assert!(self.machine.admit(self.now).is_err(), "a call is let pass"),
            "+" | "-" | "0" => {
                let ticket = self.machine.admit(self.now).unwrap();
                self.machine.resolve(ticket, judgement(word), self.now);
            }
            "+)" | "-)" | "0)" => self.machine.resolve(self.open.remove(0), judgement(word), self.now),
            number => self.now += Duration::from_millis(number.parse().unwrap()),
        }
    }
}

fn check(script: &str, expect: CircuitState) {
    let config =
        Config { failure_threshold: 3, open_ms: 1_000, success_threshold: 2, half_open_max: 2, rate: None };
    let mut run = Script { machine: Machine::new(&config), now: Paused.instant(), open: Vec::new() };
    script.split_whitespace().for_each(|word| run.word(word));
    assert_eq!(run.machine.state(), expect, "{script}");
}

#[test]
fn failures_in_a_row_open_it() {
    check("", CircuitState::Closed);
    check("- -", CircuitState::Closed);
    check("- - -", CircuitState::Open);
    check("- - + - -", CircuitState::Closed);
    check("- 0 - 0 -", CircuitState::Open);
    check("0 0 0 0", CircuitState::Closed);
}

#[test]
fn an_open_one_refuses_until_it_has_rested() {
    check("- - - x 999 x", CircuitState::Open);
    check("- - - 1000", CircuitState::Open);
    check("- - - 1000 (", CircuitState::HalfOpen);
}

#[test]
fn probes_decide_whether_it_closes() {
    check("- - - 1000 +", CircuitState::HalfOpen);
    check("- - - 1000 + +", CircuitState::Closed);
    check("- - - 1000 + -", CircuitState::Open);
    check("- - - 1000 + - 999 x 1 + +", CircuitState::Closed);
    check("- - - 1000 + + - -", CircuitState::Closed);
}

#[test]
fn only_so_many_probes_are_under_way_and_a_neutral_one_is_given_back() {
    check("- - - 1000 ( ( x", CircuitState::HalfOpen);
    check("- - - 1000 ( ( x 0) ( x", CircuitState::HalfOpen);
    check("- - - 1000 ( ( x +) ( x", CircuitState::HalfOpen);
    check("- - - 1000 ( ( +) +)", CircuitState::Closed);
}

#[test]
fn a_call_of_an_earlier_phase_says_nothing() {
    check("( - - - -)", CircuitState::Open);
    check("( - - - 1000 ( +) +)", CircuitState::HalfOpen);
    check("( - - - 1000 ( -)", CircuitState::HalfOpen);
    check("- - - 1000 ( ( -) 1000 ( +)", CircuitState::HalfOpen);
    check("( ( ( - - - 1000 + + -) -) -)", CircuitState::Closed);
}

#[test]
fn who_is_refused_is_told_how_long_it_rests() {
    let config =
        Config { failure_threshold: 1, open_ms: 1_000, success_threshold: 1, half_open_max: 1, rate: None };
    let mut machine = Machine::new(&config);
    let began = Paused.instant();
    let ticket = machine.admit(began).unwrap();
    machine.resolve(ticket, Judgement::Failure, began);
    let refused = |machine: &mut Machine, ms| machine.admit(began + Duration::from_millis(ms)).unwrap_err();
    assert_eq!(refused(&mut machine, 0), Duration::from_millis(1_000));
    assert_eq!(refused(&mut machine, 400), Duration::from_millis(600));
    machine.admit(began + Duration::from_millis(1_000)).unwrap();
    assert_eq!(refused(&mut machine, 1_000), Duration::from_secs(1), "while the probe is under way");
}

#[test]
fn the_defaults_are_five_failures_a_minute_and_three_successes() {
    let config = Config::default();
    let counts = (config.failure_threshold, config.open_ms, config.success_threshold, config.half_open_max);
    assert_eq!(counts, (5, 60_000, 3, 3));
}
