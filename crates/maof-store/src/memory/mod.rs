//! Everything in memory: for tests, for benchmarks, and for calls that nobody needs to remember.

mod ledger;
mod runs;

pub(crate) use runs::{LONGEST_LIST, cancelled, fenced, fresh, no_such, same_task};

use std::collections::VecDeque;

use async_trait::async_trait;
use maof_core::{Audit, AuditRow, Name, Result};
use parking_lot::Mutex;

/// Audit lines that are kept; the oldest go first.
const AUDIT_LINES: usize = 100_000;

/// Remembers in memory. What has ended is forgotten, oldest first, beyond 100,000 runs, attempts and lines.
#[derive(Debug, Default)]
pub struct MemoryStore {
    runs: Mutex<runs::Runs>,
    ledger: Mutex<ledger::Book>,
    audit: Mutex<VecDeque<AuditRow>>,
}

#[async_trait]
impl Audit for MemoryStore {
    fn note(&self, row: AuditRow) {
        let mut lines = self.audit.lock();
        if lines.len() == AUDIT_LINES {
            lines.pop_front();
        }
        lines.push_back(row);
    }

    async fn trail(&self, tenant: &Name, limit: u32) -> Result<Vec<AuditRow>> {
        let lines = self.audit.lock();
        let mine = lines.iter().rev().filter(|row| row.tenant == *tenant);
        Ok(mine.take(limit as usize).cloned().collect())
    }
}

#[cfg(test)]
mod tests;
