//! What the ledger's rows tell: where the money went, where it will go, and how to spend less. Pure functions of what a
//! ledger answered ([`maof_core::Spending`]); none asks anybody or knows the time.
//!
//! - [`Breakdown`]: spending by dimensions, as JSON and as CSV.
//! - [`Forecast`]: what the month will come to.
//! - [`Suggestion`]: what would have cost less, with its saving and the evidence. Where there is no evidence there is no
//!   suggestion.
//! - [`reconcile`]: the ledger against what a provider says.
//!
//! Not for what may still be spent: that is the ledger's balance.
//!
//! ```
//! use maof_budget::report::Breakdown;
//! use maof_core::{Dimension, Group, Money, Spending, SpendingQuery, Spent, Timestamp};
//! let mut query = SpendingQuery::new("acme".parse()?, Timestamp::default(), Timestamp::from_micros(1));
//! query.by = vec![Dimension::Agent];
//! let spent = Spent { attempts: 2, cost: Money::from_nanos(5_000_000), ..Spent::default() };
//! let groups = vec![Group { values: vec![Some("analyst".into())], spent }];
//! let spending = Spending { groups, ..Spending::default() };
//! let csv = Breakdown { query: &query, spending: &spending }.csv();
//! assert_eq!(csv.lines().nth(1), Some("analyst,2,0,0,0.005,0,0,0,0"));
//! # Ok::<(), maof_core::Error>(())
//! ```

mod breakdown;
mod cheaper;
mod forecast;
mod reconcile;
mod repeated;
mod sizes;
mod suggestion;

pub use breakdown::Breakdown;
pub use cheaper::{Offer, Quality, cheaper};
pub use forecast::Forecast;
pub use reconcile::{Billed, Columns, Compared, Side, reconcile};
pub use repeated::{repeated_openings, repeated_questions};
pub use sizes::{oversized, unused_room};
pub use suggestion::{Evidence, Kind, Suggestion, dearest_first};

#[cfg(test)]
mod tests;
