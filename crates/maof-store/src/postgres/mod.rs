//! The ledger in a PostgreSQL that several processes ("nodes") share: what one of them holds, none of the others spends.
//!
//! Where one process works alone, [`crate::SqliteStore`] is simpler and its holds cost no round trip.
//!
//! Everything that a node sends (holds, attempts, ends of holds) goes through one queue and one task, which sends what
//! has piled up while the last batch was on its way: one call of one SQL function, one transaction, whatever the number
//! of callers. So a hold costs one round trip, and many callers of one account do not wait for one another's commits.
//! The function locks accounts in one order and decides on their rows, so the sum of what was admitted never exceeds a
//! limit, on however many nodes. Only holds are waited for: charges and closes are sent. A batched hold is mostly not even
//! waited for: it takes a part of what its node holds for all of its calls.
//!
//! Holds are rows that name their node. A node gives signs of life; what one that died still held counts as spent and
//! is written down in the table `lost_hold`. If it lives after all, it gets that back. See docs/adr/0016.
//!
//! ```no_run
//! # async fn example() -> maof_core::Result<()> {
//! use maof_store::postgres::{Config, PostgresLedger};
//! let config = Config { url: maof_core::Secret::new("postgres://maof@db/maof"), ..Config::default() };
//! let tracker = tokio_util::task::TaskTracker::new();
//! let ledger = PostgresLedger::open(&config, &"node-1".parse()?, &tracker).await?;
//! drop(ledger); // what was sent is written, then the task ends
//! tracker.close();
//! tracker.wait().await;
//! # Ok(()) }
//! ```

mod apply;
mod attempts;
mod batch;
mod config;
mod keep;
mod ledger;
mod open;
mod queue;
mod slice;
mod slices;
mod snapshots;
mod source;
mod writer;

pub use config::Config;
pub use ledger::PostgresLedger;

pub(crate) use apply::{How, away};
pub(crate) use keep::{Lost, live, told};
pub(crate) use queue::{Keys, Queue};
pub(crate) use slice::slice_key;
pub(crate) use slices::Slices;
pub(crate) use source::{Grown, Growth, Lane, Part, Source, Unused, Wanted};
pub(crate) use writer::{Duty, Writer};

#[cfg(test)]
mod tests;
