//! The account machine never lets more in than there is.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use maof_core::{CallId, ErrorKind, Money, Name, Unit, Usage, Window as Over};
use proptest::prelude::*;

use std::collections::HashSet;

use super::closed::REMEMBERED;
use super::windows::SWEEP_AT;
use super::*;

/// What is promised is a matter of the store's.
const MODE: HoldMode = HoldMode::Batched;

fn account(name: &str, window: Over) -> Account {
    let name = Name::new(name).unwrap();
    Account { tenant: name.clone(), name, measure: Measure::Money, window }
}

fn charge(name: &str, amount: i64, limit: i64) -> Charge {
    Charge { account: account(name, Over::Total), amount, limit: Some(limit) }
}

fn minute(amount: i64) -> Charge {
    Charge { account: account("a", Over::Minute), amount, limit: Some(10) }
}

fn attempt(id: u128, cost: i64) -> Attempt {
    let name = Name::new("x").unwrap();
    Attempt {
        id: AttemptId::from_uuid(uuid::Uuid::from_u128(id)),
        call: CallId::from_uuid(uuid::Uuid::nil()),
        tenant: name.clone(),
        user: name.clone(),
        key: None,
        team: None,
        tier: name.clone(),
        task_type: None,
        tags: None,
        run: None,
        step: None,
        agent: name.clone(),
        endpoint: name,
        model: "m".into(),
        began: Timestamp::default(),
        micros: 0,
        usage: Usage::default().with(Unit::Input, 1),
        cost: Money::from_nanos(cost),
        failure: None,
        purpose: maof_core::Purpose::Shadow,
        asked: None,
        price: None,
        question: None,
        opening: None,
    }
}

fn key(number: u64) -> Arc<str> {
    number.to_string().into()
}

fn total(accounts: &Accounts, name: &str) -> (i64, i64) {
    let balance = accounts.balance(&account(name, Over::Total), NOW);
    (balance.spent, balance.held)
}

/// 2023-11-14T22:13:20Z
const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

#[test]
fn a_hold_is_raised_not_added_and_refused_whole() {
    let mut accounts = Accounts::default();
    accounts.hold(&key(1), &[charge("a", 6, 10)], MODE, NOW).unwrap();
    accounts.hold(&key(1), &[charge("a", 6, 10)], MODE, NOW).unwrap();
    assert_eq!(total(&accounts, "a"), (0, 6));
    let error = accounts.hold(&key(1), &[charge("b", 1, 10), charge("a", 11, 10)], MODE, NOW).unwrap_err();
    assert!(error.message().contains("a (money per total) has $0.000000004 of $0.00000001 left"), "{error}");
    assert_eq!((total(&accounts, "a"), total(&accounts, "b")), ((0, 6), (0, 0)));
}

#[test]
fn an_attempt_counts_once_and_late_ones_count_too() {
    let mut accounts = Accounts::default();
    accounts.hold(&key(1), &[charge("a", 6, 10)], MODE, NOW).unwrap();
    assert_eq!(accounts.charge(&key(1), &attempt(1, 4)).len(), 1);
    assert!(accounts.charge(&key(1), &attempt(1, 4)).is_empty());
    assert_eq!(total(&accounts, "a"), (4, 2));
    accounts.close(&key(1));
    accounts.close(&key(1));
    assert_eq!(total(&accounts, "a"), (4, 0));
    accounts.charge(&key(1), &attempt(2, 3));
    accounts.charge(&key(1), &attempt(2, 3));
    assert_eq!(total(&accounts, "a"), (7, 0));
    accounts.hold(&key(1), &[charge("a", 3, 10)], MODE, NOW).unwrap();
    accounts.charge(&key(1), &attempt(1, 4));
    assert_eq!(total(&accounts, "a"), (7, 3), "what was charged before the hold began anew counts no more");
    assert!(accounts.hold(&key(2), &[charge("a", 1, 10)], MODE, NOW).is_err());
}

#[test]
fn one_account_under_two_limits_holds_once_within_both() {
    let mut accounts = Accounts::default();
    accounts.hold(&key(1), &[charge("a", 4, 10), charge("a", 6, 8)], MODE, NOW).unwrap();
    assert_eq!(total(&accounts, "a"), (0, 6));
    accounts.hold(&key(1), &[charge("a", 4, 10), charge("a", 6, 8)], MODE, NOW).unwrap();
    assert_eq!(total(&accounts, "a"), (0, 6));
    let check = |accounts: &mut Accounts, first, second| {
        let error =
            accounts.hold(&key(2), &[charge("a", 4, first), charge("a", 4, second)], MODE, NOW).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
    };
    check(&mut accounts, 10, 8);
    check(&mut accounts, 8, 10);
}

#[test]
fn windows_begin_anew_and_a_hold_stays_in_its_own() {
    let mut accounts = Accounts::default();
    let later = NOW.plus(Duration::from_secs(60));
    let balance = |a: &Accounts, now| a.balance(&account("a", Over::Minute), now);
    accounts.hold(&key(1), &[minute(8)], MODE, NOW).unwrap();
    let refused = |accounts: &mut Accounts, key: &Arc<str>, amount, now| {
        accounts.hold(key, &[minute(amount)], MODE, now).unwrap_err().message().to_owned()
    };
    assert!(refused(&mut accounts, &key(2), 9, NOW).contains("resets at 2023-11-14T22:14:00"));
    accounts.hold(&key(2), &[minute(10)], MODE, later).unwrap();
    // A top-up of the first hold, a minute later, is an affair of its own minute.
    accounts.hold(&key(1), &[minute(10)], MODE, later).unwrap();
    assert!(refused(&mut accounts, &key(1), 11, later).contains("resets at 2023-11-14T22:14:00"));
    accounts.charge(&key(1), &attempt(1, 10));
    assert_eq!((balance(&accounts, NOW).spent, balance(&accounts, later).spent), (10, 0));
}

#[test]
fn a_key_that_is_held_again_belongs_to_the_new_window_only() {
    let mut accounts = Accounts::default();
    let later = NOW.plus(Duration::from_secs(60));
    for (number, now) in [(1, NOW), (2, later)] {
        accounts.hold(&key(1), &[minute(5)], MODE, now).unwrap();
        accounts.charge(&key(1), &attempt(number, 5));
        accounts.close(&key(1));
    }
    for now in [NOW, later] {
        assert_eq!(accounts.balance(&account("a", Over::Minute), now), Balance { spent: 5, held: 0 });
    }
}

#[test]
fn what_is_vast_stays_at_the_end_of_the_range() {
    let mut accounts = Accounts::default();
    accounts.hold(&key(1), &[charge("a", i64::MAX, i64::MAX)], MODE, NOW).unwrap();
    accounts.charge(&key(1), &attempt(1, i64::MAX));
    accounts.charge(&key(1), &attempt(2, i64::MAX));
    accounts.charge(&key(1), &attempt(3, i64::MIN));
    assert_eq!(total(&accounts, "a"), (i64::MAX, 0));
    assert!(accounts.hold(&key(2), &[charge("a", 1, i64::MAX - 1)], MODE, NOW).is_err());
}

#[test]
fn memory_of_closed_holds_and_ended_windows_is_bounded() {
    let mut accounts = Accounts::default();
    for number in 0..3 * SWEEP_AT as u64 {
        let now = NOW.plus(Duration::from_secs(60 * number));
        accounts.hold(&key(number), &[minute(1)], MODE, now).unwrap();
        accounts.close(&key(number));
        // The same key over and over must not push others out.
        accounts.hold(&key(0), &[], MODE, now).unwrap();
        accounts.close(&key(0));
    }
    assert_eq!(accounts.closed.len(), REMEMBERED);
    // All but the one that came again and again, which takes a place at most once in so many.
    let remembered = 3 * SWEEP_AT as u64 - REMEMBERED as u64 + 1;
    assert!((remembered..3 * SWEEP_AT as u64).all(|number| accounts.closed.get_mut(&key(number)).is_some()));
    assert!(accounts.closed.get_mut(&key(1)).is_none());
    assert!(accounts.windows.len() <= SWEEP_AT, "{} windows", accounts.windows.len());
    assert!(accounts.holds.is_empty());
}

#[derive(Clone, Debug)]
enum Act {
    Hold(u64, i64, i64),
    /// Key, attempt, cost: an attempt may come twice, and under another key.
    Charge(u64, u128, i64),
    Close(u64),
}

/// The same in the plainest words: two accounts of one window, every hold ever, nothing forgotten.
#[derive(Debug, Default)]
struct Naive {
    spent: [i64; 2],
    held: HashMap<u64, [i64; 2]>,
    last: HashMap<u64, HashSet<u128>>,
    /// What attempts used beyond what was held for them.
    overrun: [i64; 2],
}

const LIMITS: [i64; 2] = [100, 60];

impl Naive {
    fn total(&self, at: usize) -> i64 {
        self.spent[at] + self.held.values().map(|held| held[at]).sum::<i64>()
    }

    fn hold(&mut self, key: u64, wanted: [i64; 2]) -> bool {
        let has = self.held.get(&key).copied().unwrap_or_default();
        let grows = [0, 1].map(|at| (wanted[at] - has[at]).max(0));
        let fits = [0, 1].into_iter().all(|at| grows[at] == 0 || self.total(at) + grows[at] <= LIMITS[at]);
        if fits {
            self.held.insert(key, [has[0] + grows[0], has[1] + grows[1]]);
            self.last.entry(key).or_default();
        }
        fits
    }

    fn charge(&mut self, key: u64, attempt: u128, cost: i64) {
        let Some(charged) = self.last.get_mut(&key) else { return };
        if !charged.insert(attempt) {
            return;
        }
        let mut none = [0; 2];
        let held = self.held.get_mut(&key).unwrap_or(&mut none);
        for at in [0, 1] {
            let moved = held[at].min(cost);
            held[at] -= moved;
            self.spent[at] += cost;
            self.overrun[at] += cost - moved;
        }
    }
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => (0_u64..5, 0_i64..60, 0_i64..40).prop_map(|(key, a, b)| Act::Hold(key, a, b)),
        3 => (0_u64..5, 0_u128..12, 0_i64..60).prop_map(|(key, id, cost)| Act::Charge(key, id, cost)),
        1 => (0_u64..5).prop_map(Act::Close),
    ];
    proptest::collection::vec(act, 0..80)
}

proptest! {
    /// M01: over any interleaving the machine is the naive one, what is held and spent is never above a
    /// limit by more than attempts really used beyond their holds, and nothing is ever negative.
    #[test]
    fn no_interleaving_overspends(acts in acts()) {
        let (mut accounts, mut naive) = (Accounts::default(), Naive::default());
        for act in acts {
            match act {
                Act::Hold(k, a, b) => {
                    let charges = [charge("a", a, LIMITS[0]), charge("b", b, LIMITS[1])];
                    prop_assert_eq!(accounts.hold(&key(k), &charges, MODE, NOW).is_ok(), naive.hold(k, [a, b]));
                }
                Act::Charge(k, id, cost) => {
                    accounts.charge(&key(k), &attempt(id, cost));
                    naive.charge(k, id, cost);
                }
                Act::Close(k) => {
                    accounts.close(&key(k));
                    naive.held.remove(&k);
                }
            }
            for (at, name) in ["a", "b"].into_iter().enumerate() {
                let (spent, held) = total(&accounts, name);
                prop_assert_eq!((spent, spent + held), (naive.spent[at], naive.total(at)));
                prop_assert!(spent >= 0 && held >= 0);
                prop_assert!(spent + held <= LIMITS[at] + naive.overrun[at]);
            }
        }
        for k in 0..5 {
            accounts.close(&key(k));
        }
        prop_assert_eq!((total(&accounts, "a").1, total(&accounts, "b").1), (0, 0));
    }
}
