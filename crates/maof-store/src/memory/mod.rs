//! Everything in memory: for tests, for benchmarks, and for calls that nobody needs to remember.

mod audit;
mod ledger;
mod runs;
mod snapshot;

pub(crate) use runs::{LONGEST_LIST, cancelled, fenced, fresh, no_such, same_task};
pub(crate) use snapshot::refuse_too_large;

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::Mutex;

/// Runs that have ended and are kept where nothing else is said.
const RUNS: usize = 10_000;
/// Attempts and audit lines, likewise: as many as one run may have.
const LINES: usize = 100_000;

/// Remembers in memory.
///
/// Of what has ended it keeps so many runs, attempts and audit lines, each; the oldest go first, a run with
/// its journal and its idempotency key. What waits or runs is never forgotten: who accepts bounds it.
#[derive(Debug)]
pub struct MemoryStore {
    runs: Mutex<runs::Runs>,
    ledger: Mutex<ledger::Book>,
    audit: Mutex<audit::Trail>,
    snapshots: Mutex<HashMap<&'static str, Bytes>>,
}

impl MemoryStore {
    /// A store that keeps `ended` finished runs, `ended` attempts and `ended` audit lines.
    ///
    /// ```
    /// let store = maof_store::MemoryStore::with_capacity(10);
    /// # drop(store);
    /// ```
    pub fn with_capacity(ended: usize) -> Self {
        Self::keeps(ended, ended)
    }

    fn keeps(runs: usize, lines: usize) -> Self {
        MemoryStore {
            runs: Mutex::new(runs::Runs::new(runs)),
            ledger: Mutex::new(ledger::Book::new(lines)),
            audit: Mutex::new(audit::Trail::new(lines)),
            snapshots: Mutex::default(),
        }
    }
}

impl Default for MemoryStore {
    /// Keeps 10,000 finished runs, 100,000 attempts and 100,000 audit lines.
    fn default() -> Self {
        Self::keeps(RUNS, LINES)
    }
}

#[cfg(test)]
mod tests;
