//! What a month will come to.

use maof_core::{Timestamp, Window};
use serde::Serialize;

/// What an account is expected to spend until the end of the month.
///
/// The month's end = what is spent so far + the mean of the last complete days × the days that are left. The mean is of at
/// most seven days, so that each day of the week counts once. It is assumed that the days to come are like these: the
/// average method (<https://otexts.com/fpp3/simple-methods.html>) over a week; nothing of growth, holidays or
/// plans is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// Spent in this month until now.
    pub so_far: i64,
    /// Spent on each of the last complete days, on average, rounded up.
    pub per_day: i64,
    /// How many complete days that is the mean of.
    pub days: u32,
    /// What the month will have come to at its end.
    pub month_end: i64,
}

impl Forecast {
    /// The most days that are looked at.
    pub const DAYS: usize = 7;

    /// From what was spent on complete days, the latest last (those without spending are 0), and in this month until `now`;
    /// none without a complete day.
    ///
    /// ```
    /// use maof_budget::report::Forecast;
    /// let noon = "2026-11-21T12:00:00Z".parse()?;
    /// let forecast = Forecast::new(100, &[4, 6], noon).map(|f| (f.per_day, f.month_end));
    /// assert_eq!(forecast, Some((5, 148))); // nine and a half days are left, at 5 a day
    /// # Ok::<(), maof_core::Error>(())
    /// ```
    pub fn new(so_far: i64, complete: &[i64], now: Timestamp) -> Option<Forecast> {
        let last = complete.get(complete.len().saturating_sub(Self::DAYS)..)?;
        let days = i128::try_from(last.len()).ok().filter(|days| *days > 0)?;
        let sum: i128 = last.iter().copied().map(i128::from).sum();
        let left = Window::Month.end(now)?.since(now).as_micros();
        let left = i128::try_from(left).ok()?;
        let whole = |number: i128| i64::try_from(number).unwrap_or(i64::MAX);
        let up = |part: i128, of: i128| part / of + i128::from(part % of > 0);
        Some(Forecast {
            so_far,
            per_day: whole(up(sum, days)),
            days: last.len() as u32,
            month_end: whole(i128::from(so_far) + up(sum * left, days * DAY)),
        })
    }

    /// When an account of which so much is left will have nothing left, if it goes on so and that is within this month.
    pub fn runs_out(&self, left: i64, now: Timestamp) -> Option<Timestamp> {
        let micros = i128::from(left.max(0)) * DAY / i128::from(self.per_day.max(1));
        let at = Timestamp::from_micros(now.micros().checked_add(i64::try_from(micros).ok()?)?);
        (self.per_day > 0 && Window::Month.end(now).is_some_and(|end| at < end)).then_some(at)
    }
}

/// Microseconds of a day.
const DAY: i128 = 86_400_000_000;
