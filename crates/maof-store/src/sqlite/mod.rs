//! Everything in one SQLite file, written through one connection with natural group commit.
//!
//! One process at a time works with the file (a lock file beside it says which); others may look, and wish
//! tasks cancelled. Balances live in memory and are written behind by the same writer as the journal, which
//! is first in, first out: where a step's answer is durable, so is what it cost. Strict holds are rows; for batched ones
//! accounts promise a part of themselves beforehand. What is held or promised when the process dies counts as spent from
//! then on, and is written to the table `lost_hold`.

mod attempts;
mod audit;
mod behind;
mod file;
mod job;
mod journal;
mod ledger;
mod lost;
mod open;
mod read;
mod rows;
mod snapshot;
mod sweep;
mod transaction;
mod write;
mod writer;

use std::fmt;
use std::sync::Arc;

use maof_core::{Error, Origin};
use parking_lot::Mutex;

use crate::accounts::Accounts;
use crate::fair::Fair;

/// Remembers in a SQLite file. Cheap to clone; the last clone to go waits until everything is written.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    path: std::path::PathBuf,
    reads: sqlx::SqlitePool,
    /// None where the file was opened for looking only.
    writes: Option<Writes>,
}

struct Writes {
    writer: writer::Writer,
    accounts: Mutex<Accounts>,
    fair: Arc<Mutex<Fair>>,
    sweep: Mutex<sweep::Sweep>,
    // Last: another process may have the file when everything else is gone.
    _lock: std::fs::File,
}

impl SqliteStore {
    fn writes(&self) -> maof_core::Result<&Writes> {
        self.inner.writes.as_ref().ok_or_else(|| {
            Error::conflict("the database was opened for looking only").origin_is(Origin::Store)
        })
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

/// The error of a database that does not do what it should.
fn away(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable("the database cannot be reached; see the log")
        .origin_is(Origin::Store)
        .retry_is(maof_core::Retry::Here)
        .because(error)
}

#[cfg(test)]
mod tests;
