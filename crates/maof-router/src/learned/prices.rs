//! List prices of models, read from a file.

use std::collections::BTreeMap;

use maof_core::{Error, Name, Result, Tariff, Unit};
use serde_json::{Map, Value};

/// What models charge.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices(BTreeMap<Name, Tariff>);

impl Prices {
    /// Reads `{"model": [input, output], …}`, in US dollars per million tokens, or an object of several such
    /// objects by set; of these, the first one that has a price for each of `arms` is taken. Keys that begin with
    /// `_` are remarks.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn parse(text: &str, arms: &[Name]) -> Result<Prices> {
        let all: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
            Error::invalid_request(format!("the prices are not one JSON object: {error}")).param("prices")
        })?;
        let flat = one_set(&all, "prices", arms);
        let sets = all.iter().filter_map(|(set, value)| Some((set, value.as_object()?)));
        let mut complete = None;
        for (set, prices) in sets {
            let found = one_set(prices, &format!("prices.{set}"), arms)?;
            if complete.is_none() && arms.iter().all(|arm| found.0.contains_key(arm)) {
                complete = Some(found);
            }
        }
        match complete {
            Some(prices) => Ok(prices),
            None => {
                let flat = flat?;
                match arms.iter().find(|arm| !flat.0.contains_key(*arm)) {
                    None => Ok(flat),
                    Some(arm) => {
                        let why =
                            format!("no set of prices has every model; in the whole file `{arm}` has none");
                        Err(Error::invalid_request(why).param(format!("prices.{arm}")))
                    }
                }
            }
        }
    }

    /// What a model charges; free where nothing is known.
    pub fn of(&self, arm: &Name) -> Tariff {
        self.0.get(arm).copied().unwrap_or_default()
    }
}

/// The prices of those of `arms` that one object names.
fn one_set(set: &Map<String, Value>, field: &str, arms: &[Name]) -> Result<Prices> {
    let mut prices = BTreeMap::new();
    for arm in arms {
        let Some(value) = set.get(arm.as_str()) else { continue };
        let pair = value.as_array().map(|pair| pair.iter().map(nanos).collect::<Vec<_>>());
        let Some([Some(input), Some(output)]) = pair.as_deref() else {
            let why =
                format!("the price of `{arm}` must be [input, output] in US dollars per million tokens");
            return Err(Error::invalid_request(why).param(format!("{field}.{arm}")));
        };
        let tariff = Tariff::default().with(Unit::Input, *input).with(Unit::Output, *output);
        prices.insert(arm.clone(), tariff);
    }
    Ok(Prices(prices))
}

/// Nano-dollars of a price in dollars, up to a million of them.
fn nanos(price: &Value) -> Option<u64> {
    let dollars = price.as_f64().filter(|dollars| (0.0..=1e6).contains(dollars))?;
    Some((dollars * 1e9).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arms() -> Vec<Name> {
        ["a", "b"].map(|name| Name::new(name).unwrap()).to_vec()
    }

    #[test]
    fn prices_are_read_flat_or_by_set() {
        let check = |text: &str| {
            let prices = Prices::parse(text, &arms()).unwrap();
            let b = prices.of(&arms()[1]);
            assert_eq!(
                (b.price(Unit::Input), b.price(Unit::Output)),
                (1_500_000_000, 2_000_000_000),
                "{text}"
            );
        };
        check(r#"{"a": [0, 0], "b": [1.5, 2]}"#);
        check(r#"{"_unit": "x", "one": {"b": [9, 9]}, "two": {"a": [1, 1], "b": [1.5, 2], "c": [3, 3]}}"#);
    }

    #[test]
    fn a_wrong_price_is_told_by_field() {
        let check = |text: &str, field: &str| {
            let error = Prices::parse(text, &arms()).unwrap_err();
            assert_eq!(error.field(), Some(field), "{text}: {error:?}");
        };
        check("[", "prices");
        check(r#"{"a": [1, 1]}"#, "prices.b");
        check(r#"{"s": {"a": [1, 1], "b": [1]}}"#, "prices.s.b");
        check(r#"{"a": [1, 1], "b": [-1, 1]}"#, "prices.b");
    }
}
