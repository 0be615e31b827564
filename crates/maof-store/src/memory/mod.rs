//! Everything in memory: for tests, for benchmarks, and for calls that nobody needs to remember.

mod audit;
mod ledger;
mod runs;

pub(crate) use runs::{LONGEST_LIST, cancelled, fenced, fresh, no_such, same_task};

use parking_lot::Mutex;

/// What has ended and is kept where nothing else is said.
const KEEPS: usize = 100_000;

/// Remembers in memory.
///
/// Of what has ended it keeps so many runs, attempts and audit lines, each; the oldest go first, a run with
/// its journal and its idempotency key. What waits or runs is never forgotten: who accepts bounds it.
#[derive(Debug)]
pub struct MemoryStore {
    runs: Mutex<runs::Runs>,
    ledger: Mutex<ledger::Book>,
    audit: Mutex<audit::Trail>,
}

impl MemoryStore {
    /// A store that keeps `ended` finished runs, `ended` attempts and `ended` audit lines.
    ///
    /// ```
    /// let store = maof_store::MemoryStore::with_capacity(10);
    /// # drop(store);
    /// ```
    pub fn with_capacity(ended: usize) -> Self {
        MemoryStore {
            runs: Mutex::new(runs::Runs::new(ended)),
            ledger: Mutex::new(ledger::Book::new(ended)),
            audit: Mutex::new(audit::Trail::new(ended)),
        }
    }
}

impl Default for MemoryStore {
    /// Keeps 100,000 of each.
    fn default() -> Self {
        Self::with_capacity(KEEPS)
    }
}

#[cfg(test)]
mod tests;
