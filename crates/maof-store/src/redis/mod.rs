//! A pool in Redis of what nodes have ready for their calls, before the ledger in PostgreSQL.
//!
//! In [`crate::postgres`] each node holds a part of an account, so that its calls need not ask. Here nodes share these
//! parts: what is spare lies in Redis, and a node that needs more takes it from there in one round trip, by one script, with
//! all else that its calls ask for at that moment. PostgreSQL is asked only where the pool has nothing; so nodes need small
//! parts, and an account can be used to nearly its end. One process alone needs no Redis, and few processes hardly do.
//!
//! PostgreSQL stays the truth: what is spent, attempts, and holds, those of the pool included. Redis knows only which part of
//! them nobody has taken. One that was flushed, is away, or comes back with old numbers costs round trips and never money: see
//! docs/adr/0018.
//!
//! ```no_run
//! # async fn example() -> maof_core::Result<()> {
//! use maof_store::{postgres, redis};
//! let url = maof_core::Secret::new("postgres://maof@db/maof");
//! let postgres = postgres::Config { url, ..Default::default() };
//! let redis = redis::Config { url: maof_core::Secret::new("redis://cache"), ..Default::default() };
//! let tracker = tokio_util::task::TaskTracker::new();
//! let ledger = redis::RedisLedger::open(&redis, &postgres, &"node-1".parse()?, &tracker).await?;
//! drop(ledger); // what was sent is written, then the tasks end
//! tracker.close();
//! tracker.wait().await;
//! # Ok(()) }
//! ```

mod config;
mod generation;
mod keeper;
mod ledger;
mod members;
mod open;
mod pipe;
mod script;
mod shared;

pub use config::Config;
pub use ledger::RedisLedger;

#[cfg(test)]
mod tests;
