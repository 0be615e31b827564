//! What every ledger must say of what was spent.

use std::collections::BTreeMap;
use std::sync::Arc;

use maof_core::{
    Attempt, Dimension, ErrorKind, Money, Name, Spending, SpendingQuery, Timestamp, Unit, Usage,
};

use super::ledger::{Store, attempt};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
/// 2023-11-13T00:00:00Z
const MONDAY: i64 = 1_699_833_600_000_000;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn query(by: &[&str]) -> SpendingQuery {
    let until = Timestamp::from_micros(MONDAY + 30 * DAY);
    let mut query = SpendingQuery::new(name("t"), Timestamp::from_micros(MONDAY), until);
    query.by = by.iter().map(|by| by.parse().unwrap()).collect();
    query
}

/// Attempts that differ in everything, and some of another tenant.
fn many() -> Vec<Attempt> {
    let pick = |number: u64, of: &[&'static str]| of[(number % of.len() as u64) as usize];
    let one = |number: u64| {
        let like = attempt(u128::from(number) + 1, 0);
        let team: BTreeMap<Name, Name> = [(name("team"), name(pick(number, &["red", "blue"])))].into();
        let usage = Usage::default()
            .with(Unit::Input, number * 97)
            .with(Unit::CachedInput, number % 4 * 1_000)
            .with(Unit::Output, number % 6 * 10)
            .with(Unit::Reasoning, number % 2);
        Attempt {
            tenant: name(if number % 11 == 10 { "other" } else { "t" }),
            user: name(pick(number, &["alice", "bob", "Zoe"])),
            key: number.is_multiple_of(3).then(|| name("ci")),
            team: number.is_multiple_of(4).then(|| name("research")),
            tier: name(pick(number, &["free", "gold"])),
            task_type: number.is_multiple_of(5).then(|| name("summary")),
            tags: (number % 7 > 2).then(|| Arc::new(team)),
            agent: name(pick(number, &["analyst", "editor", "clerk"])),
            endpoint: name(pick(number / 2, &["mini", "haiku"])),
            model: pick(number, &["a \"model\", indeed", "m"]).into(),
            began: Timestamp::from_micros(MONDAY + number as i64 * DAY / 7),
            micros: number * 3,
            usage: if number.is_multiple_of(9) { usage.estimate() } else { usage },
            cost: Money::from_nanos((number * number * 700_000_001) as i64),
            failure: (number % 8 == 7).then(|| maof_core::Error::unavailable("away").failure()),
            purpose: like.purpose,
            asked: (number % 3 != 1).then_some(number * 40),
            price: (number % 6 > 2).then(|| pick(number, &["config", "file 1"]).into()),
            question: number.is_multiple_of(2).then_some(number % 10),
            opening: (number % 5 < 3).then_some(number % 5),
            ..like
        }
    };
    (0..70).map(one).collect()
}

async fn with(store: &Store, attempts: &[Attempt]) {
    for attempt in attempts {
        store.charge(&"k".into(), attempt.clone());
    }
    store.flush().await.unwrap();
}

/// Whatever it is asked for by: as if the attempts were added up one by one.
pub async fn spending_is_what_the_attempts_come_to(store: Store) {
    let attempts = many();
    with(&store, &attempts).await;
    let each: Vec<Vec<String>> = Dimension::NAMED.iter().map(|by| vec![by.to_string()]).collect();
    let together = [
        vec!["agent", "day"],
        vec!["tag:team", "user", "tier", "task_type"],
        vec!["endpoint", "input_size"],
        vec!["tag:nobody-says-this"],
        vec![],
    ];
    let together = together.into_iter().map(|by| by.into_iter().map(str::to_owned).collect());
    for by in each.into_iter().chain(together) {
        let by: Vec<&str> = by.iter().map(String::as_str).collect();
        for (at_least, limit) in [(1, 1_000), (1, 2), (4, 3), (1_000, 9)] {
            let asked = SpendingQuery { at_least, limit, ..query(&by) };
            let expect = Spending::over(&asked, attempts.iter()).unwrap();
            let got = store.spending(&asked).await.unwrap();
            assert_eq!(got, expect, "{by:?}, at least {at_least}, {limit} groups");
            if at_least > 1 {
                continue;
            }
            let total: Money = attempts.iter().filter(|a| a.tenant == "t").map(|a| a.cost).sum();
            assert_eq!(got.total().cost, total, "{by:?}: nothing is left out");
        }
    }
}

/// A few sums, worked out by hand.
pub async fn groups_are_the_dearest_first_and_the_rest_is_summed(store: Store) {
    let one = |number: u128, agent: &str, cost| Attempt {
        agent: name(agent),
        began: at(1),
        ..attempt(number, cost)
    };
    with(&store, &[one(1, "a", 5), one(2, "b", 7), one(3, "a", 4), one(4, "c", 1), one(5, "d", 1)]).await;
    let asked = SpendingQuery { limit: 2, ..query(&["agent", "day"]) };
    let got = store.spending(&asked).await.unwrap();
    let groups: Vec<(String, String, u64, i64)> = got
        .groups
        .iter()
        .map(|group| {
            let value = |i: usize| group.values[i].as_deref().unwrap().to_owned();
            (value(0), value(1), group.spent.attempts, group.spent.cost.nanos())
        })
        .collect();
    let day = || "2023-11-13".to_owned();
    assert_eq!(groups, [("a".to_owned(), day(), 2, 9), ("b".to_owned(), day(), 1, 7)]);
    assert_eq!((got.others, got.rest.attempts, got.rest.cost.nanos()), (2, 2, 2));
    assert_eq!((got.rest.usage.input_tokens(), got.rest.usage.output_tokens()), (6, 4));
    assert_eq!((got.rest.first, got.rest.bounded, got.rest.asked, got.rest.longest), (Some(at(1)), 2, 18, 2));
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(MONDAY + micros)
}

/// From the first moment on, before the last one, and of one tenant.
pub async fn spending_is_of_its_tenant_and_its_time(store: Store) {
    let one = |number: u128, micros| Attempt { began: at(micros), ..attempt(number, 1) };
    with(&store, &[one(1, -1), one(2, 0), one(3, 9), one(4, 10)]).await;
    let ten = SpendingQuery { until: at(10), ..query(&[]) };
    assert_eq!(store.spending(&ten).await.unwrap().total().attempts, 2);
    let theirs = SpendingQuery { tenant: name("other"), ..ten.clone() };
    assert_eq!(store.spending(&theirs).await.unwrap(), Spending::default());
    let only = |by: &str, value: &str| SpendingQuery {
        only: vec![(by.parse().unwrap(), value.into())],
        ..ten.clone()
    };
    for (by, value, attempts) in [
        ("user", "u", 2),
        ("user", "x", 0),
        ("tag:team", "finance", 2),
        ("tag:a.b", "c", 2),
        ("tag:team", "x", 0),
        ("team", "x", 2),
    ] {
        let got = store.spending(&only(by, value)).await.unwrap().total().attempts;
        assert_eq!(got, attempts, "{by} = {value}");
    }
}

/// What is falsely told does not break the sums of the rest.
pub async fn vast_amounts_do_not_stop_a_report(store: Store) {
    let vast = |number: u128| Attempt {
        usage: Usage::default().with(Unit::Input, u64::MAX).with(Unit::Output, u64::MAX),
        began: at(1),
        micros: u64::MAX,
        asked: Some(u64::MAX),
        ..attempt(number, i64::MAX)
    };
    let attempts: Vec<Attempt> = (1..=3).map(vast).collect();
    with(&store, &attempts).await;
    let asked = query(&["agent", "input_size"]);
    let got = store.spending(&asked).await.unwrap();
    assert_eq!(got, Spending::over(&asked, attempts.iter()).unwrap());
    assert_eq!(got.total().cost, Money::from_nanos(i64::MAX));
}

/// Refused before the database is asked.
pub async fn a_question_that_makes_no_sense_is_refused_by_field(store: Store) {
    let check = async |asked: SpendingQuery, field: &str| {
        let error = store.spending(&asked).await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidRequest, Some(field)));
    };
    check(query(&["agent", "agent"]), "by").await;
    check(query(&["agent", "user", "tier", "day", "model"]), "by").await;
    check(SpendingQuery { limit: 0, ..query(&[]) }, "limit").await;
    check(SpendingQuery { limit: 10_001, ..query(&[]) }, "limit").await;
    check(SpendingQuery { until: at(0), ..query(&[]) }, "until").await;
}
