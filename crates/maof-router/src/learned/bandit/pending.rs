//! Decisions that wait for feedback, by id: it may come late, twice or never.

use std::collections::{HashMap, VecDeque};

use maof_core::DecisionId;

/// What is remembered of the last decisions, at most so many; the oldest make room.
#[derive(Clone, Debug)]
pub struct Pending<T> {
    limit: usize,
    /// None for a decision whose feedback has come.
    known: HashMap<DecisionId, Option<T>>,
    order: VecDeque<DecisionId>,
}

/// What is known of a decision when its feedback comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feedback<T> {
    /// The first feedback: learn from it.
    First(T),
    /// There was feedback already: nothing is to be done, and nothing is wrong.
    Again,
    /// Never heard of, or so long ago that it made room for others.
    Unknown,
}

impl<T> Pending<T> {
    /// Remembers the last `limit` decisions (at least one).
    pub fn new(limit: usize) -> Pending<T> {
        Pending { limit: limit.max(1), known: HashMap::new(), order: VecDeque::new() }
    }

    /// Remembers a decision. The same id again changes nothing.
    pub fn remember(&mut self, id: DecisionId, what: T) {
        if self.known.contains_key(&id) {
            return;
        }
        if self.order.len() >= self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(id);
        self.known.insert(id, Some(what));
    }

    /// What is remembered of a decision whose feedback has not come.
    pub fn waiting(&mut self, id: DecisionId) -> Option<&mut T> {
        self.known.get_mut(&id)?.as_mut()
    }

    /// Takes what was remembered of a decision.
    pub fn settle(&mut self, id: DecisionId) -> Feedback<T> {
        match self.known.get_mut(&id).map(Option::take) {
            None => Feedback::Unknown,
            Some(None) => Feedback::Again,
            Some(Some(what)) => Feedback::First(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn feedback_may_be_late_doubled_or_missing() {
        let id = |n| DecisionId::from_uuid(Uuid::from_u128(n));
        let mut pending = Pending::new(3);
        for n in 1..=3 {
            pending.remember(id(n), n);
        }
        assert_eq!(pending.settle(id(2)), Feedback::First(2));
        assert_eq!(pending.settle(id(2)), Feedback::Again);
        pending.remember(id(2), 9);
        assert_eq!(pending.settle(id(2)), Feedback::Again);
        assert_eq!(pending.settle(id(7)), Feedback::Unknown);
        // The fourth takes the room of the first, whose feedback never came.
        pending.remember(id(4), 4);
        assert_eq!(pending.settle(id(1)), Feedback::Unknown);
        assert_eq!(pending.settle(id(4)), Feedback::First(4));
        assert_eq!(pending.known.len(), 3);
    }
}
