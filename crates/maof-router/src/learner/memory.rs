//! The last decisions, which wait for feedback.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use maof_core::{Candidate, DecisionId, Name};

use crate::learned::Seen;
use crate::learned::bandit::{Feedback, Pending};
use crate::pool::Pool;

/// Parts with a lock of their own, so that decisions on several cores do not wait for one another.
const SHARDS: usize = 16;
/// Decisions that are remembered in each part.
const EACH: usize = 1_024;

/// What is remembered of a decision.
#[derive(Debug)]
pub(crate) struct Memo {
    /// Whose call it was for; to others it does not exist.
    pub(crate) tenant: Name,
    pub(crate) pool: Arc<Pool>,
    /// Who answers, by its place in the pool: the first choice until another one does.
    pub(crate) place: u16,
    /// What was seen of the prompt, where that is learned from.
    pub(crate) seen: Option<Seen>,
    /// Whether feedback has come.
    pub(crate) settled: bool,
}

/// What an answer was chosen from, its place there, and what was seen of the prompt.
pub(crate) type Taught = (Arc<Pool>, u16, Option<Seen>);

/// The last sixteen thousand decisions.
#[derive(Debug)]
pub(crate) struct Memory(Vec<Mutex<Pending<Memo>>>);

impl Memory {
    pub(crate) fn new() -> Memory {
        Memory((0..SHARDS).map(|_| Mutex::new(Pending::new(EACH))).collect())
    }

    pub(crate) fn remember(&self, id: DecisionId, memo: Memo) {
        if let Some(mut shard) = self.shard(id) {
            shard.remember(id, memo);
        }
    }

    /// Somebody has ended; who answered is noted, since feedback will be on its answer. What it was chosen from, and its
    /// place there.
    pub(crate) fn ended(&self, id: DecisionId, who: &Candidate, answered: bool) -> Option<(Arc<Pool>, u16)> {
        let mut shard = self.shard(id)?;
        let memo = shard.waiting(id)?;
        let place = memo.pool.candidates.iter().position(|candidate| candidate == who)? as u16;
        if answered {
            memo.place = place;
        }
        Some((Arc::clone(&memo.pool), place))
    }

    /// What there is to learn from, the first time that it is asked for.
    pub(crate) fn settle(&self, tenant: &Name, id: DecisionId) -> Feedback<Taught> {
        let Some(mut shard) = self.shard(id) else { return Feedback::Unknown };
        match shard.waiting(id).filter(|memo| memo.tenant == *tenant) {
            None => Feedback::Unknown,
            Some(memo) if memo.settled => Feedback::Again,
            Some(memo) => {
                memo.settled = true;
                Feedback::First((Arc::clone(&memo.pool), memo.place, memo.seen.take()))
            }
        }
    }

    fn shard(&self, id: DecisionId) -> Option<MutexGuard<'_, Pending<Memo>>> {
        // An id's last bits are random.
        let shard = self.0.get(id.uuid().as_u128() as usize % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
