//! The ledger in memory.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use maof_core::{
    Account, Attempt, AttemptId, Balance, Balances, Charge, HoldMode, Ledger, Name, Result, RunId, Spending,
    SpendingQuery, Timestamp,
};

use super::MemoryStore;
use crate::accounts::Accounts;

#[derive(Debug)]
pub(super) struct Book {
    accounts: Accounts,
    attempts: VecDeque<Attempt>,
    known: HashSet<AttemptId>,
    said: HashSet<String>,
    keeps: usize,
}

impl Book {
    pub(super) fn new(keeps: usize) -> Self {
        Book {
            accounts: Accounts::default(),
            attempts: VecDeque::new(),
            known: HashSet::new(),
            said: HashSet::new(),
            keeps,
        }
    }

    fn write_down(&mut self, attempt: Attempt) {
        if !self.known.insert(attempt.id) {
            return;
        }
        self.attempts.push_back(attempt);
        if self.attempts.len() > self.keeps
            && let Some(oldest) = self.attempts.pop_front()
        {
            self.known.remove(&oldest.id);
        }
    }
}

#[async_trait]
impl Ledger for MemoryStore {
    async fn hold(
        &self,
        key: &Arc<str>,
        charges: &[Charge],
        _: HoldMode,
        now: Timestamp,
    ) -> Result<Balances> {
        // Nothing outlives the process, so nothing has to be promised.
        let (held, _) = self.ledger.lock().accounts.hold(key, charges, HoldMode::Strict, now)?;
        Ok(held.standing)
    }

    fn charge(&self, key: &Arc<str>, attempt: Attempt) {
        let mut book = self.ledger.lock();
        book.accounts.charge(key, &attempt);
        book.write_down(attempt);
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

    async fn first(&self, said: &str, _: Timestamp) -> Result<bool> {
        let mut book = self.ledger.lock();
        // As many as attempts, like everything here.
        if book.said.len() >= book.keeps {
            book.said.clear();
        }
        Ok(book.said.insert(said.to_owned()))
    }

    async fn spending(&self, query: &SpendingQuery) -> Result<Spending> {
        Spending::over(query, self.ledger.lock().attempts.iter())
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}
