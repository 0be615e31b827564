//! Rows that are written behind: attempts, what was spent and held, audit lines.
//!
//! They are handed over without waiting, so that a `Drop` may do it, and none is ever dropped in silence.
//! The buffer is bounded twice. Above [`ROWS`] every new hold waits for the writer, which stops calls where
//! they begin. Above [`AT_MOST`] (calls that hold nothing, over a database that is away) an attempt or audit
//! line goes to the log instead, whole, at level error. What was spent and held is never logged instead: it is one
//! row for each account and window, and for each open hold.

use std::sync::Arc;

use maof_core::{Attempt, AuditRow};
use rusqlite::{Connection, params};

use super::attempts;
use super::rows::text;
use crate::accounts::{HashMap, HeldLine, Number, Spent, Written};

/// Rows beyond which holds wait for the writer.
pub(super) const ROWS: usize = 65_536;
/// Rows that are kept in memory at most.
const AT_MOST: usize = 2 * ROWS;
/// Room for rows of each kind that is kept from one transaction to the next, at most.
const KEPT: usize = 4_096;

#[derive(Default)]
pub(super) struct Rows {
    attempts: Vec<Attempt>,
    /// What is spent now, not by how much it grew: writing it twice does no harm.
    spent: HashMap<Number, Written>,
    /// Strict holds as they are now; none once they are closed.
    holds: HashMap<Arc<str>, Option<Vec<HeldLine>>>,
    audit: Vec<AuditRow>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.attempts.len() + self.spent.len() + self.holds.len() + self.audit.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An attempt, and what is spent after it in the windows it counts in.
    pub(super) fn attempt(&mut self, attempt: Attempt, spent: Spent) {
        spent.into_iter().for_each(|written| self.spend(written));
        match self.len() < AT_MOST {
            true => self.attempts.push(attempt),
            false => log(&attempt),
        }
    }

    /// A strict hold as it is now; none once it is closed.
    pub(super) fn hold(&mut self, key: &Arc<str>, lines: Option<Vec<HeldLine>>) {
        self.holds.insert(Arc::clone(key), lines);
    }

    pub(super) fn note(&mut self, row: AuditRow) {
        match self.len() < AT_MOST {
            true => self.audit.push(row),
            false => log(&row),
        }
    }

    /// Takes back rows that could not be written, before those that came since.
    pub(super) fn put_back(&mut self, mut older: Rows) {
        older.attempts.append(&mut self.attempts);
        older.audit.append(&mut self.audit);
        std::mem::take(&mut self.spent).into_values().for_each(|written| older.spend(written));
        older.holds.extend(std::mem::take(&mut self.holds));
        *self = older;
    }

    /// Empties it, and gives back the memory for the next rows, unless that is uncommonly much.
    pub(super) fn reused(mut self) -> Option<Rows> {
        let room =
            [self.attempts.capacity(), self.spent.capacity(), self.holds.capacity(), self.audit.capacity()];
        self.attempts.clear();
        self.spent.clear();
        self.holds.clear();
        self.audit.clear();
        room.into_iter().all(|room| room <= KEPT).then_some(self)
    }

    /// Nobody will write them any more: they go to the log.
    pub(super) fn give_up(self) {
        self.attempts.iter().for_each(log);
        self.audit.iter().for_each(log);
    }

    /// Writes everything within the caller's transaction.
    pub(super) fn write(&self, c: &Connection) -> rusqlite::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let mut attempt = c.prepare_cached(attempts::INSERT)?;
        for row in &self.attempts {
            attempts::insert(&mut attempt, row)?;
        }
        // What is spent only grows. A window that ended and was swept from memory begins there at nothing: the file knows better.
        let mut spent = c.prepare_cached(
            "INSERT INTO account (tenant, name, measure, period, start, spent, promised) VALUES (?,?,?,?,?,?,?) \
             ON CONFLICT DO UPDATE SET spent = max(spent, excluded.spent), promised = excluded.promised",
        )?;
        for row in self.spent.values() {
            let (account, start) = &*row.window;
            let (tenant, name) = (account.tenant.as_str(), account.name.as_str());
            let (measure, window) = (account.measure.as_str(), account.window.name());
            spent.execute(params![tenant, name, measure, window, start.micros(), row.spent, row.promised])?;
        }
        let mut hold = c.prepare_cached("INSERT OR REPLACE INTO hold (key, lines) VALUES (?,?)")?;
        let mut close = c.prepare_cached("DELETE FROM hold WHERE key = ?")?;
        for (key, lines) in &self.holds {
            match lines.as_ref().filter(|lines| !lines.is_empty()) {
                Some(lines) => hold.execute(params![&**key, text(lines).unwrap_or_default()])?,
                None => close.execute(params![&**key])?,
            };
        }
        let mut audit = c.prepare_cached(
            "INSERT INTO audit (at, tenant, user, action, subject, outcome) VALUES (?,?,?,?,?,?)",
        )?;
        for row in &self.audit {
            let (tenant, user) = (row.tenant.as_str(), row.user.as_str());
            audit.execute(params![row.at.micros(), tenant, user, row.action, row.subject, row.outcome])?;
        }
        Ok(())
    }

    pub(super) fn spend(&mut self, now: Written) {
        let spent = self.spent.get(&now.number).map_or(now.spent, |before| before.spent.max(now.spent));
        self.spent.insert(now.number, Written { spent, ..now });
    }
}

fn log<T: serde::Serialize>(row: &T) {
    let row = text(row).unwrap_or_default();
    tracing::error!(row, "the database does not take a ledger or audit row; it is kept here only");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::accounts::Accounts;
    use maof_core::{Account, Measure, Name, Timestamp, Window as Over};

    fn row(subject: usize) -> AuditRow {
        let name = Name::new("t").unwrap();
        let (at, subject) = (Timestamp::default(), subject.to_string());
        AuditRow {
            at,
            tenant: name.clone(),
            user: name,
            action: String::new(),
            subject,
            outcome: String::new(),
        }
    }

    #[test]
    fn the_buffer_is_bounded_and_keeps_its_order() {
        let mut older = Rows::default();
        (0..10).for_each(|n| older.note(row(n)));
        let mut rows = Rows::default();
        (10..20).for_each(|n| rows.note(row(n)));
        rows.put_back(older);
        assert_eq!(rows.audit, (0..20).map(row).collect::<Vec<_>>());
        (20..AT_MOST + 5).for_each(|n| rows.note(row(n)));
        assert_eq!(rows.len(), AT_MOST);
    }

    #[test]
    fn what_was_spent_never_shrinks_and_what_is_promised_is_the_latest() {
        let name = Name::new("t").unwrap();
        let account = Account { tenant: name.clone(), name, measure: Measure::Money, window: Over::Total };
        let mut accounts = Accounts::default();
        let window = Arc::new((account, Timestamp::default()));
        let number = accounts.load(&window, 0);
        let rows = |spent, promised| {
            let written = Written { number, window: Arc::clone(&window), spent, promised, moved: 0 };
            Rows { spent: HashMap::from_iter([(number, written)]), ..Rows::default() }
        };
        let check = |rows: &Rows, spent, promised| {
            assert_eq!((rows.spent[&number].spent, rows.spent[&number].promised), (spent, promised));
        };
        let mut all = rows(5, 1);
        all.put_back(rows(9, 2));
        check(&all, 9, 1);
        all.spend(rows(2, 3).spent[&number].clone());
        check(&all, 9, 3);
    }

    #[test]
    fn a_hold_is_what_it_was_last() {
        let lines = |held| {
            let name = Name::new("t").unwrap();
            let account =
                Account { tenant: name.clone(), name, measure: Measure::Money, window: Over::Total };
            Some(vec![HeldLine { account, start: Timestamp::default(), held }])
        };
        let mut rows = Rows::default();
        rows.hold(&"closed".into(), None);
        rows.hold(&"raised".into(), lines(2));
        let mut older = Rows::default();
        ["closed", "raised", "failed"].into_iter().for_each(|key| older.hold(&key.into(), lines(1)));
        rows.put_back(older);
        let now = |key: &str| rows.holds[key].clone();
        assert_eq!((now("closed"), now("raised"), now("failed")), (None, lines(2), lines(1)));
    }

    #[test]
    fn what_is_used_again_is_empty_and_not_too_large() {
        let mut rows = Rows::default();
        (0..10).for_each(|n| rows.note(row(n)));
        assert!(rows.reused().is_some_and(|rows| rows.is_empty() && rows.audit.capacity() >= 10));
        let mut rows = Rows::default();
        (0..KEPT + 1).for_each(|n| rows.note(row(n)));
        assert!(rows.reused().is_none());
    }
}
