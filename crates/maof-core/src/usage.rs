//! What a call used, in disjoint classes: no unit is counted in two of them, and they sum to the provider's total.
//!
//! ```
//! use maof_core::{Unit, Usage};
//! let usage = Usage::default().with(Unit::Input, 7).with(Unit::CachedInput, 3).with(Unit::Output, 5);
//! assert_eq!(usage.input_tokens(), 10);
//! assert_eq!(usage.total_tokens(), 15);
//! ```

use std::borrow::Cow;
use std::fmt;
use std::ops::AddAssign;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A class of usage. Token classes are disjoint: `Input` leaves out what was read from or written to a
/// cache, `Output` leaves out reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(usize)]
pub enum Unit {
    /// Input tokens that no cache served.
    Input,
    /// Input tokens read from a provider's cache.
    CachedInput,
    /// Input tokens written to a provider's cache.
    CacheWrite,
    /// Input tokens written to a provider's cache to be kept for an hour.
    CacheWriteLong,
    /// Input tokens of sound that no cache served.
    AudioInput,
    /// Input tokens of sound read from a provider's cache.
    CachedAudio,
    /// Input tokens of pictures, where a provider counts them by themselves.
    ImageInput,
    /// Output tokens without reasoning.
    Output,
    /// Output tokens spent on reasoning.
    Reasoning,
    /// Output tokens of sound.
    AudioOutput,
    /// Output tokens of pictures.
    ImageOutput,
    /// Uses of tools that the provider runs and charges for, such as a search.
    ServerTool,
    /// Calls of the caller's own tools that the reply asks for; counted here, priced by nobody.
    ToolCall,
    /// Images made or read.
    Image,
    /// Milliseconds of audio.
    AudioMs,
    /// Characters (speech, and agents that charge by text length).
    Character,
    /// Requests.
    Request,
}

impl Unit {
    /// How many classes there are.
    pub const COUNT: usize = 17;

    /// Every class.
    pub const ALL: [Unit; Unit::COUNT] = [
        Self::Input,
        Self::CachedInput,
        Self::CacheWrite,
        Self::CacheWriteLong,
        Self::AudioInput,
        Self::CachedAudio,
        Self::ImageInput,
        Self::Output,
        Self::Reasoning,
        Self::AudioOutput,
        Self::ImageOutput,
        Self::ServerTool,
        Self::ToolCall,
        Self::Image,
        Self::AudioMs,
        Self::Character,
        Self::Request,
    ];

    /// The classes of input tokens.
    pub const INPUT: [Unit; 7] = [
        Self::Input,
        Self::CachedInput,
        Self::CacheWrite,
        Self::CacheWriteLong,
        Self::AudioInput,
        Self::CachedAudio,
        Self::ImageInput,
    ];

    /// The classes of output tokens.
    pub const OUTPUT: [Unit; 4] = [Self::Output, Self::Reasoning, Self::AudioOutput, Self::ImageOutput];

    /// The class's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CachedInput => "cached_input",
            Self::CacheWrite => "cache_write",
            Self::CacheWriteLong => "cache_write_long",
            Self::AudioInput => "audio_input",
            Self::CachedAudio => "cached_audio",
            Self::ImageInput => "image_input",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioOutput => "audio_output",
            Self::ImageOutput => "image_output",
            Self::ServerTool => "server_tool",
            Self::ToolCall => "tool_call",
            Self::Image => "image",
            Self::AudioMs => "audio_ms",
            Self::Character => "character",
            Self::Request => "request",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Units by class. Written as a map of the classes that are not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    units: [u64; Unit::COUNT],
    /// Whether a provider gave none and MAOF estimated it.
    pub estimated: bool,
}

impl Usage {
    /// The same usage with `units` of `unit`.
    #[must_use]
    pub const fn with(mut self, unit: Unit, units: u64) -> Self {
        self.units[unit as usize] = units;
        self
    }

    /// The same usage, flagged as estimated.
    #[must_use]
    pub const fn estimate(mut self) -> Self {
        self.estimated = true;
        self
    }

    /// Units of one class.
    pub const fn get(&self, unit: Unit) -> u64 {
        self.units[unit as usize]
    }

    /// All input tokens, cached or not, of every kind.
    pub const fn input_tokens(&self) -> u64 {
        self.sum(&Unit::INPUT)
    }

    /// All output tokens, reasoning included, of every kind.
    pub const fn output_tokens(&self) -> u64 {
        self.sum(&Unit::OUTPUT)
    }

    const fn sum(&self, classes: &[Unit]) -> u64 {
        let (mut sum, mut at) = (0_u64, 0);
        while at < classes.len() {
            sum = sum.saturating_add(self.get(classes[at]));
            at += 1;
        }
        sum
    }

    /// All tokens.
    pub const fn total_tokens(&self) -> u64 {
        self.input_tokens().saturating_add(self.output_tokens())
    }

    /// Whether nothing was used.
    pub fn is_zero(&self) -> bool {
        self.units.iter().all(|&n| n == 0)
    }
}

impl AddAssign for Usage {
    /// Adds class by class; estimated if either part is.
    fn add_assign(&mut self, other: Usage) {
        for (mine, theirs) in self.units.iter_mut().zip(other.units) {
            *mine = mine.saturating_add(theirs);
        }
        self.estimated = self.estimated || other.estimated;
    }
}

impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for unit in Unit::ALL {
            if self.get(unit) > 0 {
                map.serialize_entry(unit.as_str(), &self.get(unit))?;
            }
        }
        if self.estimated {
            map.serialize_entry("estimated", &true)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Usage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Usage;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of usage classes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Usage, A::Error> {
                let mut usage = Usage::default();
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    match Unit::ALL.into_iter().find(|unit| unit.as_str() == name) {
                        Some(unit) => usage.units[unit as usize] = map.next_value()?,
                        None if name == "estimated" => usage.estimated = map.next_value()?,
                        // A class of a later version.
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(usage)
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_written_and_read_back() {
        let mut usage = Usage::default().estimate();
        for (i, unit) in Unit::ALL.into_iter().enumerate() {
            usage = usage.with(unit, i as u64 + 1);
        }
        let text = serde_json::to_string(&usage).unwrap();
        assert_eq!(serde_json::from_str::<Usage>(&text).unwrap(), usage);
        assert_eq!(serde_json::to_string(&Usage::default()).unwrap(), "{}");
    }

    #[test]
    fn adding_saturates_and_keeps_the_flag() {
        let mut usage = Usage::default().with(Unit::Input, u64::MAX);
        usage += Usage::default().with(Unit::Input, 1).estimate();
        assert_eq!((usage.get(Unit::Input), usage.estimated), (u64::MAX, true));
    }
}
