//! What is charged for each class of usage, as people write it.
//!
//! ```
//! # use maof_budget::TariffConfig;
//! # use maof_core::Unit;
//! let price: TariffConfig = serde_json::from_str(r#"{"input": 0.15, "output": "0.60", "request": 0}"#)?;
//! assert_eq!(price.tariff().map_err(|e| e.to_string())?.price(Unit::Output), 600_000_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use maof_core::{Error, Result, Tariff, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dollars::Dollars;

/// What an endpoint charges, in US dollars per million units; `request`, `image`, `server_tool` and `audio_minute` in US
/// dollars for each. Default: 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TariffConfig {
    /// Input tokens that no cache served.
    #[serde(skip_serializing_if = "Dollars::is_zero")]
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
    /// Input tokens of sound read from a cache. Default: as `audio_input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_audio: Option<Dollars>,
    /// Input tokens of pictures, where the provider counts them apart. Default: as `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_input: Option<Dollars>,
    /// Output tokens.
    #[serde(skip_serializing_if = "Dollars::is_zero")]
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
    #[serde(skip_serializing_if = "Dollars::is_zero")]
    pub image: Dollars,
    /// Each minute of sound heard; not per million.
    #[serde(skip_serializing_if = "Dollars::is_zero")]
    pub audio_minute: Dollars,
    /// Each use of a tool that the provider runs, such as a search; not per million.
    #[serde(skip_serializing_if = "Dollars::is_zero")]
    pub server_tool: Dollars,
    /// Characters of the question.
    #[serde(skip_serializing_if = "Dollars::is_zero")]
    pub character: Dollars,
    /// Each request; not per million.
    #[serde(skip_serializing_if = "Dollars::is_zero")]
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
        let sound = input(self.audio_input);
        // Sixty thousand milliseconds are a minute; fifty thirds of a price for each make a million of them.
        let minute = price("audio_minute", self.audio_minute, 50)?.div_ceil(3);
        Ok(Tariff::default()
            .with(Unit::Input, price("input", self.input, 1)?)
            .with(Unit::CachedInput, price("cached_input", input(self.cached_input), 1)?)
            .with(Unit::CacheWrite, price("cache_write", written, 1)?)
            .with(Unit::CacheWriteLong, price("cache_write_long", long, 1)?)
            .with(Unit::AudioInput, price("audio_input", sound, 1)?)
            .with(Unit::CachedAudio, price("cached_audio", self.cached_audio.unwrap_or(sound), 1)?)
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

    /// The field of the first class that costs something in `first` and nothing in `other`.
    pub(crate) fn left_out(first: &Tariff, other: &Tariff) -> Option<&'static str> {
        const FIELDS: [(Unit, &str); 8] = [
            (Unit::Input, "input"),
            (Unit::Output, "output"),
            (Unit::Image, "image"),
            (Unit::AudioMs, "audio_minute"),
            (Unit::ServerTool, "server_tool"),
            (Unit::Character, "character"),
            (Unit::Request, "request"),
            (Unit::CachedInput, "cached_input"),
        ];
        FIELDS.iter().find(|(unit, _)| first.price(*unit) > 0 && other.price(*unit) == 0).map(|(_, f)| *f)
    }
}
