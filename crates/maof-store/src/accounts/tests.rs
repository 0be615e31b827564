//! The account machine never lets more in than there is.
#![allow(clippy::unwrap_used)]

use maof_core::{CallId, Name, Unit, Usage, Window as Over};
use proptest::prelude::*;

use super::*;

fn account(name: &str, window: Over) -> Account {
    let name = Name::new(name).unwrap();
    Account { tenant: name.clone(), name, measure: Measure::Money, window }
}

fn charge(name: &str, amount: i64, limit: i64) -> Charge {
    Charge { account: account(name, Over::Total), amount, limit: Some(limit) }
}

fn attempt(id: u128, cost: i64) -> Attempt {
    let name = Name::new("x").unwrap();
    Attempt {
        id: AttemptId::from_uuid(uuid::Uuid::from_u128(id)),
        call: CallId::from_uuid(uuid::Uuid::nil()),
        tenant: name.clone(),
        user: name.clone(),
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
    }
}

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

#[test]
fn a_hold_is_raised_not_added_and_refused_whole() {
    let mut accounts = Accounts::default();
    let key: Arc<str> = "k".into();
    let balance = |a: &Accounts, name: &str| {
        let b = a.balance(&account(name, Over::Total), NOW);
        (b.spent, b.held)
    };
    accounts.hold(&key, &[charge("a", 6, 10)], NOW).unwrap();
    accounts.hold(&key, &[charge("a", 6, 10)], NOW).unwrap();
    assert_eq!(balance(&accounts, "a"), (0, 6));
    let error = accounts.hold(&key, &[charge("b", 1, 10), charge("a", 11, 10)], NOW).unwrap_err();
    assert!(error.message().contains("a (money per total) has $0.000000004 of $0.00000001 left"), "{error}");
    assert_eq!((balance(&accounts, "a"), balance(&accounts, "b")), ((0, 6), (0, 0)));

    assert_eq!(accounts.charge(&key, &attempt(1, 4)).len(), 1);
    assert!(accounts.charge(&key, &attempt(1, 4)).is_empty(), "an attempt counts once");
    assert_eq!(balance(&accounts, "a"), (4, 2));
    accounts.close(&key);
    accounts.close(&key);
    assert_eq!(balance(&accounts, "a"), (4, 0));
    accounts.charge(&key, &attempt(2, 3));
    assert_eq!(balance(&accounts, "a"), (7, 0), "what comes late still counts");
    accounts.hold(&key, &[charge("a", 3, 10)], NOW).unwrap();
    assert!(accounts.hold(&"other".into(), &[charge("a", 1, 10)], NOW).is_err());
}

#[test]
fn windows_begin_anew_and_a_hold_stays_in_its_own() {
    let mut accounts = Accounts::default();
    let minute = |amount| Charge { account: account("a", Over::Minute), amount, limit: Some(10) };
    let later = NOW.plus(std::time::Duration::from_secs(60));
    let key: Arc<str> = "k".into();
    accounts.hold(&key, &[minute(10)], NOW).unwrap();
    assert!(
        accounts
            .hold(&"l".into(), &[minute(1)], NOW)
            .unwrap_err()
            .message()
            .contains("resets at 2023-11-14T22:14:00")
    );
    accounts.hold(&"l".into(), &[minute(10)], later).unwrap();
    accounts.charge(&key, &attempt(1, 10));
    assert_eq!(accounts.balance(&account("a", Over::Minute), NOW).spent, 10);
    assert_eq!(accounts.balance(&account("a", Over::Minute), later).spent, 0);
}

#[derive(Clone, Debug)]
enum Act {
    Hold(u8, i64),
    Charge(u8, i64),
    Close(u8),
}

proptest! {
    /// Over any interleaving: what is held and spent is never above the limit unless an attempt really used
    /// more than was held for it, and nothing is ever negative.
    #[test]
    fn no_interleaving_overspends(acts in proptest::collection::vec(prop_oneof![
        (0_u8..5, 0_i64..60).prop_map(|(k, n)| Act::Hold(k, n)),
        (0_u8..5, 0_i64..60).prop_map(|(k, n)| Act::Charge(k, n)),
        (0_u8..5).prop_map(Act::Close),
    ], 0..60)) {
        let mut accounts = Accounts::default();
        let mut overrun = 0;
        let mut spent = 0;
        for (i, act) in acts.iter().enumerate() {
            let key = |k: &u8| -> Arc<str> { k.to_string().into() };
            match act {
                Act::Hold(k, amount) => drop(accounts.hold(&key(k), &[charge("a", *amount, 100)], NOW)),
                Act::Charge(k, cost) => {
                    let held = accounts.holds.get(&key(k)).map_or(0, |h| h.lines.first().map_or(0, |l| l.held));
                    for (_, grown) in accounts.charge(&key(k), &attempt(i as u128, *cost)) {
                        overrun += (grown - held).max(0);
                        spent += grown;
                    }
                }
                Act::Close(k) => accounts.close(&key(k)),
            }
            let balance = accounts.balance(&account("a", Over::Total), NOW);
            prop_assert!(balance.spent >= 0 && balance.held >= 0);
            prop_assert_eq!(balance.spent, spent);
            prop_assert!(balance.spent + balance.held <= 100 + overrun);
        }
        for k in 0..5_u8 {
            accounts.close(&k.to_string().into());
        }
        prop_assert_eq!(accounts.balance(&account("a", Over::Total), NOW).held, 0);
    }
}
