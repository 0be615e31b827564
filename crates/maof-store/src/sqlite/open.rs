//! Opens the file: the lock, the schema, and what is carried over from the last process.

use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use maof_core::{Account, Error, Measure, Name, Origin, Result, Timestamp, Window};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};

use super::writer::Writer;
use super::{Inner, SqliteStore, Writes};
use crate::accounts::Accounts;
use crate::config::Config;
use crate::fair::Fair;

/// How long a writer waits for another process that only wishes a task cancelled.
const BUSY: Duration = Duration::from_secs(5);
const READERS: u32 = 4;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

impl SqliteStore {
    /// Opens the file to work with it, and makes it if it is not there. Runs that the last process had when
    /// it died can be claimed at once.
    ///
    /// # Errors
    /// `conflict` when another process works with it; `unavailable` or `invalid_request`, naming the file,
    /// when it cannot be opened, is no database, or was written by a newer version.
    pub async fn open(config: &Config) -> Result<SqliteStore> {
        let path = config.path.clone();
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            std::fs::create_dir_all(dir).map_err(|e| told(&path, e))?;
        }
        let lock = lock(&path)?;
        private(&path)?;
        let reads = pool(&path, true).await?;
        MIGRATIONS.run(&reads).await.map_err(|e| explain(&path, e))?;
        let connection = connect(&path).map_err(|e| told(&path, e))?;
        let (accounts, fair) = carry_over(&connection).map_err(|e| told(&path, e))?;
        let writes = Writes {
            writer: Writer::start(connection, config.durability)?,
            accounts: Mutex::new(accounts),
            fair: Mutex::new(fair),
            _lock: lock,
        };
        Ok(SqliteStore { inner: Arc::new(Inner { path, reads, writes: Some(writes) }) })
    }

    /// Opens the file beside whoever works with it, to look, and to wish tasks cancelled.
    ///
    /// # Errors
    /// `not_found` when it is not there; otherwise as [`SqliteStore::open`].
    pub async fn open_shared(config: &Config) -> Result<SqliteStore> {
        let path = config.path.clone();
        if !path.is_file() {
            return Err(
                Error::not_found(format!("there is no database {}", path.display())).param("store.path")
            );
        }
        let reads = pool(&path, false).await?;
        let known = sqlx::query("SELECT 1 FROM run LIMIT 1").fetch_optional(&reads).await;
        known.map_err(|e| told(&path, e))?;
        Ok(SqliteStore { inner: Arc::new(Inner { path, reads, writes: None }) })
    }
}

/// A connection that writes.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "foreign_keys", "OFF")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

async fn pool(path: &Path, create: bool) -> Result<sqlx::SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(BUSY);
    let pool = SqlitePoolOptions::new().max_connections(READERS).test_before_acquire(false);
    pool.connect_with(options).await.map_err(|e| told(path, e))
}

/// Takes the lock file; it is let go when the process ends, however it ends.
fn lock(path: &Path) -> Result<std::fs::File> {
    let name = beside(path, ".lock");
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&name).map_err(|e| told(path, e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let read = file.read_to_string(&mut owner).is_ok() && !owner.trim().is_empty();
            let who = if read { format!(" (process {})", owner.trim()) } else { String::new() };
            let why = format!(
                "the database {} is in use by another process{who}; stop it, or use another with --db",
                path.display()
            );
            return Err(Error::conflict(why).param("store.path"));
        }
        Err(std::fs::TryLockError::Error(e)) => return Err(told(path, e)),
    }
    let written = file.set_len(0).and_then(|()| file.rewind());
    written.and_then(|()| writeln!(file, "{}", std::process::id())).map_err(|e| told(path, e))?;
    Ok(file)
}

/// A file that is made is the owner's only: it holds what tasks say.
fn private(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|e| told(path, e))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Balances, the queue's order, and leases of a process that is no more.
fn carry_over(connection: &Connection) -> rusqlite::Result<(Accounts, Fair)> {
    connection.execute("UPDATE run SET lease_until = 0 WHERE state = 1", ())?;
    let mut accounts = Accounts::default();
    let mut statement =
        connection.prepare("SELECT tenant, name, measure, period, start, spent FROM account")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let text = |i| row.get::<_, String>(i);
        let (measure, window) = (measure(&text(2)?), window(&text(3)?));
        if let (Ok(tenant), Ok(name), Some(measure), Some(window)) =
            (Name::new(&text(0)?), Name::new(&text(1)?), measure, window)
        {
            let account = Account { tenant, name, measure, window };
            accounts.load((account, Timestamp::from_micros(row.get(4)?)), row.get(5)?);
        }
    }
    let mut fair = Fair::default();
    let mut statement = connection.prepare("SELECT tenant, place, priority FROM run WHERE state = 0")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        if let Ok(tenant) = Name::new(&row.get::<_, String>(0)?) {
            fair.seen(&tenant, row.get(1)?, row.get(2)?);
        }
    }
    Ok((accounts, fair))
}

fn measure(text: &str) -> Option<Measure> {
    [Measure::Money, Measure::Tokens, Measure::Requests].into_iter().find(|m| m.as_str() == text)
}

fn window(text: &str) -> Option<Window> {
    let all = [Window::Total, Window::Minute, Window::Hour, Window::Day, Window::Month];
    all.into_iter().find(|w| w.as_str() == text)
}

fn explain(path: &Path, error: sqlx::migrate::MigrateError) -> Error {
    use sqlx::migrate::MigrateError as E;
    match error {
        E::VersionMissing(_) | E::VersionTooNew(..) => {
            let why = format!("the database {} was written by a newer version of MAOF", path.display());
            Error::invalid_request(why).param("store.path").because(error)
        }
        error => told(path, error),
    }
}

fn told(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let error = error.into();
    let text = error.to_string();
    let name = path.display();
    let made = if text.contains("not a database") || text.contains("no such table") {
        Error::invalid_request(format!("{name} is no database of MAOF"))
    } else if text.contains("malformed") {
        Error::internal(format!("the database {name} is damaged"))
    } else {
        Error::unavailable(format!("the database {name} cannot be opened: {text}"))
    };
    made.origin_is(Origin::Store).param("store.path").because(error)
}
