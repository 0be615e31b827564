//! Prices: what a model charges for each class of usage, when, for how much and in which service.
//!
//! A [`TariffConfig`] is one tariff as people write it, a [`PriceConfig`] one or several [rates](RateConfig) with their
//! conditions, a [`Catalogue`] what is known of many models; one is built in. All become [`Prices`], which are asked.
//! Amounts are whole nano-dollars for a million units; docs/prices.md says what is rounded where.
//!
//! When not: what a provider itself reports as a cost is not asked for here, and not every provider does.
//!
//! ```
//! use maof_budget::{Catalogue, PriceConfig};
//! use maof_core::{Timestamp, Unit, Usage};
//! let haiku = Catalogue::bundled()?.find("anthropic", "claude-haiku-4-5-20251001").map(|model| model.prices());
//! let usage = Usage::default().with(Unit::Input, 1_000).with(Unit::CachedInput, 500).with(Unit::Output, 100);
//! let cost = haiku.transpose()?.map(|prices| prices.cost(&usage, Timestamp::from_micros(0), None)).transpose()?;
//! assert_eq!(cost.map(|cost| cost.to_string()), Some("$0.00155".to_owned()));
//! # Ok::<(), maof_core::Error>(())
//! ```

mod catalogue;
mod dollars;
mod genai;
mod known;
mod pattern;
mod rate;
mod schedule;
mod service;
mod tariff;

pub use catalogue::{Catalogue, LONGEST_FILE, Model, Source};
pub use dollars::Dollars;
pub use genai::{Converted, convert};
pub use known::{Config, Unknown};
pub use rate::{Day, Hours, PriceConfig, RateConfig};
pub use schedule::Prices;
pub(crate) use service::{Served, service};
pub use tariff::TariffConfig;

#[cfg(test)]
mod tests;
