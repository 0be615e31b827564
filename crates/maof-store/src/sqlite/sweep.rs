//! Forgets what is older than the configured time, a slice at a time, so that nobody waits long for it.
//!
//! The store has no clock: the time is that of the claims, so what no worker looks at is not swept either.

use std::time::Duration;

use maof_core::{Result, Timestamp};
use rusqlite::{Connection, params};

/// Finished runs that one pass forgets at most, with their journals.
const RUNS: usize = 100;
/// Attempts and audit lines that one pass forgets at most, of each.
const LINES: usize = 1_000;
/// How long after a pass that found little the next one begins.
const PAUSE: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(86_400);

/// When to sweep next, and how far back.
#[derive(Debug)]
pub(super) struct Sweep {
    keep: Option<Duration>,
    next: Timestamp,
}

impl Sweep {
    /// Keeps everything that is younger than so many days; everything, if it is 0.
    pub(super) fn new(keep_days: u32) -> Sweep {
        Sweep { keep: (keep_days > 0).then(|| DAY * keep_days), next: Timestamp::default() }
    }

    /// Before when everything is to be forgotten, if it is time for a pass.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<Pass> {
        if now < self.next {
            return None;
        }
        self.next = now.plus(PAUSE);
        Some(Pass { now, before: self.keep.map(|keep| earlier(now, keep)) })
    }

    /// A pass left something: the next claim goes on.
    pub(super) fn again(&mut self) {
        self.next = Timestamp::default();
    }
}

/// One pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    now: Timestamp,
    before: Option<Timestamp>,
}

impl Pass {
    /// Forgets a slice of each table; true if more may be left.
    pub(super) fn run(self, c: &Connection) -> rusqlite::Result<Result<bool>> {
        windows(c, self.now)?;
        let Some(before) = self.before else { return Ok(Ok(false)) };
        let runs = runs(c, before)?;
        let attempts = attempts(c, before)?;
        // The oldest lines only are looked at, whatever their number is.
        let audit = c
            .prepare_cached(
                "DELETE FROM audit WHERE id IN \
                 (SELECT id FROM (SELECT id, at FROM audit ORDER BY id LIMIT ?2) WHERE at < ?1)",
            )?
            .execute(params![before.micros(), LINES as i64])?;
        for sql in ["DELETE FROM lost_hold WHERE at < ?", "DELETE FROM said WHERE at < ?"] {
            c.prepare_cached(sql)?.execute(params![before.micros()])?;
        }
        Ok(Ok(runs == RUNS || attempts == LINES || audit == LINES))
    }
}

/// Ids are ordered by time, so the oldest runs are found without an index of their own.
fn runs(c: &Connection, before: Timestamp) -> rusqlite::Result<usize> {
    let mut old = c.prepare_cached(
        "SELECT id FROM run WHERE id < ?1 AND state >= 2 AND updated < ?2 ORDER BY id LIMIT ?3",
    )?;
    let found = old.query_map(params![first_id(before), before.micros(), RUNS as i64], |row| row.get(0))?;
    let found: Vec<Vec<u8>> = found.collect::<rusqlite::Result<_>>()?;
    for id in &found {
        for sql in [
            "DELETE FROM journal WHERE run = ?",
            "DELETE FROM content WHERE run = ?",
            "DELETE FROM run WHERE id = ?",
        ] {
            c.prepare_cached(sql)?.execute(params![id])?;
        }
    }
    Ok(found.len())
}

/// Those of one tenant after the other, since a tenant's rows lie together.
fn attempts(c: &Connection, before: Timestamp) -> rusqlite::Result<usize> {
    let mut tenants = c.prepare_cached(
        "WITH RECURSIVE tenant(name) AS (SELECT min(tenant) FROM attempt UNION ALL \
         SELECT (SELECT min(tenant) FROM attempt WHERE tenant > name) FROM tenant WHERE name IS NOT NULL) \
         SELECT name FROM tenant WHERE name IS NOT NULL",
    )?;
    let mut old = c.prepare_cached(
        "DELETE FROM attempt WHERE tenant = ?1 AND id IN \
         (SELECT id FROM attempt WHERE tenant = ?1 AND id < ?2 AND began < ?3 LIMIT ?4)",
    )?;
    let mut gone = 0;
    for tenant in tenants.query_map((), |row| row.get::<_, String>(0))? {
        let most = (LINES - gone) as i64;
        gone += old.execute(params![tenant?, first_id(before), before.micros(), most])?;
    }
    Ok(gone)
}

/// Windows that ended long ago; a charge that comes late may still be for one that ended just now.
fn windows(c: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    c.prepare_cached(
        "DELETE FROM account WHERE start < CASE \
         WHEN period IN ('minute', 'hour') THEN ?1 WHEN period LIKE 'day%' THEN ?2 \
         WHEN period LIKE 'month%' THEN ?3 \
         WHEN period LIKE 'rolling:%' THEN ?4 - 2000000 * CAST(substr(period, 9) AS INTEGER) * \
         CASE substr(period, -1) WHEN 'd' THEN 86400 WHEN 'h' THEN 3600 WHEN 'm' THEN 60 ELSE 1 END \
         ELSE start END",
    )?
    .execute(params![
        earlier(now, DAY).micros(),
        earlier(now, DAY * 8).micros(),
        earlier(now, DAY * 62).micros(),
        earlier(now, DAY / 24).micros()
    ])?;
    Ok(())
}

fn earlier(now: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_micros(now.micros().saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}

/// The smallest UUIDv7 of a moment: its first 48 bits are the milliseconds since 1970.
fn first_id(at: Timestamp) -> Vec<u8> {
    let millis = u128::try_from(at.micros() / 1_000).unwrap_or(0);
    (millis << 80).to_be_bytes().to_vec()
}
