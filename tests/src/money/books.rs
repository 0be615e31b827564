//! What the ledger says when everybody has gone, read from its tables and not through its code.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use maof_testkit::services::Database;
use rusqlite::{Connection, OpenFlags};

use super::asked;

/// A ledger that nobody works with any more.
#[derive(Debug)]
pub enum Tables<'a> {
    /// In a file.
    Sqlite(Connection),
    /// In a database.
    Postgres(&'a Database),
}

/// What they say.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// Attempts, by endpoint, and what they cost in nano-dollars.
    pub rows: BTreeMap<&'static str, (i64, i64)>,
    /// What the key has spent, in nano-dollars.
    pub spent: i64,
    /// Of that, what processes that died had held or been promised.
    pub lost: i64,
    /// Requests that the tenant's account counts, and of these the lost ones.
    pub requests: (i64, i64),
    /// Calls whose holds were lost; none is told in batched mode.
    pub lost_calls: i64,
    /// Holds that are open, and accounts of which something is held or promised.
    pub open: i64,
}

impl Tables<'_> {
    /// The tables of this file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_file(path: &Path) -> Result<Tables<'static>> {
        Ok(Tables::Sqlite(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?))
    }

    fn number(&self, sql: &str) -> Result<i64> {
        match self {
            Tables::Sqlite(file) => Ok(file.query_row(sql, (), |row| row.get(0))?),
            Tables::Postgres(database) => Ok(database.number(sql)),
        }
    }

    /// What they say.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(&self) -> Result<Books> {
        let number = |sql: &str| self.number(sql);
        let mut books = Books::default();
        for name in asked::endpoints() {
            let of = |what: &str| number(&format!("SELECT {what} FROM attempt WHERE endpoint = '{name}'"));
            books.rows.insert(name, (of("count(*)")?, of("coalesce(sum(cost), 0)")?));
        }
        let account = |measure: &str| format!("FROM account WHERE measure = '{measure}'");
        books.spent = number(&format!("SELECT coalesce(sum(spent), 0) {}", account("money")))?;
        books.requests.0 = number(&format!("SELECT coalesce(sum(spent), 0) {}", account("requests")))?;
        let (lost, open) = match self {
            Tables::Sqlite(_) => (
                "FROM lost_hold WHERE amount > 0",
                "SELECT (SELECT count(*) FROM hold) + (SELECT count(*) FROM account WHERE promised > 0)",
            ),
            Tables::Postgres(_) => (
                "FROM lost_hold l JOIN account a ON a.id = l.account WHERE amount > 0 AND restored IS NULL",
                "SELECT (SELECT count(*) FROM hold WHERE closed IS NULL AND held > 0) \
                 + (SELECT count(*) FROM account WHERE held > 0)",
            ),
        };
        books.lost = number(&format!("SELECT coalesce(sum(amount), 0) {lost} AND measure = 'money'"))?;
        books.requests.1 =
            number(&format!("SELECT coalesce(sum(amount), 0) {lost} AND measure = 'requests'"))?;
        books.lost_calls = number(&format!("SELECT count(DISTINCT key) {lost} AND key NOT LIKE 'slice|%'"))?;
        books.open = number(open)?;
        Ok(books)
    }
}
