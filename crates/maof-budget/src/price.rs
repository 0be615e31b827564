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

/// What an endpoint charges, in US dollars per million units; `request`, `image`, `server_tool` and `audio_minute` in US
/// dollars for each. Default: 0.
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
    /// Input tokens written to a cache for an hour. Default: as `cache_write`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_long: Option<Dollars>,
    /// Input tokens of sound. Default: as `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<Dollars>,
    /// Input tokens of pictures, where the provider counts them apart. Default: as `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_input: Option<Dollars>,
    /// Output tokens.
    pub output: Dollars,
    /// Reasoning tokens. Default: as `output`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Dollars>,
    /// Output tokens of sound. Default: as `output`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<Dollars>,
    /// Output tokens of pictures. Default: as `output`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_output: Option<Dollars>,
    /// Each picture made; not per million.
    pub image: Dollars,
    /// Each minute of sound heard; not per million.
    pub audio_minute: Dollars,
    /// Each use of a tool that the provider runs, such as a search; not per million.
    pub server_tool: Dollars,
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
        let input = |own: Option<Dollars>| own.unwrap_or(self.input);
        let output = |own: Option<Dollars>| own.unwrap_or(self.output);
        let written = input(self.cache_write);
        let long = self.cache_write_long.unwrap_or(written);
        // Sixty thousand milliseconds are a minute; fifty thirds of a price for each make a million of them.
        let minute = price("audio_minute", self.audio_minute, 50)?.div_ceil(3);
        Ok(Tariff::default()
            .with(Unit::Input, price("input", self.input, 1)?)
            .with(Unit::CachedInput, price("cached_input", input(self.cached_input), 1)?)
            .with(Unit::CacheWrite, price("cache_write", written, 1)?)
            .with(Unit::CacheWriteLong, price("cache_write_long", long, 1)?)
            .with(Unit::AudioInput, price("audio_input", input(self.audio_input), 1)?)
            .with(Unit::CachedAudio, price("audio_input", input(self.audio_input), 1)?)
            .with(Unit::ImageInput, price("image_input", input(self.image_input), 1)?)
            .with(Unit::Output, price("output", self.output, 1)?)
            .with(Unit::Reasoning, price("reasoning", output(self.reasoning), 1)?)
            .with(Unit::AudioOutput, price("audio_output", output(self.audio_output), 1)?)
            .with(Unit::ImageOutput, price("image_output", output(self.image_output), 1)?)
            .with(Unit::Image, price("image", self.image, 1_000_000)?)
            .with(Unit::AudioMs, minute)
            .with(Unit::ServerTool, price("server_tool", self.server_tool, 1_000_000)?)
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
        for unit in
            [Unit::CacheWrite, Unit::CacheWriteLong, Unit::AudioInput, Unit::CachedAudio, Unit::ImageInput]
        {
            assert_eq!(tariff.price(unit), tariff.price(Unit::Input), "{unit}");
        }
        for unit in [Unit::Reasoning, Unit::AudioOutput, Unit::ImageOutput] {
            assert_eq!(tariff.price(unit), tariff.price(Unit::Output), "{unit}");
        }
    }

    #[test]
    fn what_is_priced_by_the_piece_costs_that_for_each() {
        let check = |price: &str, unit: Unit, units: u64, nanos: i64| {
            let config: TariffConfig = serde_json::from_str(price).unwrap();
            let cost = config.tariff().unwrap().cost(&maof_core::Usage::default().with(unit, units)).unwrap();
            assert_eq!(cost.nanos(), nanos, "{price}");
        };
        check("{\"image\": 0.04}", Unit::Image, 3, 120_000_000);
        check("{\"audio_minute\": 0.006}", Unit::AudioMs, 90_000, 9_000_000);
        check("{\"server_tool\": 0.01}", Unit::ServerTool, 2, 20_000_000);
        check("{\"cache_write_long\": 6}", Unit::CacheWriteLong, 1000, 6_000_000);
    }
}
