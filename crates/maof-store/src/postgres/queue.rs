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
pub(crate) type Keys = SmallVec<[(Arc<str>, Option<i64>); 1]>;

/// What is sent at once.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) node: i64,
    pub(crate) entries: Vec<Entry>,
}

/// Something to be sent.
#[derive(Debug)]
pub(crate) enum Entry {
    Attempt(Keys, Box<Attempt>),
    Close(Arc<str>),
    Hold(Hold),
    /// Somebody waits until all before it is written.
    Written(oneshot::Sender<Result<()>>),
}

/// A hold that is asked for.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) key: Arc<str>,
    /// No account twice.
    pub(crate) charges: Vec<Charge>,
    pub(crate) now: Timestamp,
    pub(crate) tell: oneshot::Sender<Result<Balances>>,
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
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Each with the node in whose name it is sent.
    entries: VecDeque<(i64, Entry)>,
    /// Keys of which an attempt went to the log: their holds are not given back.
    unreported: HashSet<Arc<str>>,
    /// The database does not answer: nobody waits for it in vain.
    away: bool,
    /// The handle is gone: what is there is written, and nothing more comes.
    closed: bool,
}

impl Queue {
    /// Asks for a hold; the answer comes when it is written.
    pub(crate) fn hold(
        &self,
        node: i64,
        key: &Arc<str>,
        charges: Vec<Charge>,
        now: Timestamp,
    ) -> Result<oneshot::Receiver<Result<Balances>>> {
        let (tell, told) = oneshot::channel();
        let mut state = self.state.lock();
        if state.away || state.closed || state.entries.len() >= ROWS {
            return Err(away("the ledger's database does not answer, or has fallen behind"));
        }
        state.entries.push_back((node, Entry::Hold(Hold { key: Arc::clone(key), charges, now, tell })));
        drop(state);
        self.filled.notify_one();
        Ok(told)
    }

    pub(crate) fn attempt(&self, node: i64, keys: Keys, attempt: Attempt) {
        let mut state = self.state.lock();
        if state.entries.len() >= AT_MOST {
            state.unreported.extend(keys.into_iter().map(|(key, _)| key));
            drop(state);
            return log(&attempt);
        }
        state.entries.push_back((node, Entry::Attempt(keys, Box::new(attempt))));
        drop(state);
        self.filled.notify_one();
    }

    pub(crate) fn close(&self, node: i64, key: &Arc<str>) {
        let mut state = self.state.lock();
        if state.unreported.remove(key) {
            return;
        }
        state.entries.push_back((node, Entry::Close(Arc::clone(key))));
        drop(state);
        self.filled.notify_one();
    }

    /// Where it is told that everything sent so far is written.
    pub(crate) fn written(&self) -> Result<oneshot::Receiver<Result<()>>> {
        let (tell, told) = oneshot::channel();
        let mut state = self.state.lock();
        if state.away {
            return Err(away("the ledger's database does not answer"));
        }
        // Whoever sends what was before it may send this.
        let node = state.entries.back().map(|(node, _)| *node).unwrap_or_default();
        state.entries.push_back((node, Entry::Written(tell)));
        drop(state);
        self.filled.notify_one();
        Ok(told)
    }

    /// Nothing more comes.
    pub(crate) fn end(&self) {
        self.state.lock().closed = true;
        self.filled.notify_one();
    }

    /// Whether nothing more comes.
    pub(crate) fn ended(&self) -> bool {
        self.state.lock().closed
    }

    /// Waits until there is something to send, or nothing more comes.
    pub(crate) async fn filled(&self) {
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

    /// What can be sent in one transaction, and in whose name. Within one, attempts and ends of holds go before holds; what
    /// belongs to a key that is held here, and was sent after it, waits for the next.
    pub(crate) fn take(&self) -> Load {
        let mut state = self.state.lock();
        let node = state.entries.front().map(|(node, _)| *node).unwrap_or_default();
        let (mut entries, mut held) = (Vec::new(), HashSet::new());
        while entries.len() < BATCH
            && let Some((of, entry)) = state.entries.pop_front()
        {
            if of != node || entry.is_about(&held) {
                state.entries.push_front((of, entry));
                break;
            }
            if let Entry::Hold(hold) = &entry {
                // Nobody waits for it any more.
                if hold.tell.is_closed() {
                    continue;
                }
                held.insert(Arc::clone(&hold.key));
            }
            entries.push(entry);
        }
        Load { node, entries }
    }

    /// The database does not answer: who waits is told, and the rest is kept, before what came since.
    pub(crate) fn put_back(&self, load: Load) {
        let mut state = self.state.lock();
        state.away = true;
        for entry in load.entries.into_iter().rev() {
            state.entries.push_front((load.node, entry));
        }
        let why = || away("the ledger's database does not answer");
        // Who no longer waits does not mind.
        let kept = std::mem::take(&mut state.entries).into_iter().filter_map(|(node, entry)| match entry {
            Entry::Attempt(..) | Entry::Close(_) => Some((node, entry)),
            Entry::Hold(hold) => hold.tell.send(Err(why())).err().and(None),
            Entry::Written(tell) => tell.send(Err(why())).err().and(None),
        });
        state.entries = kept.collect();
    }

    /// The database answers again.
    pub(crate) fn is_back(&self) {
        self.state.lock().away = false;
    }

    /// Nobody will write them any more: attempts go to the log, and holds stay.
    pub(crate) fn give_up(&self) {
        self.put_back(Load::default());
        for (_, entry) in std::mem::take(&mut self.state.lock().entries) {
            if let Entry::Attempt(_, attempt) = entry {
                log(&attempt);
            }
        }
    }
}

/// Keeps an attempt that no database takes.
pub(crate) fn log(attempt: &Attempt) {
    let row = serde_json::to_string(attempt).unwrap_or_default();
    tracing::error!(row, "the ledger's database does not take an attempt; it is kept here only");
}
