//! What settings must be within.

use std::fmt::Display;
use std::ops::RangeInclusive;

use maof_core::{Error, Result};

/// The longest time that can be set: a day, in milliseconds.
pub(crate) const DAY_MS: u64 = 86_400_000;

/// Checks a number.
pub(crate) fn within<T: PartialOrd + Display>(
    field: &'static str,
    value: T,
    range: RangeInclusive<T>,
    must: &'static str,
) -> Result<()> {
    match range.contains(&value) {
        true => Ok(()),
        false => Err(Error::invalid_request(format!("{must}, not {value}")).param(field)),
    }
}
