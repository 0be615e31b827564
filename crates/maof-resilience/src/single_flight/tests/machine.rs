//! The machine by scripts.

use std::collections::HashSet;

use crate::single_flight::state::{Flights, Role};

/// Words such as `a1` (call 1 with key a comes), `a!` (a's leader has its answer), `ax` (it gave up), `~1` (call 1
/// gives up waiting); what becomes of each, in words. At most two wait.
fn check(script: &str, expect: &str) {
    let mut flights: Flights<char, u32> = Flights::new(2);
    let (mut gone, mut told) = (HashSet::new(), Vec::new());
    for word in script.split_whitespace() {
        let (key, rest) = word.split_at(1);
        let key = key.chars().next().unwrap();
        match (key, rest) {
            ('~', number) => {
                gone.insert(number.parse::<u32>().unwrap());
            }
            (key, "!") => told.push(format!("tells{:?}", flights.land(&key))),
            (key, "x") => told.push(format!("next{:?}", flights.hand_over(&key))),
            (key, number) => {
                let number = number.parse().unwrap();
                told.push(match flights.join(&key, || number, |waiter| gone.contains(waiter)) {
                    Role::Lead => "leads".to_owned(),
                    Role::Wait => "waits".to_owned(),
                    Role::Alone => "alone".to_owned(),
                });
            }
        }
    }
    assert_eq!(told.join(" "), expect, "{script}");
}

#[test]
fn the_first_leads_and_the_others_are_told() {
    check("a1 a2 a3 b4 a! b!", "leads waits waits leads tells[2, 3] tells[]");
    check("a1 a! a2", "leads tells[] leads");
}

#[test]
fn who_gives_up_is_followed_by_the_next() {
    check("a1 a2 a3 ax a4 ax a!", "leads waits waits nextSome(2) waits nextSome(3) tells[4]");
    check("a1 ax a2", "leads nextNone leads");
}

#[test]
fn room_for_those_who_wait_is_bounded_and_found_again() {
    check("a1 a2 a3 a4", "leads waits waits alone");
    check("a1 a2 a3 ~2 a4 a5 a!", "leads waits waits waits alone tells[3, 4]");
}
