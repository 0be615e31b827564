//! What is written, statement by statement, within a transaction of the writer.

use std::sync::Arc;

use bytes::Bytes;
use maof_core::{Batch, Beat, Claim, Error, NewRun, Result, Run, RunId, Timestamp};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows::{COLUMNS, RunRow, damaged, key, number, run_id, text};
use crate::fair::Fair;
use crate::memory::{cancelled, fenced, fresh, no_such, same_task};

type Written<T> = rusqlite::Result<Result<T>>;

/// Gives up a job for reasons of its own: nothing was written for it.
macro_rules! attempt {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        }
    };
}

pub(super) fn accept(c: &Connection, mut new: NewRun, fair: &Mutex<Fair>) -> Written<Run> {
    if let Some(known) = known(c, &new)? {
        return Ok(known);
    }
    let claim = match new.claim.take() {
        Some(claim) if nothing_waits(c, new.at)? => Some(claim),
        _ => None,
    };
    let task = attempt!(text(&new.task));
    let owner = claim.as_ref().map(|claim| Arc::clone(&claim.owner));
    let until = claim.as_ref().map_or(0, |claim| new.at.plus(claim.lease).micros());
    let (run, idempotency, records) = fresh(new, claim);
    let (id, priority) = (key(run.id), run.task.priority);
    let place = {
        let mut fair = fair.lock();
        let place = fair.place(&run.task.principal.tenant, priority);
        if owner.is_some() {
            fair.claimed(place, priority);
        }
        place
    };
    let inserted = c
        .prepare_cached(
            "INSERT OR IGNORE INTO run (id, tenant, workflow, version, state, priority, place, claims, fence, seq, \
             owner, lease_until, created, updated, idempotency_key) \
             VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?13,?14)",
        )?
        .execute(params![
            id,
            run.task.principal.tenant.as_str(),
            run.workflow.as_str(),
            run.version,
            number(run.state),
            priority,
            place,
            run.claims,
            run.fence,
            run.seq as i64,
            owner,
            until,
            run.created.micros(),
            idempotency,
        ])?;
    if inserted == 0 {
        return Ok(Err(Error::conflict(format!("there is a run {} already", run.id))));
    }
    c.prepare_cached("INSERT INTO content (run, task) VALUES (?,?)")?.execute(params![id, task])?;
    append(c, &id, 0, &records, run.created)?;
    Ok(Ok(run))
}

/// The run that was accepted before under the same key.
fn known(c: &Connection, new: &NewRun) -> rusqlite::Result<Option<Result<Run>>> {
    let Some(idempotency) = &new.idempotency_key else { return Ok(None) };
    let sql = format!(
        "SELECT {COLUMNS} FROM run r JOIN content c ON c.run = r.id \
         WHERE r.tenant = ? AND r.idempotency_key = ?"
    );
    let tenant = new.task.principal.tenant.as_str();
    let row = c.prepare_cached(&sql)?.query_row(params![tenant, idempotency], RunRow::from_row).optional()?;
    Ok(row.map(|row| {
        let known = row.into_run()?;
        same_task(&known, new)?;
        Ok(known)
    }))
}

/// Whether no run waits and none was left by its owner: one look into each index.
pub(super) const WAITS: &str = "SELECT EXISTS (SELECT 1 FROM run WHERE state = 0) \
     OR EXISTS (SELECT 1 FROM run WHERE state = 1 AND lease_until <= ?1)";

fn nothing_waits(c: &Connection, now: Timestamp) -> rusqlite::Result<bool> {
    c.prepare_cached(WAITS)?.query_row(params![now.micros()], |row| row.get(0)).map(|waits: bool| !waits)
}

fn append(c: &Connection, id: &[u8], seq: u64, records: &[Bytes], at: Timestamp) -> rusqlite::Result<()> {
    let mut insert = c.prepare_cached("INSERT INTO journal (run, seq, at, rec) VALUES (?,?,?,?)")?;
    for (i, record) in records.iter().enumerate() {
        insert.execute(params![id, (seq + i as u64 + 1) as i64, at.micros(), &record[..]])?;
    }
    Ok(())
}

/// A claim whose borrowed parts are owned.
pub(super) struct OwnedClaim {
    owner: String,
    limit: u32,
    now: Timestamp,
    until: Timestamp,
    only: Option<RunId>,
    versions: Option<String>,
}

impl From<Claim<'_>> for OwnedClaim {
    fn from(claim: Claim<'_>) -> Self {
        OwnedClaim {
            owner: claim.owner.to_owned(),
            limit: claim.limit,
            now: claim.now,
            until: claim.now.plus(claim.lease),
            only: claim.only,
            versions: claim.versions.map(|v| serde_json::to_string(v).unwrap_or_default()),
        }
    }
}

/// Each claimed run with its place in the queue.
pub(super) fn claim(c: &Connection, claim: &OwnedClaim) -> Written<Vec<(Run, i64)>> {
    let mut take = c.prepare_cached(
        "UPDATE run SET state = 1, fence = fence + 1, claims = claims + 1, owner = ?2, lease_until = ?3, \
         updated = ?4 WHERE id = ?1 RETURNING place",
    )?;
    let sql = format!("SELECT {COLUMNS} FROM run r JOIN content c ON c.run = r.id WHERE r.id = ?");
    let mut read = c.prepare_cached(&sql)?;
    let mut claimed = Vec::new();
    for id in claimable(c, claim)? {
        let (now, until) = (claim.now.micros(), claim.until.micros());
        let place = take.query_row(params![id, claim.owner, until, now], |row| row.get(0))?;
        let row = read.query_row(params![id], RunRow::from_row).optional()?;
        match row.ok_or_else(|| damaged("its content is missing")).and_then(RunRow::into_run) {
            Ok(run) => claimed.push((run, place)),
            // One row that cannot be read must not keep everybody else waiting.
            Err(error) => give_up(c, &id, claim.now, error)?,
        }
    }
    Ok(Ok(claimed))
}

/// Whose lease has run out; the limit is `?2`.
pub(super) const EXPIRED: &str = "SELECT id FROM run WHERE state = 1 AND lease_until <= ?3 \
     AND (?1 IS NULL OR version IN (SELECT value FROM json_each(?1))) ORDER BY lease_until LIMIT ?2";
/// Who waits.
pub(super) const QUEUED: &str = "SELECT id FROM run WHERE state = 0 AND ?3 IS NOT NULL \
     AND (?1 IS NULL OR version IN (SELECT value FROM json_each(?1))) ORDER BY place LIMIT ?2";
/// One run of either sort.
pub(super) const WISHED: &str = "SELECT id FROM run WHERE id = ?4 \
     AND (?1 IS NULL OR version IN (SELECT value FROM json_each(?1))) \
     AND (state = 0 OR state = 1 AND lease_until <= ?3) LIMIT ?2";

/// First whose lease has run out, then who waits: two statements, each on its own index.
fn claimable(c: &Connection, claim: &OwnedClaim) -> rusqlite::Result<Vec<Vec<u8>>> {
    let now = claim.now.micros();
    if let Some(only) = claim.only {
        let found = c
            .prepare_cached(WISHED)?
            .query_row(params![claim.versions, claim.limit, now, key(only)], |row| row.get(0))
            .optional()?;
        return Ok(found.into_iter().collect());
    }
    let mut ids: Vec<Vec<u8>> = Vec::new();
    for sql in [EXPIRED, QUEUED] {
        let room = (claim.limit as usize - ids.len()) as i64;
        let mut statement = c.prepare_cached(sql)?;
        for id in statement.query_map(params![claim.versions, room, now], |row| row.get(0))? {
            ids.push(id?);
        }
    }
    Ok(ids)
}

/// Ends a run whose row is damaged; what is left of it stays, to be looked at.
fn give_up(c: &Connection, id: &[u8], now: Timestamp, error: Error) -> rusqlite::Result<()> {
    tracing::error!(?error, id = ?run_id(id), "a run cannot be read, and is given up");
    let failure = text(&error.failure()).unwrap_or_default();
    c.prepare_cached("UPDATE run SET state = 3, updated = ?2, failure = ?3 WHERE id = ?1")?
        .execute(params![id, now.micros(), failure])?;
    Ok(())
}

/// How a run ended, as it is written.
pub(super) struct Texts {
    failure: Option<String>,
    result: Option<String>,
    /// Bytes of both.
    pub(super) len: usize,
}

impl Texts {
    pub(super) fn new(batch: &Batch) -> Result<Texts> {
        let end = batch.finished.as_ref();
        let failure = end.and_then(|end| end.failure.as_ref()).map(text).transpose()?;
        let result = end.and_then(|end| end.result.as_ref()).map(text).transpose()?;
        let len = [&failure, &result].into_iter().flatten().map(String::len).sum();
        Ok(Texts { failure, result, len })
    }
}

pub(super) fn commit(c: &Connection, batch: &Batch, texts: &Texts) -> Written<()> {
    let id = key(batch.run);
    let next = batch.seq + batch.records.len() as u64;
    let at = batch.at.micros();
    // The guard and the change are one statement: who is fenced out changes nothing. Where the state stays, it
    // is not set: its indexes would be written anew.
    let mine = match &batch.finished {
        None => c
            .prepare_cached(
                "UPDATE run SET seq = ?4, updated = ?5 WHERE id = ?1 AND fence = ?2 AND seq = ?3 AND state = 1",
            )?
            .execute(params![id, batch.fence, batch.seq as i64, next as i64, at])?,
        Some(end) => c
            .prepare_cached(
                "UPDATE run SET seq = ?4, updated = ?5, state = ?6, failure = ?7 \
                 WHERE id = ?1 AND fence = ?2 AND seq = ?3 AND state = 1",
            )?
            .execute(params![
                id,
                batch.fence,
                batch.seq as i64,
                next as i64,
                at,
                number(end.state),
                texts.failure
            ])?,
    };
    if mine == 0 {
        return Ok(Err(fenced(batch.run)));
    }
    if let Some(result) = &texts.result {
        c.prepare_cached("UPDATE content SET result = ?2 WHERE run = ?1")?.execute(params![id, result])?;
    }
    append(c, &id, batch.seq, &batch.records, batch.at)?;
    Ok(Ok(()))
}

pub(super) fn heartbeat(c: &Connection, mine: &[(RunId, i64)], until: Timestamp) -> Written<Vec<Beat>> {
    let mut renew = c.prepare_cached(
        "UPDATE run SET lease_until = ?3 WHERE id = ?1 AND fence = ?2 AND state = 1 RETURNING cancel",
    )?;
    let mut beats = Vec::with_capacity(mine.len());
    for &(run, fence) in mine {
        let cancel: Option<bool> =
            renew.query_row(params![key(run), fence, until.micros()], |row| row.get(0)).optional()?;
        beats.push(Beat { run, cancel: cancel == Some(true), lost: cancel.is_none() });
    }
    Ok(Ok(beats))
}

pub(super) fn release(c: &Connection, run: RunId, fence: i64) -> Written<()> {
    let released = c
        .prepare_cached("UPDATE run SET state = 0, owner = NULL WHERE id = ? AND fence = ? AND state = 1")?
        .execute(params![key(run), fence])?;
    Ok(if released == 0 { Err(fenced(run)) } else { Ok(()) })
}

pub(super) fn cancel(c: &Connection, tenant: &str, run: RunId, now: Timestamp) -> Written<bool> {
    let state: Option<i64> = c
        .prepare_cached("SELECT state FROM run WHERE id = ? AND tenant = ?")?
        .query_row(params![key(run), tenant], |row| row.get(0))
        .optional()?;
    let failure = attempt!(text(&cancelled()));
    match state {
        None => Ok(Err(no_such(run))),
        Some(0) => {
            c.prepare_cached(
                "UPDATE run SET state = 4, cancel = 1, updated = ?2, failure = ?3 WHERE id = ?1",
            )?
            .execute(params![key(run), now.micros(), failure])?;
            Ok(Ok(true))
        }
        Some(1) => {
            c.prepare_cached("UPDATE run SET cancel = 1 WHERE id = ?")?.execute(params![key(run)])?;
            Ok(Ok(true))
        }
        Some(_) => Ok(Ok(false)),
    }
}
