//! Amounts of dollars as people write them.

use std::fmt;

use maof_core::{Error, Money};
use schemars::JsonSchema;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// An amount of US dollars as it is written: a number or a text, at most nine decimals. Never a float inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dollars(pub Money);

impl Dollars {
    pub(crate) fn is_zero(&self) -> bool {
        self.0 == Money::ZERO
    }
}

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
