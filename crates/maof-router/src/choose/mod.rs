//! From a pool to an order: filter, rank, spread.
//!
//! - `split`: which way a call goes.
//! - `sift`: who may be asked at all.
//! - `rank`: what comes first, and who is equal.
//! - `spread`: who of those who are equal.
//!
//! An order is kept in one list of numbers: a group, a key within it and a place in the pool each, so that sorting them is
//! sorting integers. A decision allocates that list, the order, scores where something is scored, and who is left out.

mod draft;
mod rank;
mod sift;
mod split;
mod spread;

pub(crate) use draft::Draft;
pub(crate) use rank::{Equal, rank};
pub(crate) use sift::{Sieve, field, sift};
pub(crate) use split::{Forks, Plan, Way, asks_for};
pub(crate) use spread::{Drawing, spread};
