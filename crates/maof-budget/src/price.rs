//! Prices as people write them: US dollars per million units.
//!
//! ```
//! # use maof_budget::TariffConfig;
//! # use maof_core::Unit;
//! let price: TariffConfig = serde_json::from_str(r#"{"input": 0.15, "output": "0.60", "request": 0}"#)?;
//! assert_eq!(price.tariff().map_err(|e| e.to_string())?.price(Unit::Output), 600_000_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use maof_core::{Error, Money, Result, Tariff, Unit};
use schemars::JsonSchema;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// An amount of US dollars as it is written: a number or a text, at most nine decimals. Never a float inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dollars(pub Money);

impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.to_string().trim_start_matches('$'))
    }
}

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl Visitor<'_> for Written {
            type Value = Dollars;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of dollars such as 0.15")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Dollars, E> {
                text.parse().map(Dollars).map_err(|e: Error| E::custom(e.message()))
            }

            fn visit_u64<E: de::Error>(self, whole: u64) -> Result<Dollars, E> {
                self.visit_str(&whole.to_string())
            }

            fn visit_i64<E: de::Error>(self, whole: i64) -> Result<Dollars, E> {
                self.visit_str(&whole.to_string())
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Dollars, E> {
                // The shortest text that reads back as this float is what was written, up to 15 digits.
                self.visit_str(&number.to_string())
            }
        }

        deserializer.deserialize_any(Written)
    }
}

impl JsonSchema for Dollars {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dollars".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "US dollars: a number or a text, at most nine decimals",
            "type": ["number", "string"],
        })
    }
}

/// What an endpoint charges, in US dollars per million units; `request` in US dollars for each. Default: 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TariffConfig {
    /// Input tokens that no cache served.
    pub input: Dollars,
    /// Input tokens read from a cache. Default: as `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Dollars>,
    /// Input tokens written to a cache. Default: as `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Dollars>,
    /// Output tokens.
    pub output: Dollars,
    /// Reasoning tokens. Default: as `output`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Dollars>,
    /// Characters of the question.
    pub character: Dollars,
    /// Each request; not per million.
    pub request: Dollars,
}

impl TariffConfig {
    /// Checks the prices.
    ///
    /// # Errors
    /// `invalid_request` naming the price that is negative or too large.
    pub fn validate(&self) -> Result<()> {
        self.tariff().map(drop)
    }

    /// As nano-dollars per million units.
    ///
    /// # Errors
    /// As [`TariffConfig::validate`].
    pub fn tariff(&self) -> Result<Tariff> {
        let price = |field: &'static str, dollars: Dollars, times: u64| {
            let nanos = u64::try_from(dollars.0.nanos()).ok().and_then(|n| n.checked_mul(times));
            nanos.ok_or_else(|| {
                Error::invalid_request("a price is neither negative nor astronomical").param(field)
            })
        };
        let cached = self.cached_input.unwrap_or(self.input);
        let written = self.cache_write.unwrap_or(self.input);
        let reasoning = self.reasoning.unwrap_or(self.output);
        Ok(Tariff::default()
            .with(Unit::Input, price("input", self.input, 1)?)
            .with(Unit::CachedInput, price("cached_input", cached, 1)?)
            .with(Unit::CacheWrite, price("cache_write", written, 1)?)
            .with(Unit::Output, price("output", self.output, 1)?)
            .with(Unit::Reasoning, price("reasoning", reasoning, 1)?)
            .with(Unit::Character, price("character", self.character, 1)?)
            .with(Unit::Request, price("request", self.request, 1_000_000)?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_as_written_without_a_float() {
        let check = |text: &str, nanos: Option<i64>| {
            let read = serde_json::from_str::<Dollars>(text).ok().map(|d| d.0.nanos());
            assert_eq!(read, nanos, "{text}");
        };
        check("0.15", Some(150_000_000));
        check("\"0.15\"", Some(150_000_000));
        check("0.000000001", Some(1));
        check("3", Some(3_000_000_000));
        check("0.1", Some(100_000_000));
        check("0.0000000001", None);
        check("true", None);
        check("\"a\"", None);
    }

    #[test]
    fn a_wrong_price_is_refused_by_name() {
        let check = |text: &str, field: &str| {
            let config: TariffConfig = serde_json::from_str(text).unwrap();
            assert_eq!(config.validate().unwrap_err().field(), Some(field));
        };
        check("{\"output\": -1}", "output");
        check("{\"request\": 900000000}", "request");
        assert!(serde_json::from_str::<TariffConfig>("{\"inputs\": 1}").is_err());
    }

    #[test]
    fn what_is_not_said_of_caches_costs_what_input_costs() {
        let config: TariffConfig = serde_json::from_str("{\"input\": 2, \"output\": 8}").unwrap();
        let tariff = config.tariff().unwrap();
        assert_eq!(tariff.price(Unit::CachedInput), tariff.price(Unit::Input));
        assert_eq!(tariff.price(Unit::Reasoning), tariff.price(Unit::Output));
    }
}
