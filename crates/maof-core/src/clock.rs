//! Time, through a port: nothing in MAOF reads a clock elsewhere.
//!
//! ```
//! use maof_core::Timestamp;
//! let t = Timestamp::from_micros(1_700_000_000_123_456);
//! assert_eq!(t.to_string(), "2023-11-14T22:13:20.123456Z");
//! assert_eq!(t.as_secs(), 1_700_000_000);
//! ```

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time of day, for people and for windows of budgets. May jump.
    fn now(&self) -> Timestamp;
    /// A time that never goes back, for durations and deadlines.
    fn instant(&self) -> Instant;
}

/// A moment: whole microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// In microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// In whole seconds since 1970, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The moment `duration` later, at most the last one there is.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Year, month (1-12) and day (1-31) in UTC.
    ///
    /// Days to civil date by the algorithm of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    pub fn date(self) -> (i64, u32, u32) {
        let days = self.as_secs().div_euclid(86_400) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 } as u32;
        (year_of_era + era * 400 + i64::from(month <= 2), month, day)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with microseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        let secs = self.as_secs().rem_euclid(86_400);
        let micros = self.0.rem_euclid(1_000_000);
        let (h, m, s) = (secs / 3_600, secs / 60 % 60, secs % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{micros:06}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339() {
        let check = |secs: i64, expect: &str| {
            assert_eq!(Timestamp::from_micros(secs * 1_000_000).to_string(), expect);
        };
        check(0, "1970-01-01T00:00:00.000000Z");
        check(-1, "1969-12-31T23:59:59.000000Z");
        check(951_782_400, "2000-02-29T00:00:00.000000Z");
        check(4_107_542_400, "2100-03-01T00:00:00.000000Z");
    }
}
