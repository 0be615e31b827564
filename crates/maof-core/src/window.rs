//! Over which time an account counts.
//!
//! ```
//! use maof_core::{Timestamp, Window};
//! let now: Timestamp = "2023-11-14T22:13:20Z".parse()?;
//! let start = |window: &str| window.parse::<Window>().map(|w| w.start(now).to_string());
//! assert_eq!(start("total")?, "1970-01-01T00:00:00.000000Z");
//! assert_eq!(start("month")?, "2023-11-01T00:00:00.000000Z");
//! // In Auckland it is the fifteenth already, and midnight was at eleven in the morning, UTC.
//! assert_eq!(start("day@Pacific/Auckland")?, "2023-11-14T11:00:00.000000Z");
//! // Of the last 24 hours, in parts of 48 minutes: what this part counts is gone from the sum a day after the part.
//! assert_eq!(start("rolling:24h")?, "2023-11-14T21:36:00.000000Z");
//! # Ok::<(), maof_core::Error>(())
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp as Moment;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Timestamp;
use crate::error::{Error, Result};

const DAY: i64 = 86_400;

/// Over which time an account counts. An amount belongs to the window in which its hold began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// For ever: `total`.
    #[default]
    Total,
    /// One minute of the clock: `minute`.
    Minute,
    /// One hour of the clock (UTC): `hour`.
    Hour,
    /// One calendar day, in UTC: `day`.
    Day,
    /// One calendar month, in UTC: `month`.
    Month,
    /// One calendar day where this time is told: `day@Europe/Berlin`. It has 23 or 25 hours where clocks are changed.
    DayIn(Zone),
    /// One calendar month where this time is told: `month@Europe/Berlin`.
    MonthIn(Zone),
    /// The time until now of this length: `rolling:24h`.
    Rolling(Length),
}

impl Window {
    /// Its name, by which it is read again.
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Total => "total",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::DayIn(zone) => return Cow::Owned(format!("day@{zone}")),
            Self::MonthIn(zone) => return Cow::Owned(format!("month@{zone}")),
            Self::Rolling(length) => return Cow::Owned(format!("rolling:{length}")),
        })
    }

    /// When the window that holds `now` began; 1970 for [`Window::Total`]. Of a rolling window: when the part did that
    /// holds `now`.
    pub fn start(self, now: Timestamp) -> Timestamp {
        let whole = |seconds: i64| moment(now.as_secs().div_euclid(seconds) * seconds);
        match self {
            Self::Total => Timestamp::default(),
            Self::Minute => whole(60),
            Self::Hour => whole(3_600),
            Self::Day => whole(DAY),
            Self::Month => {
                let (_, _, day) = now.date();
                moment((now.as_secs().div_euclid(DAY) - i64::from(day - 1)) * DAY)
            }
            Self::DayIn(zone) => zone.midnight(now, Some).unwrap_or_else(|| Self::Day.start(now)),
            Self::MonthIn(zone) => zone
                .midnight(now, |date| Some(date.first_of_month()))
                .unwrap_or_else(|| Self::Month.start(now)),
            Self::Rolling(length) => whole(length.part()),
        }
    }

    /// When what is counted at `now` counts no more; none for [`Window::Total`].
    pub fn end(self, now: Timestamp) -> Option<Timestamp> {
        let start = self.start(now);
        let after = |seconds: i64| Some(moment(start.as_secs().saturating_add(seconds)));
        match self {
            Self::Total => None,
            Self::Minute => after(60),
            Self::Hour => after(3_600),
            Self::Day => after(DAY),
            // The longest month and a day lands in the next one whatever this one is.
            Self::Month => Some(self.start(start.plus(Duration::from_secs(32 * DAY as u64)))),
            Self::DayIn(zone) => zone.midnight(now, |date| date.tomorrow().ok()).or_else(|| after(DAY)),
            Self::MonthIn(zone) => zone
                .midnight(now, |date| date.last_of_month().tomorrow().ok())
                .or_else(|| Self::Month.end(now)),
            Self::Rolling(length) => after(length.part() + length.seconds()),
        }
    }

    /// How far apart the beginnings of two parts of the window are at most that count together; zero for all but rolling
    /// ones, which are one part.
    pub const fn reach(self) -> Duration {
        match self {
            Self::Rolling(length) => Duration::from_secs(length.0 as u64),
            _ => Duration::ZERO,
        }
    }

    /// When the parts began that count at `now`, the last one first: one, or thirty-one of a rolling window.
    pub fn parts(self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        let (start, part) = match self {
            Self::Rolling(length) => (self.start(now), length.part()),
            _ => (self.start(now), 0),
        };
        let parts = if part == 0 { 1 } else { i64::from(Length::PARTS) + 1 };
        (0..parts).map(move |back| moment(start.as_secs().saturating_sub(back * part)))
    }

    /// When the time began in which something is to be said once: the window's start; of a rolling one, the last multiple of its
    /// length.
    pub fn once_since(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Rolling(length) => moment(now.as_secs().div_euclid(length.seconds()) * length.seconds()),
            other => other.start(now),
        }
    }
}

fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds.saturating_mul(1_000_000))
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl FromStr for Window {
    type Err = Error;

    fn from_str(text: &str) -> Result<Window> {
        Ok(match text {
            "total" => Self::Total,
            "minute" => Self::Minute,
            "hour" => Self::Hour,
            "day" => Self::Day,
            "month" => Self::Month,
            _ => match text.split_once(['@', ':']) {
                Some(("day", zone)) if text.contains('@') => Self::DayIn(zone.parse()?),
                Some(("month", zone)) if text.contains('@') => Self::MonthIn(zone.parse()?),
                Some(("rolling", length)) if text.contains(':') => Self::Rolling(length.parse()?),
                _ => {
                    let why = format!(
                        "`{text}` is none of total, minute, hour, day, month, day@ZONE, month@ZONE (such as day@Europe/Berlin), \
                         rolling:LENGTH (such as rolling:24h)"
                    );
                    return Err(Error::invalid_request(why).param("window"));
                }
            },
        })
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(|e: Error| serde::de::Error::custom(e.message()))
    }
}

/// The length of a rolling window: whole multiples of 30 seconds up to 31 days. It is counted in thirty parts, each of which
/// counts until all of it is older than that: never less than what was spent in the length, and at most a thirtieth of it longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Length(u32);

impl Length {
    /// Parts of a window.
    pub const PARTS: u32 = 30;
    /// The longest, in seconds: windows that are longer than a month would be forgotten while they count.
    pub const LONGEST: u32 = 31 * DAY as u32;

    const UNITS: [(char, u32); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

    const fn seconds(self) -> i64 {
        self.0 as i64
    }

    const fn part(self) -> i64 {
        (self.0 / Self::PARTS) as i64
    }
}

impl fmt::Display for Length {
    /// In the largest unit of which it is a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = Self::UNITS.into_iter().find(|(_, seconds)| self.0.is_multiple_of(*seconds));
        let (unit, seconds) = unit.unwrap_or(('s', 1));
        write!(f, "{}{unit}", self.0 / seconds)
    }
}

impl FromStr for Length {
    type Err = Error;

    fn from_str(text: &str) -> Result<Length> {
        let known = Self::UNITS.into_iter().find_map(|(unit, seconds)| {
            let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
            number.checked_mul(seconds)
        });
        let fits =
            |seconds: &u32| (1..=Self::LONGEST).contains(seconds) && seconds.is_multiple_of(Self::PARTS);
        known.filter(fits).map(Length).ok_or_else(|| {
            let why = format!(
                "`{text}` is no length of a rolling window: write 90s, 30m, 24h or 30d; a multiple of 30 seconds, at most 31 days"
            );
            Error::invalid_request(why).param("window")
        })
    }
}

/// A time zone of the IANA's database, which is built in.
#[derive(Clone, Copy)]
pub struct Zone(&'static Known);

struct Known {
    name: String,
    rules: TimeZone,
}

/// Zones that were asked for; there are no more of them than the database has names.
static KNOWN: Mutex<BTreeMap<String, &'static Known>> = Mutex::new(BTreeMap::new());

impl Zone {
    /// Its name, as the database writes it: `Europe/Berlin`.
    pub fn name(&self) -> &'static str {
        &self.0.name
    }

    /// The first moment of a date there, told by the date there now; none at the ends of the calendar.
    fn midnight(
        self,
        now: Timestamp,
        of: impl FnOnce(jiff::civil::Date) -> Option<jiff::civil::Date>,
    ) -> Option<Timestamp> {
        let now = Moment::from_microsecond(now.micros()).ok()?;
        let date = of(self.0.rules.to_datetime(now).date())?;
        let first = date.to_zoned(self.0.rules.clone()).ok()?.start_of_day().ok()?;
        Some(Timestamp::from_micros(first.timestamp().as_microsecond()))
    }
}

impl FromStr for Zone {
    type Err = Error;

    fn from_str(text: &str) -> Result<Zone> {
        let unknown = || {
            let why = format!("`{text}` is no time zone of the IANA's database; write it as Europe/Berlin");
            Error::invalid_request(why).param("window")
        };
        let rules = TimeZoneDatabase::bundled().get(text).map_err(|_| unknown())?;
        let name = rules.iana_name().ok_or_else(unknown)?.to_owned();
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let zone = known
            .entry(name.clone())
            .or_insert_with(|| Box::leak(Box::new(Known { name, rules: rules.clone() })));
        Ok(Zone(zone))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Zone {}

impl PartialOrd for Zone {
    fn partial_cmp(&self, other: &Zone) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Zone {
    fn cmp(&self, other: &Zone) -> std::cmp::Ordering {
        self.name().cmp(other.name())
    }
}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // There is one of each name.
        std::ptr::from_ref(self.0).hash(state);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn windows_begin_and_end_by_the_calendar_of_their_zone() {
        let check = |window: &str, now: &str, start: &str, end: Option<&str>| {
            let window: Window = window.parse().unwrap();
            assert_eq!(window.start(at(now)), at(start), "{window} at {now}");
            assert_eq!(window.end(at(now)), end.map(at), "{window} at {now}");
        };
        let leap = "2024-02-29T23:59:59Z";
        check("total", leap, "1970-01-01", None);
        check("minute", leap, "2024-02-29T23:59:00Z", Some("2024-03-01"));
        check("hour", leap, "2024-02-29T23:00:00Z", Some("2024-03-01"));
        check("day", leap, "2024-02-29", Some("2024-03-01"));
        check("month", leap, "2024-02-01", Some("2024-03-01"));
        check("day@UTC", leap, "2024-02-29", Some("2024-03-01"));
        check("day@Europe/Berlin", leap, "2024-02-29T23:00:00Z", Some("2024-03-01T23:00:00Z"));
        check("month@Europe/Berlin", leap, "2024-02-29T23:00:00Z", Some("2024-03-31T22:00:00Z"));
        check("month@America/New_York", leap, "2024-02-01T05:00:00Z", Some("2024-03-01T05:00:00Z"));
        // Clocks are changed: days of 23 and of 25 hours, and one that begins at one in the morning.
        check(
            "day@Europe/Berlin",
            "2024-03-31T12:00:00Z",
            "2024-03-30T23:00:00Z",
            Some("2024-03-31T22:00:00Z"),
        );
        check(
            "day@Europe/Berlin",
            "2024-10-27T12:00:00Z",
            "2024-10-26T22:00:00Z",
            Some("2024-10-27T23:00:00Z"),
        );
        check(
            "day@Africa/Cairo",
            "2024-04-26T12:00:00Z",
            "2024-04-25T22:00:00Z",
            Some("2024-04-26T21:00:00Z"),
        );
        check("rolling:30s", leap, leap, Some("2024-03-01T00:00:30Z"));
        check("rolling:1h", leap, "2024-02-29T23:58:00Z", Some("2024-03-01T01:00:00Z"));
        check("rolling:30d", leap, "2024-02-29", Some("2024-03-31"));
    }

    #[test]
    fn a_rolling_window_counts_its_whole_length_and_at_most_a_part_more() {
        let window: Window = "rolling:24h".parse().unwrap();
        let spent = at("2024-02-29T10:13:00Z");
        let counts = |now: Timestamp| now < window.end(spent).unwrap();
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        assert!(counts(spent.plus(hours(24))));
        assert!(!counts(spent.plus(hours(24) + Duration::from_secs(48 * 60))));
        // What counts together is that far apart.
        let first = window.start(spent);
        assert!(
            counts(first.plus(window.reach()))
                && !counts(first.plus(window.reach() + Duration::from_secs(48 * 60)))
        );
        assert_eq!(window.once_since(spent), at("2024-02-29"));
        let parts: Vec<_> = window.parts(spent).collect();
        assert_eq!(
            (parts.len(), parts[0], parts[30]),
            (31, at("2024-02-29T09:36:00Z"), at("2024-02-28T09:36:00Z"))
        );
        assert_eq!(Window::Day.parts(spent).collect::<Vec<_>>(), [at("2024-02-29")]);
        assert_eq!(Window::Day.once_since(spent), at("2024-02-29"));
    }

    #[test]
    fn names_are_read_again_and_others_are_refused() {
        let check = |text: &str, name: &str| {
            let window: Window = text.parse().unwrap();
            assert_eq!((window.name().as_ref(), window.to_string().parse().ok()), (name, Some(window)));
            let json = serde_json::to_string(&window).unwrap();
            assert_eq!(
                (json.as_str(), serde_json::from_str(&json).ok()),
                (&*format!("\"{name}\""), Some(window))
            );
        };
        for name in
            ["total", "minute", "hour", "day", "month", "month@Asia/Kolkata", "rolling:7d", "rolling:90s"]
        {
            check(name, name);
        }
        check("day@europe/berlin", "day@Europe/Berlin");
        check("rolling:3600s", "rolling:1h");
        for wrong in [
            "",
            "week",
            "day@",
            "day@Nowhere",
            "hour@UTC",
            "day:UTC",
            "rolling",
            "rolling:",
            "rolling:0s",
            "rolling:31s",
            "rolling:32d",
            "rolling:1w",
            "rolling:-1h",
            "rolling@24h",
            "rolling:4294967295d",
            "day@../../etc/passwd",
        ] {
            let error = wrong.parse::<Window>().unwrap_err();
            assert_eq!(error.field(), Some("window"), "{wrong}: {error}");
        }
        assert!(serde_json::from_str::<Window>("\"week\"").is_err());
    }
}
