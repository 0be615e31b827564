//! What recorded exchanges cost: worked out by hand from published prices, beside what MAOF charges by its built-in ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod by_hand;
mod recorded;

use std::collections::{BTreeMap, BTreeSet};

use by_hand::{ROWS, Row};
use maof_budget::price::{Catalogue, Day};
use maof_core::{Money, Timestamp, Unit, Usage};

/// The usage of every recording, by folder and source.
fn used() -> BTreeMap<(String, String), Usage> {
    let of = |(folder, dialect): (&'static str, _)| {
        let each = recorded::used(folder, dialect).into_iter();
        each.map(move |(source, _, usage)| ((folder.to_owned(), source), usage))
    };
    recorded::FOLDERS.into_iter().flat_map(of).collect()
}

fn at(row: &Row) -> Timestamp {
    let (day, hour) = row.at;
    day.parse::<Day>().unwrap().begins().plus(std::time::Duration::from_secs(u64::from(hour) * 3_600))
}

/// M07, M11: exactly, to the nano-dollar, class by class.
#[test]
fn recorded_exchanges_cost_what_is_worked_out_by_hand() {
    let used = used();
    for row in &ROWS {
        let (folder, source) = row.recorded;
        let Some(usage) = used.get(&(folder.to_owned(), source.to_owned())) else {
            assert!(used.is_empty(), "{source} is not recorded");
            println!("skipped: no recordings");
            return;
        };
        let by_hand = row.parts.iter().fold(Usage::default(), |u, (unit, units, ..)| u.with(*unit, *units));
        assert_eq!(*usage, by_hand, "{source}: what was used");
        let (provider, model) = row.model;
        let prices = Catalogue::bundled().unwrap().find(provider, model).expect(model).prices().unwrap();
        let tariff = prices.tariff(at(row), None, usage.input_tokens());
        for (unit, units, price, product) in row.parts {
            let dollars = match unit {
                Unit::ServerTool | Unit::Image => tariff.price(*unit) / 1_000_000,
                _ => tariff.price(*unit),
            };
            let published: Money = price.parse().unwrap();
            assert_eq!(dollars, published.nanos() as u64, "{source}: the price of {unit}");
            assert_eq!(tenths(units * tariff.price(*unit)), *product, "{source}: the product of {unit}");
        }
        assert_eq!(prices.cost(usage, at(row), None).unwrap().nanos(), row.nanos, "{source}: the cost");
        let parts: Money = tariff.parts(usage).unwrap().map(|(_, part)| part).sum();
        assert_eq!(parts.nanos(), row.nanos, "{source}: the sum of its parts");
    }
}

/// Nano-dollars of millionths of one, as people write them.
fn tenths(millionths: u64) -> String {
    let written = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
    written.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[test]
fn of_each_provider_and_class_that_is_recorded_a_cost_is_worked_out() {
    let used = used();
    let classes =
        |usage: &Usage| Unit::ALL.into_iter().filter(|unit| usage.get(*unit) > 0).collect::<Vec<_>>();
    let recorded: BTreeSet<(String, Unit)> = used
        .iter()
        .flat_map(|((folder, _), usage)| classes(usage).into_iter().map(|u| (folder.clone(), u)))
        .collect();
    let worked_out: BTreeSet<(String, Unit)> = ROWS
        .iter()
        .flat_map(|row| row.parts.iter().map(|(unit, ..)| (row.recorded.0.to_owned(), *unit)))
        .collect();
    let missing: Vec<_> = recorded.difference(&worked_out).collect();
    println!("{} exchanges, {} of provider and class", used.len(), recorded.len());
    assert!(missing.is_empty(), "{missing:?}");
    assert!(used.is_empty() || used.len() >= 590, "{}", used.len());
}
