//! Who is under way and who waits for it: decided without waiting or waking.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Flights by their keys, each with those who wait for it, in the order in which they came.
#[derive(Debug)]
pub(super) struct Flights<K, W> {
    waiting: HashMap<K, VecDeque<W>>,
    max_waiting: usize,
}

/// What to do with a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It is the first: it is made, and others wait for it.
    Lead,
    /// It waits.
    Wait,
    /// Enough wait: it is made by itself.
    Alone,
}

impl<K: Hash + Eq + Clone, W> Flights<K, W> {
    pub(super) fn new(max_waiting: usize) -> Self {
        Flights { waiting: HashMap::new(), max_waiting }
    }

    /// A call comes; `waiter` is made if it waits. Those of whom `gone` says so wait no longer.
    pub(super) fn join(&mut self, key: &K, waiter: impl FnOnce() -> W, gone: impl Fn(&W) -> bool) -> Role {
        let Some(waiting) = self.waiting.get_mut(key) else {
            self.waiting.insert(key.clone(), VecDeque::new());
            return Role::Lead;
        };
        if waiting.len() >= self.max_waiting {
            waiting.retain(|waiter| !gone(waiter));
        }
        if waiting.len() >= self.max_waiting {
            return Role::Alone;
        }
        waiting.push_back(waiter());
        Role::Wait
    }

    /// The leader is there: the flight is over, and those who waited are told.
    pub(super) fn land(&mut self, key: &K) -> VecDeque<W> {
        self.waiting.remove(key).unwrap_or_default()
    }

    /// The leader gave up: the next of those who wait leads. Where nobody waits the flight is over.
    pub(super) fn hand_over(&mut self, key: &K) -> Option<W> {
        let next = self.waiting.get_mut(key).and_then(VecDeque::pop_front);
        if next.is_none() {
            self.waiting.remove(key);
        }
        next
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
