//! Time, through a port: nothing in MAOF reads a clock elsewhere.
//!
//! ```
//! use maof_core::Timestamp;
//! let t = Timestamp::from_micros(1_700_000_000_123_456);
//! assert_eq!(t.to_string(), "2023-11-14T22:13:20.123456Z");
//! assert_eq!(t.as_secs(), 1_700_000_000);
//! ```

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

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

impl FromStr for Timestamp {
    type Err = Error;

    /// A day (`2026-11-01`, its first moment) or a moment (`2026-11-01T12:30:00Z`, with at most six decimals), in UTC.
    fn from_str(text: &str) -> Result<Timestamp> {
        parse(text).ok_or_else(|| {
            let why = format!("`{text}` is no time such as 2026-11-01 or 2026-11-01T12:30:00Z (UTC)");
            Error::invalid_request(why)
        })
    }
}

/// Civil date to days by the algorithm of Howard Hinnant, as [`Timestamp::date`].
fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time.strip_suffix('Z')?)),
        None => (text, None),
    };
    let number = |digits: &str, most: usize| -> Option<i64> {
        let plain = digits.len() <= most && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    let mut parts = date.split('-').map(|part| number(part, 4));
    let (Some(Some(year)), Some(Some(month)), Some(Some(day)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let (shifted, of_year) = if month > 2 { (month - 3, year) } else { (month + 9, year - 1) };
    let (era, year_of_era) = (of_year.div_euclid(400), of_year.rem_euclid(400));
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let days =
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    let midnight = Timestamp(days.checked_mul(86_400_000_000)?);
    // Only a date that there is comes back as itself.
    if date.len() != 10 || midnight.date() != (year, u32::try_from(month).ok()?, u32::try_from(day).ok()?) {
        return None;
    }
    let Some(time) = time else { return Some(midnight) };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = clock.split(':').map(|part| number(part, 2).filter(|_| part.len() == 2));
    let (Some(Some(h)), Some(Some(m)), Some(Some(s)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let micros = number(&format!("{fraction:0<6}"), 6)?;
    let fits = h < 24 && m < 60 && s < 60 && !fraction.is_empty();
    fits.then(|| Timestamp(midnight.0 + ((h * 60 + m) * 60 + s) * 1_000_000 + micros))
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

    #[test]
    fn times_are_read_as_they_are_written_and_nothing_else_is() {
        for text in
            ["0001-03-01T00:00:00.000000Z", "2024-02-29T23:59:59.000001Z", "1969-12-31T00:00:00.000000Z"]
        {
            assert_eq!(text.parse::<Timestamp>().ok().map(|t| t.to_string()).as_deref(), Some(text));
        }
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(text.parse::<Timestamp>().ok().map(|t| t.to_string()).as_deref(), expect, "{text}");
        };
        check("2026-11-01", Some("2026-11-01T00:00:00.000000Z"));
        check("2026-11-01T12:30:00Z", Some("2026-11-01T12:30:00.000000Z"));
        check("2026-11-01T12:30:00.5Z", Some("2026-11-01T12:30:00.500000Z"));
        for wrong in [
            "",
            "2026",
            "2026-13-01",
            "2026-02-29",
            "2026-1-01",
            "2026-11-01T",
            "2026-11-01T12:30Z",
            "2026-11-01T24:00:00Z",
            "2026-11-01T12:30:00",
            "2026-11-01T12:30:00.Z",
            "2026-11-01T12:30:00+01:00",
            "-026-11-01",
            "2026-11-01-01",
            "2026-11-+1",
            "2026-11-01T12:30:00.1234567Z",
        ] {
            check(wrong, None);
        }
    }
}
