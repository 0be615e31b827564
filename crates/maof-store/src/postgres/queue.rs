//! What a node has to send: holds, which are waited for; attempts and ends of holds, which are not.
//!
//! Handing over never waits, so that a `Drop` may do it, and what is handed over comes in its order. The queue is bounded
//! twice. Above [`ROWS`] every hold is refused, which stops calls where they begin. Above [`AT_MOST`] (calls that hold
//! nothing, over a database that is away) an attempt goes to the log instead, whole, at level error; what its key holds is
//! then never given back, so that it counts as spent when this node ends.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use maof_core::{Attempt, Balances, Charge, Result, Timestamp};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::{Notify, oneshot};

use super::apply::away;

/// Entries beyond which holds are refused.
const ROWS: usize = 65_536;
/// Entries that are kept in memory at most, ends of holds apart: there are no more of these than of holds.
const AT_MOST: usize = 2 * ROWS;
/// Entries of one transaction.
const BATCH: usize = 1_024;

/// The holds that an attempt is charged to, each with what it moves from held to spent there: what it used, if that is
/// not said.
pub(super) type Keys = SmallVec<[(Arc<str>, Option<i64>); 1]>;

/// Something to be sent.
#[derive(Debug)]
pub(super) enum Entry {
    Attempt(Keys, Box<Attempt>),
    Close(Arc<str>),
    Hold(Hold),
    /// Somebody waits until all before it is written.
    Written(oneshot::Sender<Result<()>>),
}

/// A hold that is asked for.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) key: Arc<str>,
    /// No account twice.
    pub(super) charges: Vec<Charge>,
    pub(super) now: Timestamp,
    pub(super) tell: oneshot::Sender<Result<Balances>>,
}

impl Entry {
    /// Whether it is about one of these holds.
    fn is_about(&self, keys: &HashSet<Arc<str>>) -> bool {
        match self {
            Self::Attempt(charged, _) => charged.iter().any(|(key, _)| keys.contains(key)),
            Self::Close(key) | Self::Hold(Hold { key, .. }) => keys.contains(key),
            Self::Written(_) => false,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Entry>,
    /// Keys of which an attempt went to the log: their holds are not given back.
    unreported: HashSet<Arc<str>>,
    /// The database does not answer: nobody waits for it in vain.
    away: bool,
    /// The handle is gone: what is there is written, and nothing more comes.
    closed: bool,
}

impl Queue {
    /// Asks for a hold; the answer comes when it is written.
    pub(super) fn hold(
        &self,
        key: &Arc<str>,
        charges: Vec<Charge>,
        now: Timestamp,
    ) -> Result<oneshot::Receiver<Result<Balances>>> {
        let (tell, told) = oneshot::channel();
        let mut state = self.state.lock();
        if state.away || state.entries.len() >= ROWS {
            return Err(away("the ledger's database does not answer, or has fallen behind"));
        }
        state.entries.push_back(Entry::Hold(Hold { key: Arc::clone(key), charges, now, tell }));
        drop(state);
        self.filled.notify_one();
        Ok(told)
    }

    pub(super) fn attempt(&self, keys: Keys, attempt: Attempt) {
        let mut state = self.state.lock();
        if state.entries.len() >= AT_MOST {
            state.unreported.extend(keys.into_iter().map(|(key, _)| key));
            drop(state);
            return log(&attempt);
        }
        state.entries.push_back(Entry::Attempt(keys, Box::new(attempt)));
        drop(state);
        self.filled.notify_one();
    }

    pub(super) fn close(&self, key: &Arc<str>) {
        let mut state = self.state.lock();
        if state.unreported.remove(key) {
            return;
        }
        state.entries.push_back(Entry::Close(Arc::clone(key)));
        drop(state);
        self.filled.notify_one();
    }

    /// Where it is told that everything sent so far is written.
    pub(super) fn written(&self) -> Result<oneshot::Receiver<Result<()>>> {
        let (tell, told) = oneshot::channel();
        let mut state = self.state.lock();
        if state.away {
            return Err(away("the ledger's database does not answer"));
        }
        state.entries.push_back(Entry::Written(tell));
        drop(state);
        self.filled.notify_one();
        Ok(told)
    }

    /// Nothing more comes.
    pub(super) fn end(&self) {
        self.state.lock().closed = true;
        self.filled.notify_one();
    }

    /// Whether nothing more comes.
    pub(super) fn ended(&self) -> bool {
        self.state.lock().closed
    }

    /// Waits until there is something to send, or nothing more comes.
    pub(super) async fn filled(&self) {
        loop {
            let filled = self.filled.notified();
            {
                let state = self.state.lock();
                if !state.entries.is_empty() || state.closed {
                    return;
                }
            }
            filled.await;
        }
    }

    /// What can be sent in one transaction. Within one, attempts and ends of holds go before holds; what belongs to a key
    /// that is held here, and was sent after it, waits for the next.
    pub(super) fn take(&self) -> Vec<Entry> {
        let mut state = self.state.lock();
        let (mut batch, mut held) = (Vec::new(), HashSet::new());
        while batch.len() < BATCH
            && let Some(entry) = state.entries.pop_front()
        {
            if entry.is_about(&held) {
                state.entries.push_front(entry);
                break;
            }
            if let Entry::Hold(hold) = &entry {
                // Nobody waits for it any more.
                if hold.tell.is_closed() {
                    continue;
                }
                held.insert(Arc::clone(&hold.key));
            }
            batch.push(entry);
        }
        batch
    }

    /// The database does not answer: who waits is told, and the rest is kept, before what came since.
    pub(super) fn put_back(&self, batch: Vec<Entry>) {
        let mut state = self.state.lock();
        state.away = true;
        for entry in batch.into_iter().rev() {
            state.entries.push_front(entry);
        }
        let why = || away("the ledger's database does not answer");
        // Who no longer waits does not mind.
        let kept = std::mem::take(&mut state.entries).into_iter().filter_map(|entry| match entry {
            Entry::Attempt(..) | Entry::Close(_) => Some(entry),
            Entry::Hold(hold) => hold.tell.send(Err(why())).err().and(None),
            Entry::Written(tell) => tell.send(Err(why())).err().and(None),
        });
        state.entries = kept.collect();
    }

    /// The database answers again.
    pub(super) fn is_back(&self) {
        self.state.lock().away = false;
    }

    /// Nobody will write them any more: attempts go to the log, and holds stay.
    pub(super) fn give_up(&self) {
        self.put_back(Vec::new());
        for entry in std::mem::take(&mut self.state.lock().entries) {
            if let Entry::Attempt(_, attempt) = entry {
                log(&attempt);
            }
        }
    }
}

/// Keeps an attempt that no database takes.
pub(super) fn log(attempt: &Attempt) {
    let row = serde_json::to_string(attempt).unwrap_or_default();
    tracing::error!(row, "the ledger's database does not take an attempt; it is kept here only");
}
