//! Opens the file: what it is, the schema, and what is carried over from the last process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use maof_core::{Error, Name, Origin, Result};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use super::sweep::Sweep;
use super::writer::Writer;
use super::{Inner, SqliteStore, Writes, away, file, lost};
use crate::accounts::Accounts;
use crate::config::Config;
use crate::fair::Fair;

/// How long a writer waits for another process that only wishes a task cancelled.
const BUSY: Duration = Duration::from_secs(5);
const READERS: u32 = 4;
/// What the write-ahead log shrinks to after it was longer, in bytes.
const LOG_KEEPS: i64 = 64 << 20;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

impl SqliteStore {
    /// Opens the file to work with it, and makes it if it is not there. Runs that the last process had when
    /// it died can be claimed at once.
    ///
    /// # Errors
    /// `conflict` when another process works with it; `unavailable` or `invalid_request`, naming the file,
    /// when it cannot be opened, is no database of MAOF, or was written by a newer version.
    pub async fn open(config: &Config) -> Result<SqliteStore> {
        config.validate().map_err(|e| e.context("store"))?;
        let path = config.path.clone();
        let lock = file::prepare(&path)?;
        let (connection, known) = off(&path, |path| {
            let connection = connect(path)?;
            let known = tables(&connection)?;
            Ok((connection, known))
        })
        .await?;
        if known == Known::Other {
            return Err(file::no_database(&path));
        }
        let connection = off(&path, move |_| wal(connection)).await?;
        let reads = pool(&path).await?;
        MIGRATIONS.run(&reads).await.map_err(|e| explain(&path, e))?;
        let (connection, (accounts, fair)) = off(&path, move |_| {
            let carried = carry_over(&connection)?;
            Ok((connection, carried))
        })
        .await?;
        let writes = Writes {
            writer: Writer::start(connection, config.durability, &path)?,
            accounts: Mutex::new(accounts),
            fair: Arc::new(Mutex::new(fair)),
            sweep: Mutex::new(Sweep::new(config.keep_days)),
            _lock: lock,
        };
        Ok(SqliteStore { inner: Arc::new(Inner { path, reads, writes: Some(writes) }) })
    }

    /// Opens the file beside whoever works with it, to look, and to wish tasks cancelled. Nothing else is
    /// written, and no schema is changed.
    ///
    /// # Errors
    /// `not_found` when it is not there; otherwise as [`SqliteStore::open`].
    pub async fn open_shared(config: &Config) -> Result<SqliteStore> {
        let path = config.path.clone();
        file::known(&path)?;
        let reads = pool(&path).await?;
        let (version,): (Option<i64>,) = sqlx::query_as("SELECT max(version) FROM _sqlx_migrations")
            .fetch_one(&reads)
            .await
            .map_err(|e| file::told(&path, e))?;
        if version > MIGRATIONS.iter().map(|m| m.version).max() {
            return Err(file::newer(&path));
        }
        let run = sqlx::query("SELECT 1 FROM run LIMIT 1").fetch_optional(&reads).await;
        run.map_err(|e| file::told(&path, e))?;
        Ok(SqliteStore { inner: Arc::new(Inner { path, reads, writes: None }) })
    }
}

/// A connection that may write.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// The write-ahead log lets others read while we write.
fn wal(connection: Connection) -> rusqlite::Result<Connection> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_KEEPS, |_| Ok(()))?;
    Ok(connection)
}

async fn pool(path: &Path) -> Result<sqlx::SqlitePool> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(false).busy_timeout(BUSY);
    let pool = SqlitePoolOptions::new().max_connections(READERS).test_before_acquire(false);
    pool.connect_with(options).await.map_err(|e| file::told(path, e))
}

/// Does what blocks where it may.
async fn off<T: Send + 'static>(
    path: &Path,
    ask: impl FnOnce(&Path) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T> {
    let here = path.to_owned();
    let done = tokio::task::spawn_blocking(move || ask(&here)).await.map_err(away)?;
    done.map_err(|e| file::told(path, e))
}

/// Whose tables a file has.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    Nobodys,
    Ours,
    Other,
}

fn tables(connection: &Connection) -> rusqlite::Result<Known> {
    let count = "SELECT count(*), coalesce(sum(name IN ('run', 'journal', 'account')), 0), \
                 coalesce(sum(name = '_sqlx_migrations'), 0) FROM sqlite_schema WHERE type = 'table'";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let (all, ours, migrations): (i64, i64, i64) = connection.query_row(count, (), row)?;
    Ok(match (all, ours) {
        (0, _) => Known::Nobodys,
        (_, 3) => Known::Ours,
        // The migrations' own table comes first; a process that is killed right then leaves it empty.
        (1, _) if migrations == 1 => {
            let done = connection
                .query_row("SELECT count(*) FROM _sqlx_migrations", (), |row| row.get::<_, i64>(0))?;
            if done == 0 { Known::Nobodys } else { Known::Other }
        }
        _ => Known::Other,
    })
}

/// Balances, the queue's order, and leases of a process that is no more.
fn carry_over(connection: &Connection) -> rusqlite::Result<(Accounts, Fair)> {
    connection.execute("UPDATE run SET lease_until = 0 WHERE state = 1", ())?;
    lost::resolve(connection)?;
    let mut accounts = Accounts::default();
    let mut statement =
        connection.prepare("SELECT tenant, name, measure, period, start, spent FROM account")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        if let Some(window) = lost::window(row)? {
            accounts.load(&window, row.get(5)?);
        }
    }
    let mut statement = connection.prepare("SELECT tenant, place, priority FROM run WHERE state = 0")?;
    let queue = statement
        .query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i16>(2)?)))?;
    let queue: Vec<(String, i64, i16)> = queue.collect::<rusqlite::Result<_>>()?;
    let waiting = queue.into_iter().filter_map(|(tenant, place, priority)| {
        Name::new(&tenant).ok().map(|tenant| (tenant, place, priority))
    });
    Ok((accounts, Fair::resume(waiting)))
}

fn explain(path: &Path, error: sqlx::migrate::MigrateError) -> Error {
    use sqlx::migrate::MigrateError as E;
    match error {
        E::VersionMissing(_) | E::VersionTooNew(..) => file::newer(path).because(error),
        E::VersionMismatch(_) => {
            let why = format!(
                "the database {} was made by another build of MAOF; move it away to begin anew",
                path.display()
            );
            Error::invalid_request(why).origin_is(Origin::Store).param("store.path").because(error)
        }
        error => file::told(path, error),
    }
}
