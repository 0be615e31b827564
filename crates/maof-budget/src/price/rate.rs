//! Rates: what is charged under which conditions, as people write it, in configuration and in price files alike.
//!
//! ```
//! use maof_budget::PriceConfig;
//! use maof_core::{Timestamp, Unit, Usage};
//! // A price that rises beyond 200,000 input tokens, and is halved in batches.
//! let price: PriceConfig = serde_json::from_str(r#"[
//!     {"price": {"input": 1.25, "output": 10}},
//!     {"over": 200000, "price": {"input": 2.50, "output": 15}},
//!     {"service": "batch", "price": {"input": 0.625, "output": 5}}
//! ]"#)?;
//! let prices = price.prices().map_err(|e| e.to_string())?;
//! let usage = Usage::default().with(Unit::Input, 200_001);
//! let (noon, text) = (Timestamp::from_micros(0), |m: maof_core::Money| m.to_string());
//! assert_eq!(prices.cost(&usage, noon, None).map(text).map_err(|e| e.to_string())?, "$0.5000025");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::str::FromStr;

use maof_core::{Error, Result, Timestamp};
use schemars::JsonSchema;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::schedule::Prices;
use super::tariff::TariffConfig;

/// The most rates that a model may have.
const MOST_RATES: usize = 256;

/// One rate: a tariff, and the conditions under which it holds. A request is charged by the last rate of which every
/// condition holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateConfig {
    /// The first day (UTC) on which it holds, written `2026-10-19`. Default: it always held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Day>,
    /// The hours of the day (UTC) in which it holds, written `16:30-00:30`; the last minute is not among them. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// It holds for requests of more input tokens than this, cached ones included, and then for all their tokens.
    /// Default 0: for all requests.
    #[serde(skip_serializing_if = "is_zero")]
    pub over: u64,
    /// The service that was asked for (OpenAI's and Anthropic's `service_tier`), such as `flex` or `priority`; `batch` for
    /// what is asked in batches. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What is charged.
    pub price: TariffConfig,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl RateConfig {
    /// Whether it holds without any condition.
    pub(crate) fn is_plain(&self) -> bool {
        self.from.is_none() && self.hours.is_none() && self.over == 0 && self.service.is_none()
    }
}

/// What an endpoint charges: one tariff, or a list of [rates](RateConfig) of which the first has no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PriceConfig(pub Vec<RateConfig>);

impl From<TariffConfig> for PriceConfig {
    fn from(price: TariffConfig) -> Self {
        PriceConfig(vec![RateConfig { price, ..RateConfig::default() }])
    }
}

impl PriceConfig {
    /// Checks every rate.
    ///
    /// # Errors
    /// `invalid_request` naming the field: as [`PriceConfig::prices`].
    pub fn validate(&self) -> Result<()> {
        self.prices().map(drop)
    }

    /// What is charged when, in nano-dollars per million units.
    ///
    /// # Errors
    /// `invalid_request` naming the rate and its field where an amount is negative or too large, where there is a gap (no
    /// rate, a first one with a condition, a class that costs in the first rate and is left out in another), and where
    /// there are more than 256 rates.
    pub fn prices(&self) -> Result<Prices> {
        let wrong =
            |field: String, why: &str| Error::invalid_request(format!("`{field}`: {why}")).param(field);
        match self.0.first() {
            None => return Err(wrong("price".to_owned(), "a gap: no rate is given")),
            Some(first) if !first.is_plain() => {
                let why = "a gap: the first rate holds where no other does, so it has no `from`, `hours`, `over` or `service`";
                return Err(wrong("price[0]".to_owned(), why));
            }
            Some(_) if self.0.len() > MOST_RATES => {
                return Err(wrong("price".to_owned(), "at most 256 rates are taken"));
            }
            Some(_) => {}
        }
        let mut tariffs = Vec::with_capacity(self.0.len());
        for (i, rate) in self.0.iter().enumerate() {
            let at = |field: &str| match self.0.len() {
                1 => format!("price.{field}"),
                _ => format!("price[{i}].price.{field}"),
            };
            let named = |e: Error| {
                let field = at(e.field().unwrap_or_default());
                wrong(field, e.message())
            };
            let tariff = rate.price.tariff().map_err(named)?;
            let first = tariffs.first().unwrap_or(&tariff);
            if let Some(class) = TariffConfig::left_out(first, &tariff) {
                let why = "a gap: the first rate charges for it, so this one must say what it costs";
                return Err(wrong(at(class), why));
            }
            tariffs.push(tariff);
        }
        Ok(Prices::new(self.0.iter().zip(tariffs)))
    }
}

impl<'de> Deserialize<'de> for PriceConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = PriceConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a tariff such as {input: 1, output: 5}, or a list of rates")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<PriceConfig, A::Error> {
                TariffConfig::deserialize(de::value::MapAccessDeserializer::new(map)).map(PriceConfig::from)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> std::result::Result<PriceConfig, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(PriceConfig)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for PriceConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PriceConfig".into()
    }

    fn json_schema(schemas: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let tariff = schemas.subschema_for::<TariffConfig>();
        let rates = schemas.subschema_for::<Vec<RateConfig>>();
        schemars::json_schema!({
            "description": "What an endpoint charges: one tariff, or a list of rates of which the first has no condition",
            "anyOf": [tariff, rates],
        })
    }
}

/// A day, by its number since 1970-01-01 (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub(crate) i64);

impl Day {
    /// Its first moment.
    pub fn begins(self) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_mul(86_400_000_000))
    }
}

impl FromStr for Day {
    type Err = Error;

    fn from_str(text: &str) -> Result<Day> {
        let wrong = || Error::invalid_request(format!("`{text}` is no day; write it as 2026-10-19"));
        let mut numbers = text.split('-').map(|part| {
            let digits = part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<i64>().ok().filter(|_| digits).ok_or_else(wrong)
        });
        let mut next = || numbers.next().unwrap_or_else(|| Err(wrong()));
        let (year, month, day) = (next()?, next()?, next()?);
        let known = text.len() == 10 && (1970..=9999).contains(&year) && (1..=12).contains(&month);
        // Civil date to days by the algorithm of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
        let shifted = if month > 2 { year } else { year - 1 };
        let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let days =
            era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
        // A day that there is comes back as it was written.
        if known && Day(days).to_string() == text { Ok(Day(days)) } else { Err(wrong()) }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.begins().date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// Hours of the day (UTC), in minutes since midnight: from the first until before the second; over midnight where that
/// is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours(pub(crate) u32, pub(crate) u32);

impl Hours {
    /// Whether a minute of the day is among them.
    pub(crate) fn has(self, minute: u32) -> bool {
        let Hours(from, until) = self;
        if from < until { (from..until).contains(&minute) } else { minute >= from || minute < until }
    }
}

impl FromStr for Hours {
    type Err = Error;

    fn from_str(text: &str) -> Result<Hours> {
        let minute = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let number = |text: &str, below: u32| {
                let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
                text.parse::<u32>().ok().filter(|n| digits && *n < below)
            };
            Some(number(hour, 24)? * 60 + number(minute, 60)?)
        };
        let read = text.split_once('-').and_then(|(from, until)| Some(Hours(minute(from)?, minute(until)?)));
        read.filter(|Hours(from, until)| from != until).ok_or_else(|| {
            Error::invalid_request(format!("`{text}` are no hours of the day; write them as 16:30-00:30"))
        })
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hours(from, until) = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

/// What is written as a text.
macro_rules! as_text {
    ($($name:ident: $about:literal),*) => {$(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|e: Error| de::Error::custom(e.message()))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"description": $about, "type": "string"})
            }
        }
    )*};
}

as_text!(Day: "A day in UTC, written 2026-10-19", Hours: "Hours of the day in UTC, written 16:30-00:30");
