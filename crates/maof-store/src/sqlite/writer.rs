//! The one thread that writes. What piled up while the last commit ran shares the next one.
//!
//! Two kinds of work reach it. *Jobs* are waited for and told when they are durable; they are bounded by
//! permits. *Rows* (ledger, audit) are only handed over, under a lock and without waiting, so that a `Drop`
//! may do it; every transaction writes first the rows that were there when its jobs were taken, so a job that
//! was sent after a row is never durable before it. Rows without jobs are written every few milliseconds.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use maof_core::{Attempt, AuditRow, Error, Result};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use super::{away, write};
use crate::accounts::Window;
use crate::config::Durability;

/// Jobs that wait at the same time, at most.
const JOBS: usize = 4_096;
/// Jobs of one transaction.
const AT_ONCE: usize = 256;
/// How long rows wait for company.
const TICK: Duration = Duration::from_millis(10);
/// Rows beyond which holds wait for the writer.
pub(super) const ROWS: usize = 65_536;

/// Something to be done within a transaction. Fails only for the database's reasons; then the whole
/// transaction is rolled back.
trait Work: Send {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    fn done(self: Box<Self>, failed: Option<&Error>);
}

struct Job {
    work: Box<dyn Work>,
    /// Whether it must be on disk before it is done.
    synced: bool,
}

struct Asked<T, F> {
    ask: Option<F>,
    answer: Option<Result<T>>,
    tell: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: Send> Work for Asked<T, F>
where
    F: FnOnce(&Connection) -> rusqlite::Result<Result<T>>,
{
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if let Some(ask) = self.ask.take() {
            self.answer = Some(ask(connection)?);
        }
        Ok(())
    }

    fn done(self: Box<Self>, failed: Option<&Error>) {
        let answer = match (failed, self.answer) {
            (Some(error), _) => Err(Error::from(error.failure())),
            (None, Some(answer)) => answer,
            (None, None) => Err(Error::internal("a write was never made")),
        };
        // Who no longer waits does not mind.
        let _ = self.tell.send(answer);
    }
}

/// Rows that are only handed over.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) attempts: Vec<Attempt>,
    pub(super) spent: HashMap<Window, i64>,
    pub(super) audit: Vec<AuditRow>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.attempts.len() + self.spent.len() + self.audit.len()
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    rows: Rows,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    places: Semaphore,
}

/// The handle of the writing thread; dropping it waits until everything is written.
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, durability: Durability) -> Result<Writer> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::default()),
            filled: Condvar::new(),
            places: Semaphore::new(JOBS),
        });
        let here = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("maof-sqlite".to_owned())
            .spawn(move || work(&here, &connection, durability))
            .map_err(|e| Error::unavailable("no thread for the database could be started").because(e))?;
        Ok(Writer { shared, thread: Some(thread) })
    }

    /// Runs `ask` within a transaction; the answer comes when it is committed, synced to disk if asked for.
    pub(super) async fn write<T, F>(&self, synced: bool, ask: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<Result<T>> + Send + 'static,
    {
        let place = self.shared.places.acquire().await.map_err(away)?;
        let (tell, told) = oneshot::channel();
        let work = Box::new(Asked { ask: Some(ask), answer: None, tell });
        {
            let mut queue = self.shared.queue.lock();
            queue.jobs.push_back(Job { work, synced });
            self.shared.filled.notify_one();
        }
        let answer = told.await.map_err(away)?;
        drop(place);
        answer
    }

    /// Hands rows over. Never waits.
    pub(super) fn hand_over(&self, add: impl FnOnce(&mut Rows)) {
        let mut queue = self.shared.queue.lock();
        let first = queue.rows.len() == 0;
        add(&mut queue.rows);
        if first {
            self.shared.filled.notify_one();
        }
    }

    /// Rows that are not written yet.
    pub(super) fn waiting_rows(&self) -> usize {
        self.shared.queue.lock().rows.len()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.filled.notify_one();
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has nothing more to write.
            let _ = thread.join();
        }
    }
}

fn work(shared: &Shared, connection: &Connection, durability: Durability) {
    loop {
        let (jobs, rows) = {
            let mut queue = shared.queue.lock();
            while queue.jobs.is_empty() && !queue.closed {
                if queue.rows.len() == 0 {
                    shared.filled.wait(&mut queue);
                } else if shared.filled.wait_for(&mut queue, TICK).timed_out() {
                    break;
                }
            }
            let many = queue.jobs.len().min(AT_ONCE);
            let jobs: Vec<Job> = queue.jobs.drain(..many).collect();
            let rows = std::mem::take(&mut queue.rows);
            if jobs.is_empty() && rows.len() == 0 && queue.closed {
                return;
            }
            (jobs, rows)
        };
        transact(connection, durability, jobs, &rows);
    }
}

fn transact(connection: &Connection, durability: Durability, mut jobs: Vec<Job>, rows: &Rows) {
    let synced = durability == Durability::OsCrash || jobs.iter().any(|job| job.synced);
    let outcome = try_transact(connection, synced, &mut jobs, rows);
    let failed = outcome.err().map(|error| {
        tracing::error!(%error, "a transaction failed and was rolled back");
        // An error of the rollback itself says that there is nothing to roll back.
        let _ = connection.execute_batch("ROLLBACK");
        away(error)
    });
    if failed.is_some() && rows.len() > 0 {
        tracing::error!(rows = rows.len(), "ledger and audit rows could not be written");
    }
    for job in jobs {
        job.work.done(failed.as_ref());
    }
}

fn try_transact(
    connection: &Connection,
    synced: bool,
    jobs: &mut [Job],
    rows: &Rows,
) -> rusqlite::Result<()> {
    // Outside the transaction: within one it has no effect.
    connection
        .prepare_cached(if synced { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" })?
        .query(())?
        .next()?;
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
    write::rows(connection, rows)?;
    for job in jobs {
        job.work.run(connection)?;
    }
    connection.prepare_cached("COMMIT")?.execute(())?;
    Ok(())
}
