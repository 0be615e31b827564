//! Reads, through sqlx.

use bytes::Bytes;
use maof_core::{
    Account, Attempt, AuditRow, Balance, Name, Record, Result, Run, RunFilter, RunId, Spending,
    SpendingQuery, Timestamp,
};
use sqlx::AssertSqlSafe;

use super::attempts::{self, AttemptRow};
use super::rows::{COLUMNS, RunRow, damaged, key, number};
use super::{SqliteStore, away};
use crate::memory::{LONGEST_LIST, no_such};
use crate::spending;

impl SqliteStore {
    pub(super) async fn read_run(&self, tenant: &Name, run: RunId) -> Result<Run> {
        let sql = format!(
            "SELECT {COLUMNS} FROM run r JOIN content c ON c.run = r.id WHERE r.id = ? AND r.tenant = ?"
        );
        let row = sqlx::query_as::<_, RunRow>(AssertSqlSafe(sql))
            .bind(key(run))
            .bind(tenant.as_str())
            .fetch_optional(&self.inner.reads)
            .await
            .map_err(away)?;
        row.ok_or_else(|| no_such(run))?.into_run()
    }

    pub(super) async fn read_runs(&self, tenant: &Name, filter: RunFilter) -> Result<Vec<Run>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM run r JOIN content c ON c.run = r.id \
             WHERE r.tenant = ?1 AND (?2 IS NULL OR r.state = ?2) AND (?3 IS NULL OR r.id < ?3) \
             ORDER BY r.id DESC LIMIT ?4"
        );
        let rows = sqlx::query_as::<_, RunRow>(AssertSqlSafe(sql))
            .bind(tenant.as_str())
            .bind(filter.state.map(number))
            .bind(filter.before.map(key))
            .bind(filter.limit.min(LONGEST_LIST))
            .fetch_all(&self.inner.reads)
            .await
            .map_err(away)?;
        rows.into_iter().map(RunRow::into_run).collect()
    }

    pub(super) async fn read_records(
        &self,
        tenant: &Name,
        run: RunId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Record>> {
        let rows = sqlx::query_as::<_, (i64, i64, Vec<u8>)>(
            "SELECT seq, at, rec FROM journal WHERE run = ?1 AND seq > ?2 \
             AND EXISTS (SELECT 1 FROM run WHERE id = ?1 AND tenant = ?3) ORDER BY seq LIMIT ?4",
        )
        .bind(key(run))
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(tenant.as_str())
        .bind(limit)
        .fetch_all(&self.inner.reads)
        .await
        .map_err(away)?;
        if rows.is_empty() {
            // No records, or no such run: the difference matters.
            self.read_run(tenant, run).await?;
        }
        let record = |(seq, at, bytes): (i64, i64, Vec<u8>)| Record {
            seq: u64::try_from(seq).unwrap_or(0),
            at: Timestamp::from_micros(at),
            bytes: Bytes::from(bytes),
        };
        Ok(rows.into_iter().map(record).collect())
    }

    pub(super) async fn read_attempts(
        &self,
        tenant: &Name,
        run: Option<RunId>,
        limit: u32,
    ) -> Result<Vec<Attempt>> {
        let sql = if run.is_some() { attempts::OF_RUN } else { attempts::OF_TENANT };
        let rows = sqlx::query_as::<_, AttemptRow>(sql)
            .bind(tenant.as_str())
            .bind(run.map(key))
            .bind(limit)
            .fetch_all(&self.inner.reads)
            .await
            .map_err(away)?;
        rows.into_iter().map(AttemptRow::into_attempt).collect()
    }

    pub(super) async fn read_trail(&self, tenant: &Name, limit: u32) -> Result<Vec<AuditRow>> {
        type Line = (i64, String, String, String, String);
        let rows = sqlx::query_as::<_, Line>(
            "SELECT at, user, action, subject, outcome FROM audit WHERE tenant = ? ORDER BY id DESC LIMIT ?",
        )
        .bind(tenant.as_str())
        .bind(limit)
        .fetch_all(&self.inner.reads)
        .await
        .map_err(away)?;
        let line = |(at, user, action, subject, outcome): Line| {
            Ok(AuditRow {
                at: Timestamp::from_micros(at),
                tenant: tenant.clone(),
                user: Name::new(&user).map_err(damaged)?,
                action,
                subject,
                outcome,
            })
        };
        rows.into_iter().map(line).collect()
    }

    pub(super) async fn read_spending(&self, query: &SpendingQuery) -> Result<Spending> {
        query.check()?;
        let (sql, texts) = spending::select(spending::Sql::Sqlite, query);
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

    /// What an account has spent, for who looks on; what is held only the process knows that holds it.
    pub(super) async fn read_balance(&self, account: &Account, now: Timestamp) -> Result<Balance> {
        let Account { tenant, name, measure, window } = account;
        let start = window.start(now).micros();
        let reach = i64::try_from(window.reach().as_micros()).unwrap_or_default();
        let read = "SELECT spent FROM account \
                    WHERE tenant = ? AND name = ? AND measure = ? AND period = ? AND start BETWEEN ? AND ?";
        let parts: Vec<(i64,)> = sqlx::query_as(read)
            .bind(tenant.as_str())
            .bind(name.as_str())
            .bind(measure.as_str())
            .bind(window.name())
            .bind(start.saturating_sub(reach))
            .bind(start)
            .fetch_all(&self.inner.reads)
            .await
            .map_err(away)?;
        let spent = parts.into_iter().fold(0_i64, |sum, (spent,)| sum.saturating_add(spent));
        Ok(Balance { spent, held: 0 })
    }
}
