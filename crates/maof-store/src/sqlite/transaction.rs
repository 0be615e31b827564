//! The connection that writes, one transaction at a time.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use maof_core::Error;
use rusqlite::{Connection, ErrorCode};

use super::away;
use super::behind::Rows;
use super::job::{How, Job};
use crate::config::Durability;

/// How long a transaction that may wait does so for another process that only wishes a task cancelled.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pages of the write-ahead log after which it is copied into the file.
const CHECKPOINT: i32 = 1_000;

thread_local! {
    /// Pages in the log after this thread's last commit.
    static PAGES: Cell<i32> = const { Cell::new(0) };
}

/// How a transaction came out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is committed, and its jobs are told.
    Committed,
    /// It was rolled back, its jobs are told, and its rows are to be written by another.
    Failed,
    /// Another process writes just now, and nobody was to wait for it: nothing was done.
    Busy,
}

/// The connection that writes.
pub(super) struct Transactions {
    connection: Connection,
    durability: Durability,
    /// The write-ahead log, to be synced where the connection itself does not.
    pub(super) log: Log,
    /// Whether it waits at present where another process writes; none when that is not known.
    patient: Option<bool>,
    /// Whether the log has become long.
    long: bool,
}

impl Transactions {
    /// Takes the connection over. The log is copied into the file by [`Transactions::checkpoint`] only.
    pub(super) fn new(connection: Connection, durability: Durability, log: Log) -> rusqlite::Result<Self> {
        let every = if durability == Durability::OsCrash { "FULL" } else { "NORMAL" };
        connection.pragma_update(None, "synchronous", every)?;
        connection.wal_hook(Some(|_, pages| {
            PAGES.set(pages);
            Ok(())
        }));
        Ok(Transactions { connection, durability, log, patient: None, long: false })
    }

    /// One transaction of rows and jobs; tells the jobs how it went. Who is not `patient` waits for nobody.
    pub(super) fn run(&mut self, jobs: &mut Vec<Job>, rows: &Rows, patient: bool) -> Outcome {
        let synced = self.durability != Durability::OsCrash && jobs.iter().any(|job| job.how == How::Synced);
        let done = self.begin(patient).map_err(Cause::from).and_then(|begun| {
            if begun {
                self.commit(jobs, rows)?;
                if synced {
                    self.log.sync()?;
                }
            }
            Ok(begun)
        });
        let failed = match done {
            Ok(false) => return Outcome::Busy,
            Ok(true) => None,
            Err(error) => {
                tracing::error!(%error, rows = rows.len(), jobs = jobs.len(), "a transaction was rolled back");
                // An error of the rollback itself says that there is nothing to roll back.
                let _ = self.connection.execute_batch("ROLLBACK");
                self.patient = None;
                Some(away(error))
            }
        };
        tell(jobs, failed.as_ref());
        failed.map_or(Outcome::Committed, |_| Outcome::Failed)
    }

    /// Whether the log is so long that it is time for [`Transactions::checkpoint`].
    pub(super) fn is_long(&self) -> bool {
        self.long
    }

    /// Copies the log into the file: milliseconds, and more on a slow disk.
    pub(super) fn checkpoint(&mut self) {
        self.long = false;
        let copied = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()));
        if let Err(error) = copied {
            // The log keeps everything until it succeeds.
            tracing::warn!(%error, "the write-ahead log could not be copied into the database");
        }
    }

    /// False if another process writes and we are not to wait.
    fn begin(&mut self, patient: bool) -> rusqlite::Result<bool> {
        let c = &self.connection;
        if !c.is_autocommit() {
            // Left behind by a job that panicked.
            c.execute_batch("ROLLBACK")?;
        }
        if self.patient != Some(patient) {
            c.busy_timeout(if patient { PATIENCE } else { Duration::ZERO })?;
            self.patient = Some(patient);
        }
        match c.prepare_cached("BEGIN IMMEDIATE")?.execute(()) {
            Err(error) if !patient && error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(false),
            begun => begun.map(|_| true),
        }
    }

    fn commit(&mut self, jobs: &mut [Job], rows: &Rows) -> rusqlite::Result<()> {
        let c = &self.connection;
        rows.write(c)?;
        for job in jobs {
            job.run(c)?;
        }
        PAGES.set(0);
        c.prepare_cached("COMMIT")?.execute(())?;
        // Nothing written is no news of the log.
        self.long |= PAGES.get() >= CHECKPOINT;
        Ok(())
    }
}

/// Why a transaction is not known to be durable: the database, or the disk.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The file of the write-ahead log. SQLite itself syncs it before a checkpoint, and at every commit or at none;
/// here only those commits are synced that somebody waits for. It is there as long as the connection is.
pub(super) struct Log {
    path: PathBuf,
    file: Option<File>,
    #[cfg(test)]
    pub(super) syncs: u64,
}

impl Log {
    /// That of the database at this path.
    pub(super) fn of(database: &Path) -> Log {
        let mut name = database.as_os_str().to_owned();
        name.push("-wal");
        Log {
            path: name.into(),
            file: None,
            #[cfg(test)]
            syncs: 0,
        }
    }

    fn sync(&mut self) -> std::io::Result<()> {
        #[cfg(test)]
        {
            self.syncs += 1;
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new().read(true).write(true).open(&self.path)?,
        };
        self.file.insert(file).sync_data()
    }
}

fn tell(jobs: &mut Vec<Job>, failed: Option<&Error>) {
    for job in jobs.drain(..) {
        job.done(failed);
    }
}
