//! Remembers: runs and their journals, the ledger, the audit trail, in memory and in SQLite; the ledger that several
//! processes share, in PostgreSQL; answers that are given again, in memory.
//!
//! One contract suite a port (in `maof-testkit`) runs on all, so that what holds of one holds of the others.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use maof_core::{Journal as _, Principal, RunFilter};
//! let store = maof_store::MemoryStore::default();
//! let runs = store.runs(&Principal::local().tenant, RunFilter::default()).await?;
//! assert!(runs.is_empty());
//! # Ok::<(), maof_core::Error>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accounts;
mod cache;
mod config;
mod fair;
mod memory;
#[cfg(feature = "planted")]
mod planted;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "postgres")]
pub mod redis;
mod spending;
mod sqlite;

pub use cache::MemoryCache;
pub use config::{Config, Durability};
pub use memory::MemoryStore;
pub use sqlite::SqliteStore;
