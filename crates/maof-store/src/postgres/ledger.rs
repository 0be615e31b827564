//! The ledger's port: what is sent, and what is read.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use maof_core::{
    Account, Attempt, Balance, Balances, Charge, HoldMode, Ledger, Name, Result, RunId, Spending,
    SpendingQuery, Timestamp,
};
use sqlx::AssertSqlSafe;

use super::apply::{Link, away};
use super::attempts::{AttemptRow, OF_RUN, OF_TENANT};
use super::queue::Keys;
use super::slices::Slices;
use super::source::{Lane, Source};
use super::{batch, keep};
use crate::spending;

/// A ledger that several processes share. Cheap to clone; when the last clone goes, what was sent is still written.
#[derive(Clone)]
pub struct PostgresLedger {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) node: Name,
    pub(crate) patience: u32,
    pub(crate) reads: sqlx::PgPool,
    pub(crate) lane: Arc<Lane>,
    pub(crate) slices: Arc<Slices>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.slices.give_back(&*self.lane);
        self.lane.queue.end();
    }
}

impl PostgresLedger {
    pub(super) fn new(inner: Inner) -> Self {
        PostgresLedger { inner: Arc::new(inner) }
    }

    /// Ends nodes that gave no sign of life for `node_timeout_seconds`: what they held counts as spent, is logged, and
    /// written to the table `lost_hold`. Gives how many holds on how many accounts these were. The ledger's own task does
    /// this all the time.
    ///
    /// # Errors
    /// `unavailable` when the database cannot be reached.
    pub async fn resolve_dead(&self) -> Result<usize> {
        let Inner { lane, patience, reads, .. } = &*self.inner;
        let mut connection = reads.acquire().await.map_err(away)?;
        keep::end_dead(&mut connection, lane.node, f64::from(*patience)).await.map_err(away)
    }

    /// This node's number.
    pub(crate) fn id(&self) -> i64 {
        self.inner.lane.node
    }

    /// Connections for what is not sent in order.
    pub(crate) fn reads(&self) -> &sqlx::PgPool {
        &self.inner.reads
    }

    /// A connection of its own for another writer, made when it is needed.
    pub(crate) fn link(&self) -> Link {
        Link::to((*self.inner.reads.connect_options()).clone())
    }

    #[cfg(test)]
    pub(super) fn slack(&self, account: &Account, now: Timestamp) -> i64 {
        self.inner.slices.held_and_slack(account, account.window.start(now)).1
    }

    #[cfg(test)]
    pub(super) fn give_back_idle(&self) {
        self.inner.slices.give_back_idle(&*self.inner.lane);
    }

    /// Whoever reads finds what this node sent before.
    async fn written(&self) -> Result<()> {
        self.inner.lane.queue.written()?.await.map_err(away)?
    }
}

#[async_trait]
impl Ledger for PostgresLedger {
    async fn hold(
        &self,
        key: &Arc<str>,
        charges: &[Charge],
        mode: HoldMode,
        now: Timestamp,
    ) -> Result<Balances> {
        if charges.is_empty() {
            return Ok(Balances::new());
        }
        if mode == HoldMode::Batched {
            let source: Arc<dyn Source> = Arc::clone(&self.inner.lane) as _;
            return self.inner.slices.hold(&source, key, charges, now).await;
        }
        let Lane { queue, node } = &*self.inner.lane;
        let told = queue.hold(*node, key, batch::once(charges), now)?;
        let once = told.await.map_err(away)??;
        Ok(batch::each(charges, once))
    }

    fn charge(&self, key: &Arc<str>, attempt: Attempt) {
        let Inner { lane, slices, .. } = &*self.inner;
        if let Some(attempt) = slices.charge(&**lane, key, attempt) {
            lane.attempt(Keys::from_iter([(Arc::clone(key), None)]), attempt);
        }
    }

    fn close(&self, key: &Arc<str>) {
        let Inner { lane, slices, .. } = &*self.inner;
        if !slices.close(key) {
            lane.queue.close(lane.node, key);
        }
    }

    async fn balance(&self, account: &Account, now: Timestamp) -> Result<Balance> {
        self.written().await?;
        let Account { tenant, name, measure, window } = account;
        let start = window.start(now);
        let reach = i64::try_from(window.reach().as_micros()).unwrap_or_default();
        // What this node has ready for its calls is held by nobody yet.
        let read = "SELECT spent, held, coalesce((SELECT h.held FROM hold h \
                    WHERE h.key = concat('slice|', a.tenant, '|', a.name, '|', a.measure, '|', a.period, '|', a.start) \
                    AND h.node = $7 AND h.account = a.id AND h.closed IS NULL), 0) FROM account a \
                    WHERE tenant = $1 AND name = $2 AND measure = $3 AND period = $4 AND start BETWEEN $5 AND $6";
        let parts: Vec<(i64, i64, i64)> = sqlx::query_as(read)
            .bind(tenant.as_str())
            .bind(name.as_str())
            .bind(measure.as_str())
            .bind(window.name())
            .bind(start.micros().saturating_sub(reach))
            .bind(start.micros())
            .bind(self.inner.lane.node)
            .fetch_all(&self.inner.reads)
            .await
            .map_err(away)?;
        let (batched, _) = self.inner.slices.held_and_slack(account, start);
        let none = Balance { spent: 0, held: if parts.is_empty() { 0 } else { batched } };
        Ok(parts.into_iter().fold(none, |sum, (spent, held, slice)| Balance {
            spent: sum.spent.saturating_add(spent),
            held: sum.held.saturating_add(held - slice),
        }))
    }

    async fn attempts(&self, tenant: &Name, run: Option<RunId>, limit: u32) -> Result<Vec<Attempt>> {
        self.written().await?;
        let asked: sqlx::query::QueryAs<'_, _, AttemptRow, _> = match run {
            Some(run) => sqlx::query_as(OF_RUN).bind(tenant.as_str()).bind(i64::from(limit)).bind(run.uuid()),
            None => sqlx::query_as(OF_TENANT).bind(tenant.as_str()).bind(i64::from(limit)),
        };
        let rows = asked.fetch_all(&self.inner.reads).await.map_err(away)?;
        rows.into_iter().map(AttemptRow::into_attempt).collect()
    }

    async fn first(&self, said: &str, now: Timestamp) -> Result<bool> {
        let insert = sqlx::query("INSERT INTO said (what, at) VALUES ($1, $2) ON CONFLICT DO NOTHING");
        let done = insert.bind(said).bind(now.micros()).execute(&self.inner.reads).await.map_err(away)?;
        Ok(done.rows_affected() > 0)
    }

    async fn spending(&self, query: &SpendingQuery) -> Result<Spending> {
        query.check()?;
        self.written().await?;
        let (sql, texts) = spending::select(spending::Sql::Postgres, query);
        let mut asked = sqlx::query(AssertSqlSafe(sql))
            .bind(query.tenant.as_str())
            .bind(query.since.micros())
            .bind(query.until.micros())
            .bind(i64::from(query.at_least.max(1)))
            .bind(i64::from(query.limit));
        for text in texts {
            asked = asked.bind(text);
        }
        let rows = asked.fetch_all(&self.inner.reads).await.map_err(away)?;
        spending::read(query, &rows).map_err(away)
    }

    async fn flush(&self) -> Result<()> {
        self.written().await
    }

    async fn retire(&self) -> Result<()> {
        self.inner.slices.give_back(&*self.inner.lane);
        self.written().await
    }
}

impl fmt::Debug for PostgresLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLedger").field("node", &self.inner.node).finish_non_exhaustive()
    }
}
