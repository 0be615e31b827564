//! Who writes. What piled up while the last transaction ran shares the next one.
//!
//! Two kinds of work come in. *Jobs* are waited for and told when they are durable; they are bounded by
//! places. *Rows* (ledger, audit) are only handed over, under a lock and without waiting; every transaction
//! writes first the rows that were there when its jobs were taken, so a job that was sent after a row is
//! never durable before it. Rows without jobs are written every few milliseconds. A transaction that fails
//! puts its rows back.
//!
//! A thread of its own writes what may take long: what is synced to disk, what is large, and what another
//! process has to be waited for. What is brief and not synced is written by whoever sent it (the *leader*),
//! together with what others sent meanwhile: a few tens of microseconds, less than waking a thread and being
//! woken by it. See ADR 7.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use maof_core::{Error, Result};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::away;
use super::behind::{ROWS, Rows};
use super::job::{How, Job};
use super::transaction::{Log, Outcome, Transactions};
use crate::config::Durability;

/// Jobs that wait at the same time, at most.
const JOBS: usize = 4_096;
/// Jobs of one transaction of the thread.
const AT_ONCE: usize = 256;
/// Jobs of one transaction of a leader.
const BRIEFLY: usize = 32;
/// Rows of one transaction of a leader.
const FEW_ROWS: usize = 128;
/// How long rows wait for company.
const TICK: Duration = Duration::from_millis(25);
/// How long rows wait at most after transactions that failed.
const LONGEST: Duration = Duration::from_secs(1);
/// Failures in a row after which a writer that is to end leaves its rows to the log.
const LAST_TRIES: u32 = 3;

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    rows: Rows,
    /// Room of the rows that were written last.
    room: Option<Rows>,
    /// The thread waits for ever: whoever hands rows over wakes it.
    asleep: bool,
    /// The log is to be copied into the file.
    long: bool,
    /// The handle is gone: what is there is written, and nothing more comes.
    closed: bool,
    /// The thread has ended: nothing is written any more.
    ended: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    places: Arc<Semaphore>,
    /// Locked before the queue, so that what was taken first is written first.
    transactions: Mutex<Transactions>,
    durability: Durability,
}

/// The handle of everything that writes; dropping it waits until everything is written.
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, durability: Durability, path: &Path) -> Result<Writer> {
        let transactions = Transactions::new(connection, durability, Log::of(path)).map_err(away)?;
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::default()),
            filled: Condvar::new(),
            places: Arc::new(Semaphore::new(JOBS)),
            transactions: Mutex::new(transactions),
            durability,
        });
        let ending = Ending(Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("maof-sqlite".to_owned())
            .spawn(move || work(&ending.0))
            .map_err(|e| Error::unavailable("no thread for the database could be started").because(e))?;
        Ok(Writer { shared, thread: Some(thread) })
    }

    /// Runs `ask` within a transaction; the answer comes when it is committed, synced to disk if asked for.
    pub(super) async fn write<T, F>(&self, how: How, ask: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<Result<T>> + Send + 'static,
    {
        let place = Arc::clone(&self.shared.places).acquire_owned().await.map_err(away)?;
        let (job, told) = Job::new(place, how, ask);
        let leads = how == How::Brief && self.shared.durability == Durability::ProcessCrash;
        {
            let mut queue = self.shared.queue.lock();
            if queue.ended {
                return Err(away("the writing thread has ended"));
            }
            queue.jobs.push_back(job);
            if !leads {
                self.shared.filled.notify_one();
            }
        }
        if leads {
            let turn = Turn(&self.shared);
            // Who is ready to write too goes first, and shares the transaction.
            tokio::task::yield_now().await;
            drop(turn);
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
            true => self.write(How::Plain, |_| Ok(Ok(()))).await,
            false => Ok(()),
        }
    }

    /// How often the log was synced for those who wait.
    #[cfg(test)]
    pub(super) fn syncs(&self) -> u64 {
        self.shared.transactions.lock().log.syncs
    }

    /// Hands rows over. Never waits.
    pub(super) fn hand_over(&self, add: impl FnOnce(&mut Rows)) {
        let mut queue = self.shared.queue.lock();
        if queue.ended {
            let mut late = Rows::default();
            add(&mut late);
            return late.give_up();
        }
        add(&mut queue.rows);
        if queue.asleep {
            queue.asleep = false;
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

/// A leader's turn, which comes also where nobody waits for its job any more.
struct Turn<'a>(&'a Shared);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lead();
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

fn work(shared: &Shared) {
    let mut failures = 0;
    while shared.wait(failures) {
        let mut transactions = shared.transactions.lock();
        let (jobs, rows) = shared.queue.lock().take(AT_ONCE);
        match shared.run(&mut transactions, jobs, rows, true) {
            Outcome::Committed => failures = 0,
            Outcome::Failed | Outcome::Busy => failures += 1,
        }
        if transactions.is_long() {
            transactions.checkpoint();
        }
    }
}

impl Shared {
    /// Waits until there is something for the thread; false when nothing more will come. After failures, rows
    /// alone wait longer.
    fn wait(&self, failures: u32) -> bool {
        let pause = LONGEST.min(TICK * (1 << failures.min(10)));
        let mut queue = self.queue.lock();
        let mut idle = false;
        while queue.jobs.is_empty() && !queue.long && !queue.closed {
            if idle && queue.rows.is_empty() {
                queue.asleep = true;
                self.filled.wait(&mut queue);
                (queue.asleep, idle) = (false, false);
            } else if self.filled.wait_for(&mut queue, pause).timed_out() {
                if !queue.rows.is_empty() {
                    break;
                }
                // Rows that leaders take along need no thread, and wake none.
                idle = true;
            }
        }
        queue.long = false;
        let done = queue.jobs.is_empty() && (queue.rows.is_empty() || failures >= LAST_TRIES);
        !(queue.closed && done)
    }

    /// Writes what is there, if that is brief and nobody else does it. Never waits.
    fn lead(&self) {
        {
            // Whoever has the connection looks at the queue when it is let go of.
            let Some(mut transactions) = self.transactions.try_lock() else { return };
            let mut queue = self.queue.lock();
            if queue.jobs.is_empty() || queue.ended {
                return;
            }
            if !queue.is_brief() {
                self.filled.notify_one();
                return;
            }
            let (jobs, rows) = queue.take(BRIEFLY);
            drop(queue);
            self.run(&mut transactions, jobs, rows, false);
            if transactions.is_long() {
                self.queue.lock().long = true;
            }
        }
        let queue = self.queue.lock();
        if !queue.jobs.is_empty() || queue.long {
            self.filled.notify_one();
        }
    }

    /// One transaction. What it leaves undone is put back.
    fn run(&self, transactions: &mut Transactions, mut jobs: Vec<Job>, rows: Rows, patient: bool) -> Outcome {
        let mut rows = Unwritten { queue: &self.queue, rows };
        let outcome = transactions.run(&mut jobs, &rows.rows, patient);
        if outcome == Outcome::Committed {
            let room = std::mem::take(&mut rows.rows).reused();
            self.queue.lock().room = room;
        }
        if !jobs.is_empty() {
            let mut queue = self.queue.lock();
            jobs.into_iter().rev().for_each(|job| queue.jobs.push_front(job));
        }
        outcome
    }
}

/// Rows of a transaction that did not come to its end, be it that a job panicked: they go back.
struct Unwritten<'a> {
    queue: &'a Mutex<Queue>,
    rows: Rows,
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        if !self.rows.is_empty() {
            self.queue.lock().rows.put_back(std::mem::take(&mut self.rows));
        }
    }
}

impl Queue {
    /// So many jobs, and all rows.
    fn take(&mut self, most: usize) -> (Vec<Job>, Rows) {
        let many = self.jobs.len().min(most);
        let room = self.room.take().unwrap_or_default();
        (self.jobs.drain(..many).collect(), std::mem::replace(&mut self.rows, room))
    }

    /// Whether a leader may write what is there.
    fn is_brief(&self) -> bool {
        self.rows.len() <= FEW_ROWS && self.jobs.iter().take(BRIEFLY).all(|job| job.how == How::Brief)
    }
}
