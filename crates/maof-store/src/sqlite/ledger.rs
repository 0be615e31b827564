//! The ledger's port: balances in memory, rows behind.

use std::sync::Arc;

use async_trait::async_trait;
use maof_core::{
    Account, Attempt, Balance, Balances, Charge, HoldMode, Ledger, Name, Result, RunId, Spending,
    SpendingQuery, Timestamp,
};
use rusqlite::{Connection, params};

use super::job::How;
use super::{SqliteStore, Writes};
use crate::accounts::{Held, Written};

#[async_trait]
impl Ledger for SqliteStore {
    async fn hold(
        &self,
        key: &Arc<str>,
        charges: &[Charge],
        mode: HoldMode,
        now: Timestamp,
    ) -> Result<Balances> {
        let writes = self.writes()?;
        // Here, and not where rows are handed over, is where a writer that falls behind is waited for.
        writes.writer.ready().await?;
        #[cfg(feature = "planted")]
        let charges =
            &*crate::planted::checked(charges, || writes.accounts.lock().lacking(key, charges, now)).await?;
        let Held { standing, waits, written, .. } = writes.hold(key, charges, mode, now)?;
        if written || !waits.is_empty() {
            writes.writer.write(How::Brief, |_| Ok(Ok(()))).await?;
            writes.accounts.lock().grant(&waits);
        }
        Ok(standing)
    }

    fn charge(&self, key: &Arc<str>, attempt: Attempt) {
        let Some(writes) = &self.inner.writes else {
            tracing::error!("an attempt was charged where nothing can be written");
            return;
        };
        // Both in one step: otherwise what another thread has charged, but not handed over yet, would be
        // written as spent without its attempt.
        let mut accounts = writes.accounts.lock();
        let spent = accounts.charge(key, &attempt);
        let strict = accounts.strict(key);
        writes.writer.hand_over(|rows| {
            rows.attempt(attempt, spent);
            if strict.is_some() {
                rows.hold(key, strict);
            }
        });
    }

    fn close(&self, key: &Arc<str>) {
        let Some(writes) = &self.inner.writes else { return };
        let mut accounts = writes.accounts.lock();
        if accounts.close(key) == Some(HoldMode::Strict) {
            writes.writer.hand_over(|rows| rows.hold(key, None));
        }
    }

    async fn balance(&self, account: &Account, now: Timestamp) -> Result<Balance> {
        match &self.inner.writes {
            Some(writes) => Ok(writes.accounts.lock().balance(account, now)),
            None => self.read_balance(account, now).await,
        }
    }

    async fn attempts(&self, tenant: &Name, run: Option<RunId>, limit: u32) -> Result<Vec<Attempt>> {
        self.write_rows().await?;
        self.read_attempts(tenant, run, limit).await
    }

    async fn first(&self, said: &str, now: Timestamp) -> Result<bool> {
        let said = said.to_owned();
        let ask = move |c: &Connection| {
            let mut insert = c.prepare_cached("INSERT OR IGNORE INTO said (what, at) VALUES (?,?)")?;
            Ok(Ok(insert.execute(params![said, now.micros()])? > 0))
        };
        self.writes()?.writer.write(How::Plain, ask).await
    }

    async fn spending(&self, query: &SpendingQuery) -> Result<Spending> {
        self.write_rows().await?;
        self.read_spending(query).await
    }

    async fn flush(&self) -> Result<()> {
        match &self.inner.writes {
            Some(writes) => writes.writer.write(How::Synced, |_| Ok(Ok(()))).await,
            None => Ok(()),
        }
    }
}

impl Writes {
    /// Holds, and hands over what has to be written for it.
    fn hold(&self, key: &Arc<str>, charges: &[Charge], mode: HoldMode, now: Timestamp) -> Result<Held> {
        let mut accounts = self.accounts.lock();
        let (held, promised) = accounts.hold(key, charges, mode, now)?;
        if held.written {
            let strict = accounts.strict(key);
            self.writer.hand_over(|rows| {
                promised.into_iter().for_each(|window| rows.spend(window));
                if strict.is_some() {
                    rows.hold(key, strict);
                }
            });
        }
        Ok(held)
    }
}

impl Drop for Writes {
    /// What nobody holds is promised no more.
    fn drop(&mut self) {
        let settled = self.accounts.get_mut().settle();
        if !settled.is_empty() {
            self.writer.hand_over(|rows| settled.into_iter().for_each(|window: Written| rows.spend(window)));
        }
    }
}

impl SqliteStore {
    /// Whoever reads finds what was handed over before.
    pub(super) async fn write_rows(&self) -> Result<()> {
        match &self.inner.writes {
            Some(writes) => writes.writer.write(How::Plain, |_| Ok(Ok(()))).await,
            None => Ok(()),
        }
    }
}
