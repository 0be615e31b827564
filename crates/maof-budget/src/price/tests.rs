//! Prices: as written, under conditions, in files, and beside another reader of the same data.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod asked;
mod files;
mod oracle;
mod rates;
mod written;

use maof_core::Timestamp;

use super::{Day, PriceConfig, Prices};

/// A day, and hours and minutes of it.
fn at(day: &str, hour: u64, minute: u64) -> Timestamp {
    day.parse::<Day>().unwrap().begins().plus(std::time::Duration::from_secs(hour * 3_600 + minute * 60))
}

fn prices(json: &str) -> Prices {
    serde_json::from_str::<PriceConfig>(json).unwrap().prices().unwrap()
}
