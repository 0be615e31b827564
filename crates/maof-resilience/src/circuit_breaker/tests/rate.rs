//! Shares of calls that open a breaker, by tables.

use std::time::Duration;

use maof_core::{CircuitState, Clock as _};

use crate::circuit_breaker::state::{Judgement, Machine};
use crate::circuit_breaker::{Config, Rate};
use crate::scripted::Paused;

/// A script's words, separated by spaces: `+` a call succeeds, `-` one fails, `~` one succeeds slowly, `+9` nine
/// of them, a number: so many milliseconds pass. Of ten calls or more within a second, half may not fail and
/// eight in ten may not be slow (over 100 ms). One success closes it again after a second.
fn check(script: &str, expect: CircuitState) {
    let rate =
        Rate { window_ms: 1_000, minimum_calls: 10, failure_percent: 50, slow_percent: 80, slow_ms: 100 };
    let config = Config {
        failure_threshold: 0,
        open_ms: 1_000,
        success_threshold: 1,
        half_open_max: 1,
        rate: Some(rate),
    };
    let mut machine = Machine::new(&config);
    let mut now = Paused.instant();
    for word in script.split_whitespace() {
        if let Ok(ms) = word.parse::<u64>()
            && !word.starts_with('+')
        {
            now += Duration::from_millis(ms);
            continue;
        }
        for _ in 0..word[1..].parse().unwrap_or(1) {
            let Ok(mut ticket) = machine.admit(now) else { continue };
            let wait = if word.starts_with('~') { 101 } else { 100 };
            // The reply decides what is slow, however long the rest of it takes.
            ticket.replied(now + Duration::from_millis(wait));
            let failed = word.starts_with('-');
            machine.resolve(ticket, if failed { Judgement::Failure } else { Judgement::Success }, now);
        }
    }
    assert_eq!(machine.state(), expect, "{script}");
}

#[test]
fn a_share_of_failures_opens_it_once_there_are_enough_calls() {
    check("-9", CircuitState::Closed);
    check("-10", CircuitState::Open);
    check("+6 -5", CircuitState::Closed);
    check("+5 -5", CircuitState::Open);
    check("+90 -89", CircuitState::Closed);
    check("+90 -90", CircuitState::Open);
    check("-5 +5", CircuitState::Open);
}

#[test]
fn calls_count_for_the_length_of_the_window() {
    check("+90 500 -20", CircuitState::Closed);
    check("+90 1000 -9", CircuitState::Closed);
    check("+90 1000 -10", CircuitState::Open);
    check("-9 1000 -1", CircuitState::Closed);
}

#[test]
fn a_share_of_slow_calls_opens_it_too() {
    check("~7 +3", CircuitState::Closed);
    check("~8 +2", CircuitState::Open);
    check("+10 ~30", CircuitState::Closed);
    check("+10 ~40", CircuitState::Open);
}

#[test]
fn a_slow_probe_opens_it_again_and_a_good_one_begins_anew() {
    check("-10 1000 ~", CircuitState::Open);
    check("-10 1000 +", CircuitState::Closed);
    check("-10 1000 + -9", CircuitState::Closed);
    check("-10 1000 + -10", CircuitState::Open);
}

#[test]
fn failures_in_a_row_still_open_it_where_both_are_set() {
    let config = Config { failure_threshold: 2, rate: Some(Rate::default()), ..Config::default() };
    let (mut machine, now) = (Machine::new(&config), Paused.instant());
    for _ in 0..2 {
        let ticket = machine.admit(now).unwrap();
        machine.resolve(ticket, Judgement::Failure, now);
    }
    assert_eq!(machine.state(), CircuitState::Open);
}
