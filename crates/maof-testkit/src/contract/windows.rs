//! What every ledger must do with windows other than those of the clock, and with every measure.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use maof_core::{Account, Attempt, Balance, Charge, ErrorKind, Measure, Retry, Timestamp, Unit, Usage};

use super::ledger::{NOW, Store, attempt, name};

fn account(measure: Measure, window: &str) -> Account {
    Account { tenant: name("t"), name: name("a"), measure, window: window.parse().unwrap() }
}

/// Money of the last half hour, of which there may be ten: counted by the minute.
fn rolling(amount: i64) -> [Charge; 1] {
    [Charge { account: account(Measure::Money, "rolling:30m"), amount, limit: Some(10) }]
}

fn minutes(minutes: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(60 * minutes))
}

async fn balance(store: &Store, account: &Account, now: Timestamp) -> (i64, i64) {
    let Balance { spent, held } = store.balance(account, now).await.unwrap();
    (spent, held)
}

/// What was spent counts for the whole length and at most a thirtieth of it longer, by itself.
pub async fn a_rolling_window_counts_until_all_of_it_is_over(store: Store) {
    let account = account(Measure::Money, "rolling:30m");
    let spend = |number: u128, amount: i64, at: Timestamp| {
        let store = store.clone();
        async move {
            let key: Arc<str> = number.to_string().into();
            let held = store.hold(&key, &rolling(amount), at).await;
            if held.is_ok() {
                store.charge(&key, attempt(number, amount));
                store.close(&key);
            }
            held
        }
    };
    let told = spend(1, 4, minutes(0)).await.unwrap();
    assert_eq!(told.len(), 1);
    spend(2, 5, minutes(20)).await.unwrap();
    assert_eq!(balance(&store, &account, minutes(20)).await, (9, 0));
    let refused = spend(3, 2, minutes(30)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.field()), (ErrorKind::BudgetExceeded, Some("a")));
    assert!(refused.message().contains("has $0.000000001 of $0.00000001 left"), "{refused}");
    spend(4, 1, minutes(30)).await.unwrap();
    assert_eq!(balance(&store, &account, minutes(30)).await, (10, 0));
    // The first is out of it; the second is not.
    assert_eq!(balance(&store, &account, minutes(31)).await, (6, 0));
    spend(5, 4, minutes(31)).await.unwrap();
    assert!(spend(6, 1, minutes(50)).await.is_err());
    spend(7, 5, minutes(51)).await.unwrap();
    assert_eq!(balance(&store, &account, minutes(24 * 60)).await, (0, 0));
}

/// A hold that is topped up belongs to the part in which it began, and counts with all that is within reach.
pub async fn a_raise_counts_with_what_began_later(store: Store) {
    let (early, late): (Arc<str>, Arc<str>) = ("early".into(), "late".into());
    store.hold(&early, &rolling(2), minutes(0)).await.unwrap();
    store.hold(&late, &rolling(7), minutes(10)).await.unwrap();
    assert!(store.hold(&early, &rolling(4), minutes(10)).await.is_err());
    store.hold(&early, &rolling(3), minutes(10)).await.unwrap();
    assert_eq!(balance(&store, &account(Measure::Money, "rolling:30m"), minutes(10)).await, (0, 10));
    // What began half an hour ago is still held, and counts no more.
    store.hold(&"later".into(), &rolling(3), minutes(31)).await.unwrap();
}

/// Whoever asks at the same time, whatever part their clocks are in.
pub async fn parts_of_a_window_are_held_side_by_side_within_one_limit(store: Store) {
    let holds = (0..40_u64).map(|number| {
        let store = store.clone();
        async move {
            let key: Arc<str> = format!("side {number}").into();
            store.hold(&key, &rolling(1), minutes(number % 4)).await.is_ok()
        }
    });
    let admitted = join_all(holds).await.into_iter().filter(|admitted| *admitted).count();
    assert_eq!(admitted, 10);
}

/// Budgets refill at midnight where their people are.
pub async fn a_day_is_that_of_its_zone(store: Store) {
    let charge = |amount| {
        let account = account(Measure::Money, "day@Pacific/Auckland");
        [Charge { account, amount, limit: Some(10) }]
    };
    // 2023-11-15T11:13:20 there; the next day begins at 11:00 UTC.
    store.hold(&"today".into(), &charge(10), NOW).await.unwrap();
    let refused = store.hold(&"too much".into(), &charge(1), NOW).await.unwrap_err();
    assert!(refused.message().contains("it resets at 2023-11-15T11:00:00"), "{refused}");
    let midnight: Timestamp = "2023-11-15T11:00:00Z".parse().unwrap();
    store.hold(&"tomorrow".into(), &charge(10), midnight).await.unwrap();
    assert_eq!(balance(&store, &account(Measure::Money, "day@Pacific/Auckland"), midnight).await, (0, 10));
}

/// An attempt moves each measure by what it used of it.
pub async fn each_measure_counts_its_own(store: Store) {
    let key: Arc<str> = "k".into();
    let charges =
        Measure::ALL.map(|measure| Charge { account: account(measure, "total"), amount: 9, limit: Some(50) });
    store.hold(&key, &charges, NOW).await.unwrap();
    let usage = Usage::default()
        .with(Unit::Input, 3)
        .with(Unit::CachedInput, 2)
        .with(Unit::Output, 1)
        .with(Unit::Reasoning, 6)
        .with(Unit::ToolCall, 4);
    store.charge(&key, Attempt { usage, ..attempt(1, 8) });
    let check = async |measure: Measure, spent: i64, held: i64| {
        assert_eq!(balance(&store, &account(measure, "total"), NOW).await, (spent, held), "{measure:?}");
    };
    for (measure, spent, held) in [
        (Measure::Money, 8, 1),
        (Measure::Tokens, 12, 0),
        (Measure::InputTokens, 5, 4),
        (Measure::OutputTokens, 7, 2),
        (Measure::Requests, 1, 8),
        (Measure::ToolCalls, 4, 5),
        (Measure::Concurrency, 0, 9),
    ] {
        check(measure, spent, held).await;
    }
    store.close(&key);
    check(Measure::ToolCalls, 4, 0).await;
    check(Measure::Concurrency, 0, 0).await;
}

/// Calls under way are no money: whoever has too many of them is to try again, not to give up.
pub async fn who_has_too_many_under_way_waits_until_one_has_ended(store: Store) {
    let one = [Charge { account: account(Measure::Concurrency, "total"), amount: 1, limit: Some(2) }];
    let keys: [Arc<str>; 3] = ["1".into(), "2".into(), "3".into()];
    store.hold(&keys[0], &one, NOW).await.unwrap();
    store.hold(&keys[1], &one, NOW).await.unwrap();
    let refused = store.hold(&keys[2], &one, NOW).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::RateLimited);
    assert!(matches!(refused.retry(), Retry::After(_)), "{refused}");
    store.charge(&keys[0], attempt(1, 1));
    store.close(&keys[0]);
    store.hold(&keys[2], &one, NOW).await.unwrap();
}
