//! The ledger in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use maof_core::{Account, Attempt, Balance, Charge, Ledger, Name, Result, RunId, Timestamp};

use super::MemoryStore;
use crate::accounts::Accounts;

/// Attempts that are kept; the oldest go first.
const ATTEMPTS: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Book {
    accounts: Accounts,
    attempts: VecDeque<Attempt>,
}

#[async_trait]
impl Ledger for MemoryStore {
    async fn hold(&self, key: &Arc<str>, charges: &[Charge], now: Timestamp) -> Result<()> {
        self.ledger.lock().accounts.hold(key, charges, now)
    }

    fn charge(&self, key: &Arc<str>, attempt: Attempt) {
        let mut book = self.ledger.lock();
        book.accounts.charge(key, &attempt);
        if book.attempts.len() == ATTEMPTS {
            book.attempts.pop_front();
        }
        book.attempts.push_back(attempt);
    }

    fn close(&self, key: &Arc<str>) {
        self.ledger.lock().accounts.close(key);
    }

    async fn balance(&self, account: &Account, now: Timestamp) -> Result<Balance> {
        Ok(self.ledger.lock().accounts.balance(account, now))
    }

    async fn attempts(&self, tenant: &Name, run: Option<RunId>, limit: u32) -> Result<Vec<Attempt>> {
        let book = self.ledger.lock();
        let mine = book.attempts.iter().rev().filter(|a| a.tenant == *tenant);
        let of_run = mine.filter(|a| run.is_none() || a.run == run);
        Ok(of_run.take(limit as usize).cloned().collect())
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}
