//! The last decisions, which wait for feedback: for a day, and as long as there is room.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use maof_core::{Candidate, DecisionId, Name, Timestamp};

use super::saved::Waiting;
use crate::learned::bandit::Feedback;
use crate::learned::{Context, Seen};
use crate::pool::{Pool, drawn_as};

/// Parts with a lock of their own, so that decisions on several cores do not wait for one another.
const SHARDS: usize = 16;
/// Decisions that are remembered in each part.
const EACH: usize = 1_024;
/// The latest decisions that the next start is told of.
const TOLD: usize = 4_096;
/// How long feedback is waited for.
const WAITS: Duration = Duration::from_secs(24 * 3_600);

/// What is remembered of a decision.
#[derive(Debug)]
pub(crate) struct Memo {
    /// Whose call it was for; to others it does not exist.
    pub(crate) tenant: Name,
    /// When it was made.
    pub(crate) at: Timestamp,
    /// Who answers: the first choice until another one does.
    pub(crate) who: Who,
    /// What was seen of the prompt, where that is learned from.
    pub(crate) seen: Option<Seen>,
    /// The prompt in numbers, where it was drawn by them.
    pub(crate) context: Option<Arc<Context>>,
    /// Whether feedback has come.
    pub(crate) settled: bool,
}

/// What there is to learn of feedback from.
#[derive(Debug)]
pub(crate) struct Lesson {
    pub(crate) who: Who,
    pub(crate) seen: Option<Seen>,
    pub(crate) context: Option<Arc<Context>>,
}

/// Somebody who has ended: what it was chosen from, its place there, and by which numbers of the prompt.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) pool: Arc<Pool>,
    pub(crate) place: u16,
    pub(crate) context: Option<Arc<Context>>,
}

/// Somebody who was chosen.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// By the place in a pool.
    Here(Arc<Pool>, u16),
    /// By another process before this one, whose pools are gone: the class, and what the arm goes by.
    Before(Box<Waiting>),
}

impl Who {
    /// The kind of task, and what a bandit knows whoever answered by.
    pub(crate) fn arm(&self) -> Option<(Name, Name)> {
        match self {
            Self::Here(pool, place) => Some((pool.class.clone(), pool.seat(*place)?.drawn_as.clone())),
            Self::Before(waiting) => {
                Some((waiting.class.clone(), drawn_as(&waiting.agent, &waiting.endpoint)))
            }
        }
    }

    /// The place of the arm among those of a model; `known` finds whoever another process chose in a pool of this one.
    pub(crate) fn model_arm(&self, known: impl Fn(&Candidate) -> Option<(Arc<Pool>, u16)>) -> Option<usize> {
        match self {
            Self::Here(pool, place) => pool.seat(*place)?.arm,
            Self::Before(waiting) => {
                let (pool, place) = known(&Candidate {
                    agent: waiting.agent.clone(),
                    endpoint: waiting.endpoint.clone(),
                    instructions: None,
                })?;
                pool.seat(place)?.arm
            }
        }
    }
}

/// The last sixteen thousand decisions.
#[derive(Debug)]
pub(crate) struct Memory(Vec<Mutex<Shard>>);

#[derive(Debug, Default)]
struct Shard {
    known: HashMap<DecisionId, Memo>,
    /// The oldest first.
    order: VecDeque<DecisionId>,
}

impl Shard {
    fn remember(&mut self, id: DecisionId, memo: Memo) {
        if self.known.contains_key(&id) {
            return;
        }
        if self.order.len() >= EACH
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(id);
        self.known.insert(id, memo);
    }
}

impl Memory {
    pub(crate) fn new() -> Memory {
        Memory((0..SHARDS).map(|_| Mutex::default()).collect())
    }

    /// Remembers a decision. The same id again changes nothing.
    pub(crate) fn remember(&self, id: DecisionId, memo: Memo) {
        if let Some(mut shard) = self.shard(id) {
            shard.remember(id, memo);
        }
    }

    /// Somebody has ended; who answered is noted, since feedback will be on its answer.
    pub(crate) fn ended(&self, id: DecisionId, who: &Candidate, answered: bool) -> Option<Ended> {
        let mut shard = self.shard(id)?;
        let memo = shard.known.get_mut(&id)?;
        let Who::Here(pool, place) = &mut memo.who else { return None };
        let ended = pool.candidates.iter().position(|candidate| candidate == who)? as u16;
        if answered {
            *place = ended;
        }
        Some(Ended { pool: Arc::clone(pool), place: ended, context: memo.context.clone() })
    }

    /// What there is to learn from, the first time that it is asked for.
    pub(crate) fn settle(&self, tenant: &Name, id: DecisionId, now: Timestamp) -> Feedback<Lesson> {
        let Some(mut shard) = self.shard(id) else { return Feedback::Unknown };
        let memo = shard.known.get_mut(&id);
        match memo.filter(|memo| memo.tenant == *tenant && now.since(memo.at) <= WAITS) {
            None => Feedback::Unknown,
            Some(memo) if memo.settled => Feedback::Again,
            Some(memo) => {
                memo.settled = true;
                let (who, seen, context) = (memo.who.clone(), memo.seen.take(), memo.context.clone());
                Feedback::First(Lesson { who, seen, context })
            }
        }
    }

    /// The latest decisions, the oldest of them first, for the next start.
    pub(crate) fn waiting(&self) -> Vec<Waiting> {
        let mut all = Vec::new();
        for shard in &self.0 {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.known.iter().filter_map(|(id, memo)| Waiting::of(*id, memo)));
        }
        all.sort_unstable_by_key(|waiting| (waiting.at, waiting.id.uuid()));
        all.split_off(all.len().saturating_sub(TOLD))
    }

    /// What was seen of the latest prompts whose decisions wait for feedback, for the next start.
    pub(crate) fn seen(&self) -> Vec<(DecisionId, Seen)> {
        self.latest(|memo| memo.seen.clone())
    }

    /// Their contexts.
    pub(crate) fn contexts(&self) -> Vec<(DecisionId, Arc<Context>)> {
        self.latest(|memo| memo.context.clone())
    }

    fn latest<T>(&self, of: impl Fn(&Memo) -> Option<T>) -> Vec<(DecisionId, T)> {
        let mut all = Vec::new();
        for shard in &self.0 {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let open = shard.known.iter().filter(|(_, memo)| !memo.settled);
            all.extend(open.filter_map(|(id, memo)| Some((memo.at, *id, of(memo)?))));
        }
        all.sort_unstable_by_key(|(at, id, _)| (*at, id.uuid()));
        let latest = all.split_off(all.len().saturating_sub(TOLD));
        latest.into_iter().map(|(_, id, one)| (id, one)).collect()
    }

    /// Adds what another process saw of the prompts of its decisions, which are known already.
    pub(crate) fn resume_seen(&self, seen: Vec<(DecisionId, Seen)>) {
        seen.into_iter().for_each(|(id, seen)| self.complete(id, |memo| memo.seen = Some(seen)));
    }

    /// Adds the contexts that another process drew by.
    pub(crate) fn resume_contexts(&self, contexts: Vec<(DecisionId, Context)>) {
        for (id, context) in contexts {
            self.complete(id, |memo| memo.context = Some(Arc::new(context)));
        }
    }

    fn complete(&self, id: DecisionId, add: impl FnOnce(&mut Memo)) {
        if let Some(mut shard) = self.shard(id)
            && let Some(memo) = shard.known.get_mut(&id).filter(|memo| !memo.settled)
        {
            add(memo);
        }
    }

    /// Takes over what another process decided, as far as it is not too long ago.
    pub(crate) fn resume(&self, waiting: Vec<Waiting>, now: Timestamp) {
        for waiting in waiting.into_iter().filter(|waiting| now.since(waiting.at) <= WAITS) {
            let (id, tenant, at) = (waiting.id, waiting.tenant.clone(), waiting.at);
            let settled = waiting.settled;
            let who = Who::Before(Box::new(waiting));
            let memo = Memo { tenant, at, who, seen: None, context: None, settled };
            self.remember(id, memo);
        }
    }

    fn shard(&self, id: DecisionId) -> Option<MutexGuard<'_, Shard>> {
        // An id's last bits are random.
        let shard = self.0.get(id.uuid().as_u128() as usize % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
