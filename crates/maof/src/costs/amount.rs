//! Amounts of what is counted, and moments, as reports say them.

use maof_core::{Measure, Money, Result, Timestamp};
use serde::{Serialize, Serializer};

/// So much of what is counted: written as dollars in a text, since JSON's numbers are floats to many, or as a number of
/// tokens or requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// What is counted.
    pub measure: Measure,
    /// Nano-dollars, tokens or requests.
    pub amount: i64,
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.measure {
            Measure::Money => {
                serializer.serialize_str(Money::from_nanos(self.amount).amount(&mut [0; Money::WIDEST]))
            }
            _ => serializer.serialize_i64(self.amount),
        }
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.measure {
            Measure::Money => Money::from_nanos(self.amount).fmt(f),
            _ => self.amount.fmt(f),
        }
    }
}

pub(super) fn moment<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.to_string()).serialize(serializer)
}
