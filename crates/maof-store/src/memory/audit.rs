//! The audit trail in memory.

use std::collections::VecDeque;

use async_trait::async_trait;
use maof_core::{Audit, AuditRow, Name, Result};

use super::MemoryStore;

#[derive(Debug)]
pub(super) struct Trail {
    rows: VecDeque<AuditRow>,
    keeps: usize,
}

impl Trail {
    pub(super) fn new(keeps: usize) -> Self {
        Trail { rows: VecDeque::new(), keeps }
    }
}

#[async_trait]
impl Audit for MemoryStore {
    fn note(&self, row: AuditRow) {
        let mut trail = self.audit.lock();
        trail.rows.push_back(row);
        if trail.rows.len() > trail.keeps {
            trail.rows.pop_front();
        }
    }

    async fn trail(&self, tenant: &Name, limit: u32) -> Result<Vec<AuditRow>> {
        let trail = self.audit.lock();
        let mine = trail.rows.iter().rev().filter(|row| row.tenant == *tenant);
        Ok(mine.take(limit as usize).cloned().collect())
    }
}
