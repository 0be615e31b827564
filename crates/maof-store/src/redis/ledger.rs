//! The ledger's port: strict holds go straight to PostgreSQL, batched ones to the pool that nodes share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use maof_core::{
    Account, Attempt, Balance, Balances, Charge, HoldMode, Ledger, Name, Result, RunId, Snapshots, Spending,
    SpendingQuery, Timestamp,
};

use super::generation::News;
use super::script::{Op, Said};
use super::shared::Shared;
use crate::postgres::{PostgresLedger, Queue, Source, away, slice_key};

/// How long a reader waits for what calls have asked for at that moment.
const UNDER_WAY: Duration = Duration::from_millis(500);

/// A ledger that several processes share, with a pool of holds in Redis. Cheap to clone; when the last clone goes, what was
/// sent is still written.
#[derive(Clone)]
pub struct RedisLedger {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) postgres: PostgresLedger,
    pub(super) queue: Arc<Queue>,
    pub(super) shared: Arc<Shared>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.give_back();
        self.shared.tell(News::End);
    }
}

impl RedisLedger {
    pub(super) fn new(inner: Inner) -> RedisLedger {
        RedisLedger { inner: Arc::new(inner) }
    }

    /// As [`PostgresLedger::resolve_dead`].
    ///
    /// # Errors
    /// `unavailable` when the database cannot be reached.
    pub async fn resolve_dead(&self) -> Result<usize> {
        self.inner.postgres.resolve_dead().await
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// Whoever reads finds what this node sent before.
    async fn written(&self) -> Result<()> {
        self.inner.queue.written()?.await.map_err(away)?
    }

    /// What was not used is given back.
    async fn given_back(&self) {
        let (tell, told) = tokio::sync::oneshot::channel();
        self.inner.shared.tell(News::Done(tell));
        drop(told.await);
    }
}

#[async_trait]
impl Ledger for RedisLedger {
    async fn hold(
        &self,
        key: &Arc<str>,
        charges: &[Charge],
        mode: HoldMode,
        now: Timestamp,
    ) -> Result<Balances> {
        if mode != HoldMode::Batched {
            return self.inner.postgres.hold(key, charges, mode, now).await;
        }
        let generation = self.inner.shared.of(key);
        let source: Arc<dyn Source> = Arc::clone(&generation) as _;
        generation.slices.hold(&source, key, charges, now).await
    }

    fn charge(&self, key: &Arc<str>, attempt: Attempt) {
        if let Some(attempt) = self.inner.shared.charge(key, attempt) {
            self.inner.postgres.charge(key, attempt);
        }
    }

    fn close(&self, key: &Arc<str>) {
        if !self.inner.shared.close(key) {
            self.inner.postgres.close(key);
        }
    }

    async fn balance(&self, account: &Account, now: Timestamp) -> Result<Balance> {
        let current = self.inner.shared.current();
        // What a call that hung up had asked for goes back. One that does not go on is not waited for.
        drop(tokio::time::timeout(UNDER_WAY, current.grown()).await);
        self.given_back().await;
        self.written().await?;
        let start = account.window.start(now);
        // What is ready for calls is held by nobody yet, neither here nor in the pool.
        let slack = self.inner.shared.slack(account, start);
        let mut free = 0_i64;
        for part in account.window.parts(now) {
            let window = slice_key(&(account.clone(), part));
            if let Said::Done(Some(more)) = current.ask(&window, Op::Read).await {
                free = free.saturating_add(more);
            }
        }
        let Balance { spent, held } = self.inner.postgres.balance(account, now).await?;
        Ok(Balance { spent, held: held.saturating_sub(slack).saturating_sub(free).max(0) })
    }

    async fn attempts(&self, tenant: &Name, run: Option<RunId>, limit: u32) -> Result<Vec<Attempt>> {
        self.written().await?;
        self.inner.postgres.attempts(tenant, run, limit).await
    }

    async fn first(&self, said: &str, now: Timestamp) -> Result<bool> {
        self.inner.postgres.first(said, now).await
    }

    async fn spending(&self, query: &SpendingQuery) -> Result<Spending> {
        self.written().await?;
        self.inner.postgres.spending(query).await
    }

    async fn flush(&self) -> Result<()> {
        self.written().await?;
        self.inner.postgres.flush().await
    }

    async fn retire(&self) -> Result<()> {
        self.inner.shared.give_back();
        self.given_back().await;
        self.written().await?;
        self.inner.postgres.retire().await
    }
}

impl fmt::Debug for RedisLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLedger").field("postgres", &self.inner.postgres).finish_non_exhaustive()
    }
}

#[async_trait]
impl Snapshots for RedisLedger {
    async fn keep(&self, part: &'static str, bytes: Bytes) -> Result<()> {
        self.inner.postgres.keep(part, bytes).await
    }

    async fn kept(&self, part: &'static str) -> Result<Option<Bytes>> {
        self.inner.postgres.kept(part).await
    }
}
