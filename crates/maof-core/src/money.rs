//! Money in whole nano-dollars, and tariffs in whole nano-dollars per million units. No float touches a balance.
//!
//! ```
//! use maof_core::{Money, Tariff, Usage, Unit};
//! let tariff = Tariff::default().with(Unit::Input, 150_000_000).with(Unit::Output, 600_000_000);
//! let usage = Usage::default().with(Unit::Input, 1_000).with(Unit::Output, 10);
//! assert_eq!(tariff.cost(&usage)?, Money::from_nanos(156_000));
//! assert_eq!(Money::from_nanos(156_000).to_string(), "$0.000156");
//! # Ok::<(), maof_core::Error>(())
//! ```

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::usage::{Unit, Usage};

/// Nano-dollars in one dollar.
pub const NANOS_PER_DOLLAR: i64 = 1_000_000_000;

/// An amount of money: a whole number of nano-dollars (10^-9 USD), at most about 9.2 thousand million dollars.
///
/// Arithmetic saturates: an amount that does not fit stays at the end of the range, so that a sum can
/// never wrap round to something affordable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(i64);

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// From whole nano-dollars.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// In whole nano-dollars.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }

    /// The difference.
    #[must_use]
    pub const fn minus(self, other: Money) -> Money {
        Money(self.0.saturating_sub(other.0))
    }

    /// In dollars, for gauges and charts only: never compute with it.
    pub fn as_dollars_lossy(self) -> f64 {
        self.0 as f64 / NANOS_PER_DOLLAR as f64
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Money>>(iter: I) -> Money {
        iter.fold(Money::ZERO, Money::plus)
    }
}

impl fmt::Display for Money {
    /// As dollars with every digit that counts: `$0.000156`, `-$1.50`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.written(true, &mut [0; Money::WIDEST]))
    }
}

impl Money {
    /// Bytes that an amount has at most, written.
    pub const WIDEST: usize = 24;

    /// As `Display` writes it but for the currency's sign, for those who write many: `0.000156`, `-1.50`.
    ///
    /// ```
    /// use maof_core::Money;
    /// assert_eq!(Money::from_nanos(156_000).amount(&mut [0; Money::WIDEST]), "0.000156");
    /// ```
    pub fn amount(self, buffer: &mut [u8; Money::WIDEST]) -> &str {
        self.written(false, buffer)
    }

    /// Written from its end.
    fn written(self, currency: bool, buffer: &mut [u8; Money::WIDEST]) -> &str {
        let (mut rest, mut from) = (self.0.unsigned_abs(), buffer.len());
        let mut put = |byte: u8| {
            from = from.saturating_sub(1);
            if let Some(place) = buffer.get_mut(from) {
                *place = byte;
            }
        };
        let mut digit = || {
            let last = (rest % 10) as u8 + b'0';
            rest /= 10;
            (last, rest > 0)
        };
        let mut counts = false;
        for place in (1..=9).rev() {
            let (last, _) = digit();
            // Zeros at the end count as far as cents.
            counts |= last != b'0' || place <= 2;
            if counts {
                put(last);
            }
        }
        put(b'.');
        loop {
            let (last, more) = digit();
            put(last);
            if !more {
                break;
            }
        }
        if currency {
            put(b'$');
        }
        if self.0 < 0 {
            put(b'-');
        }
        buffer.get(from..).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
    }
}

impl FromStr for Money {
    type Err = Error;

    /// Reads dollars as written (`5`, `0.25`, `$0.000001`), at most nine decimals, without any float.
    fn from_str(text: &str) -> Result<Money> {
        let wrong =
            || Error::invalid_request(format!("`{text}` is not an amount in dollars; write it as 12.50"));
        let (sign, rest) = match text.trim().strip_prefix('-') {
            Some(rest) => (-1_i64, rest),
            None => (1, text.trim()),
        };
        let rest = rest.strip_prefix('$').unwrap_or(rest);
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty()
            || fraction.len() > 9
            || !digits(whole)
            || !digits(fraction)
        {
            return Err(wrong());
        }
        let dollars: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| wrong())? };
        let nanos: i64 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
        dollars
            .checked_mul(NANOS_PER_DOLLAR)
            .and_then(|n| n.checked_add(nanos))
            .map(|n| Money(sign * n))
            .ok_or_else(wrong)
    }
}

/// What an endpoint charges: whole nano-dollars per million units, one price a class of usage.
///
/// Per million, because some real prices are fractions of a nano-dollar per token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tariff([u64; Unit::COUNT]);

impl Tariff {
    /// Nothing costs anything.
    pub const FREE: Tariff = Tariff([0; Unit::COUNT]);

    /// The same tariff with `unit` at `nanos_per_million` nano-dollars per million.
    #[must_use]
    pub const fn with(mut self, unit: Unit, nanos_per_million: u64) -> Self {
        self.0[unit as usize] = nanos_per_million;
        self
    }

    /// Nano-dollars per million of `unit`.
    pub const fn price(&self, unit: Unit) -> u64 {
        self.0[unit as usize]
    }

    /// Whether everything is free.
    pub fn is_free(&self) -> bool {
        self.0.iter().all(|&p| p == 0)
    }

    /// What `usage` costs: ceil(Σ units × price / 10^6), computed in 128 bits and rounded up once.
    ///
    /// # Errors
    /// `too_large` when the cost does not fit the range of [`Money`].
    pub fn cost(&self, usage: &Usage) -> Result<Money> {
        let mut total: i128 = 0;
        for unit in Unit::ALL {
            total = self.exact(usage, unit).and_then(|p| total.checked_add(p)).ok_or_else(overflow)?;
        }
        rounded_up(total)
    }
}

impl Tariff {
    /// What each class of `usage` costs, for those that cost something. The parts are whole nano-dollars and sum to
    /// [`Tariff::cost`]: each is what it adds to the sum so far, rounded up, so less than a nano-dollar from its own exact cost.
    ///
    /// # Errors
    /// As [`Tariff::cost`].
    pub fn parts(&self, usage: &Usage) -> Result<impl Iterator<Item = (Unit, Money)>> {
        let (mut parts, mut exact, mut so_far) = ([Money::ZERO; Unit::COUNT], 0_i128, Money::ZERO);
        for (unit, part) in Unit::ALL.into_iter().zip(&mut parts) {
            exact = self.exact(usage, unit).and_then(|p| exact.checked_add(p)).ok_or_else(overflow)?;
            let sum = rounded_up(exact)?;
            *part = sum.minus(so_far);
            so_far = sum;
        }
        Ok(Unit::ALL.into_iter().zip(parts).filter(|(_, part)| *part != Money::ZERO))
    }

    /// In millionths of a nano-dollar.
    fn exact(&self, usage: &Usage, unit: Unit) -> Option<i128> {
        i128::from(usage.get(unit)).checked_mul(i128::from(self.price(unit)))
    }
}

/// Whole nano-dollars of millionths of one.
fn rounded_up(exact: i128) -> Result<Money> {
    // Rounded up by hand: `div_ceil` of signed integers is not stable.
    let nanos = exact / 1_000_000 + i128::from(exact % 1_000_000 != 0);
    i64::try_from(nanos).map(Money).map_err(|_| overflow())
}

fn overflow() -> Error {
    Error::too_large("the cost of this usage is beyond nine thousand million dollars")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dollars_are_read_as_written_or_refused() {
        let check = |text: &str, nanos: Option<i64>| {
            assert_eq!(text.parse::<Money>().ok().map(Money::nanos), nanos, "{text}");
        };
        check("5", Some(5_000_000_000));
        check("$0.25", Some(250_000_000));
        check("-1.5", Some(-1_500_000_000));
        check(".000000001", Some(1));
        for wrong in ["", "$", ".", "1.0000000001", "1e3", "1,5", "-", "9999999999999", "0x1", "+1", "1.-5"] {
            check(wrong, None);
        }
    }

    #[test]
    fn a_cost_is_rounded_up_once() {
        let tariff = Tariff::default().with(Unit::Input, 1).with(Unit::Output, 1);
        let usage = Usage::default().with(Unit::Input, 1).with(Unit::Output, 1);
        assert_eq!(tariff.cost(&usage).unwrap(), Money::from_nanos(1));
        let vast = Usage::default().with(Unit::Input, u64::MAX);
        assert!(Tariff::default().with(Unit::Input, u64::MAX).cost(&vast).is_err());
    }

    proptest! {
        /// M11, M07: parts are never negative, sum to the cost, and each is within a nano-dollar of its exact cost.
        #[test]
        fn the_parts_of_a_cost_sum_to_it(
            units in prop::array::uniform17(0_u64..1 << 34), prices in prop::array::uniform17(0_u64..1 << 44),
        ) {
            let (mut usage, mut tariff) = (Usage::default(), Tariff::default());
            for (at, unit) in Unit::ALL.into_iter().enumerate() {
                usage = usage.with(unit, units[at]);
                tariff = tariff.with(unit, prices[at]);
            }
            let Ok(cost) = tariff.cost(&usage) else {
                prop_assert!(tariff.parts(&usage).is_err());
                return Ok(());
            };
            let parts: Vec<(Unit, Money)> = tariff.parts(&usage).unwrap().collect();
            prop_assert_eq!(parts.iter().map(|(_, part)| *part).sum::<Money>(), cost);
            for (unit, part) in parts {
                let exact = i128::from(usage.get(unit)) * i128::from(tariff.price(unit));
                prop_assert!(part >= Money::ZERO);
                prop_assert!((i128::from(part.nanos()) * 1_000_000 - exact).abs() < 1_000_000);
            }
        }

        #[test]
        fn money_prints_and_parses_to_itself(nanos in any::<i64>().prop_filter("min", |n| *n != i64::MIN)) {
            let money = Money::from_nanos(nanos);
            prop_assert_eq!(money.to_string().parse::<Money>().unwrap(), money);
        }

        #[test]
        fn a_cost_is_never_below_the_exact_one_nor_a_nano_above(
            units in 0_u64..1 << 40, price in 0_u64..1 << 40,
        ) {
            let tariff = Tariff::default().with(Unit::Input, price);
            let exact = i128::from(units) * i128::from(price);
            match tariff.cost(&Usage::default().with(Unit::Input, units)) {
                Ok(cost) => {
                    let scaled = i128::from(cost.nanos()) * 1_000_000;
                    prop_assert!(scaled >= exact && scaled - exact < 1_000_000);
                }
                Err(_) => prop_assert!(exact / 1_000_000 >= i128::from(i64::MAX)),
            }
        }
    }
}
