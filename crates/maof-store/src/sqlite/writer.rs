//! The one thread that writes. What piled up while the last commit ran shares the next one.
//!
//! Two kinds of work reach it. *Jobs* are waited for and told when they are durable; they are bounded by
//! places. *Rows* (ledger, audit) are only handed over, under a lock and without waiting; every transaction
//! writes first the rows that were there when its jobs were taken, so a job that was sent after a row is
//! never durable before it. Rows without jobs are written every few milliseconds. A transaction that fails
//! puts its rows back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use maof_core::{Error, Result};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::away;
use super::behind::{ROWS, Rows};
use super::job::Job;
use crate::config::Durability;

/// Jobs that wait at the same time, at most.
const JOBS: usize = 4_096;
/// Jobs of one transaction.
const AT_ONCE: usize = 256;
/// How long rows wait for company.
const TICK: Duration = Duration::from_millis(10);
/// How long rows wait at most after transactions that failed.
const LONGEST: Duration = Duration::from_secs(1);
/// Failures in a row after which a writer that is to end leaves its rows to the log.
const LAST_TRIES: u32 = 3;

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    rows: Rows,
    /// The handle is gone: what is there is written, and nothing more comes.
    closed: bool,
    /// The thread has ended: nothing is written any more.
    ended: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    places: Arc<Semaphore>,
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
            places: Arc::new(Semaphore::new(JOBS)),
        });
        let ending = Ending(Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("maof-sqlite".to_owned())
            .spawn(move || work(&ending.0, &Transactions { connection, durability, synced: None.into() }))
            .map_err(|e| Error::unavailable("no thread for the database could be started").because(e))?;
        Ok(Writer { shared, thread: Some(thread) })
    }

    /// Runs `ask` within a transaction; the answer comes when it is committed, synced to disk if asked for.
    pub(super) async fn write<T, F>(&self, synced: bool, ask: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<Result<T>> + Send + 'static,
    {
        let place = Arc::clone(&self.shared.places).acquire_owned().await.map_err(away)?;
        let (job, told) = Job::new(place, synced, ask);
        {
            let mut queue = self.shared.queue.lock();
            if queue.ended {
                return Err(away("the writing thread has ended"));
            }
            queue.jobs.push_back(job);
            self.shared.filled.notify_one();
        }
        told.await.map_err(away)?
    }

    /// Waits while more rows are there than should be.
    pub(super) async fn ready(&self) -> Result<()> {
        let (ended, rows) = {
            let queue = self.shared.queue.lock();
            (queue.ended, queue.rows.len())
        };
        match ended || rows > ROWS {
            true => self.write(false, |_| Ok(Ok(()))).await,
            false => Ok(()),
        }
    }

    /// Hands rows over. Never waits.
    pub(super) fn hand_over(&self, add: impl FnOnce(&mut Rows)) {
        let mut queue = self.shared.queue.lock();
        if queue.ended {
            let mut late = Rows::default();
            add(&mut late);
            return late.give_up();
        }
        let first = queue.rows.is_empty();
        add(&mut queue.rows);
        if first {
            self.shared.filled.notify_one();
        }
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

/// Leaves nobody waiting when the thread ends, however it ends.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        let (jobs, rows) = {
            let mut queue = self.0.queue.lock();
            queue.ended = true;
            (std::mem::take(&mut queue.jobs), std::mem::take(&mut queue.rows))
        };
        rows.give_up();
        drop(jobs);
    }
}

fn work(shared: &Shared, transactions: &Transactions) {
    let mut failures = 0;
    while let Some((jobs, rows)) = shared.take(failures) {
        match transactions.run(jobs, &rows) {
            Ok(()) => failures = 0,
            Err(()) => {
                failures += 1;
                shared.queue.lock().rows.put_back(rows);
            }
        }
    }
}

impl Shared {
    /// What is to be written next; none when nothing more will come. After failures, rows alone wait longer.
    fn take(&self, failures: u32) -> Option<(Vec<Job>, Rows)> {
        let pause = LONGEST.min(TICK * (1 << failures.min(10)));
        let mut queue = self.queue.lock();
        while queue.jobs.is_empty() && !queue.closed {
            if queue.rows.is_empty() {
                self.filled.wait(&mut queue);
            } else if self.filled.wait_for(&mut queue, pause).timed_out() {
                break;
            }
        }
        let done = queue.jobs.is_empty() && (queue.rows.is_empty() || failures >= LAST_TRIES);
        if queue.closed && done {
            return None;
        }
        let many = queue.jobs.len().min(AT_ONCE);
        let jobs = queue.jobs.drain(..many).collect();
        Some((jobs, std::mem::take(&mut queue.rows)))
    }
}

/// The connection that writes.
struct Transactions {
    connection: Connection,
    durability: Durability,
    /// Whether commits are synced at present; none when that is not known.
    synced: std::cell::Cell<Option<bool>>,
}

impl Transactions {
    /// One transaction of rows and jobs; tells the jobs how it went.
    fn run(&self, mut jobs: Vec<Job>, rows: &Rows) -> Result<(), ()> {
        let synced = self.durability == Durability::OsCrash || jobs.iter().any(|job| job.synced);
        let failed = self.commit(synced, &mut jobs, rows).err().map(|error| {
            tracing::error!(%error, rows = rows.len(), jobs = jobs.len(), "a transaction was rolled back");
            // An error of the rollback itself says that there is nothing to roll back.
            let _ = self.connection.execute_batch("ROLLBACK");
            self.synced.set(None);
            away(error)
        });
        for job in jobs {
            job.done(failed.as_ref());
        }
        failed.map_or(Ok(()), |_| Err(()))
    }

    fn commit(&self, synced: bool, jobs: &mut [Job], rows: &Rows) -> rusqlite::Result<()> {
        let c = &self.connection;
        if self.synced.get() != Some(synced) {
            // Outside the transaction: within one it has no effect.
            c.pragma_update(None, "synchronous", if synced { "FULL" } else { "NORMAL" })?;
            self.synced.set(Some(synced));
        }
        c.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        rows.write(c)?;
        for job in jobs {
            job.run(c)?;
        }
        c.prepare_cached("COMMIT")?.execute(())?;
        Ok(())
    }
}
