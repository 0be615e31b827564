//! The generations that a node is in: the current one, and earlier ones of which its calls still hold something.

use std::collections::VecDeque;
use std::sync::Arc;

use maof_core::{Account, Attempt, Timestamp};
use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;

use super::generation::{Generation, News};

/// Generations that were left and are remembered, for charges that come late.
const REMEMBERED: usize = 64;

pub(super) struct Shared {
    state: Mutex<State>,
    keeper: UnboundedSender<News>,
}

struct State {
    current: Arc<Generation>,
    /// Of them something is still held.
    earlier: Vec<Arc<Generation>>,
    left: VecDeque<Arc<Generation>>,
}

impl Shared {
    pub(super) fn new(first: Arc<Generation>, keeper: UnboundedSender<News>) -> Shared {
        let state = State { current: first, earlier: Vec::new(), left: VecDeque::new() };
        Shared { state: Mutex::new(state), keeper }
    }

    /// The generation that this node takes from.
    pub(super) fn current(&self) -> Arc<Generation> {
        Arc::clone(&self.state.lock().current)
    }

    /// The generation in which this key holds something, or would.
    pub(super) fn of(&self, key: &str) -> Arc<Generation> {
        let state = self.state.lock();
        let earlier = state.earlier.iter().find(|generation| generation.slices.has_open(key));
        Arc::clone(earlier.unwrap_or(&state.current))
    }

    /// Those of which something may be held, the current one first.
    pub(super) fn joined(&self) -> Vec<Arc<Generation>> {
        let state = self.state.lock();
        std::iter::once(&state.current).chain(&state.earlier).cloned().collect()
    }

    /// The one of this number, if it was not left.
    pub(super) fn find(&self, id: i64) -> Option<Arc<Generation>> {
        self.joined().into_iter().find(|generation| generation.id() == id)
    }

    /// Goes on in a new one.
    pub(super) fn go_on_in(&self, next: Generation) {
        let mut state = self.state.lock();
        let before = std::mem::replace(&mut state.current, Arc::new(next));
        state.earlier.push(before);
    }

    /// Earlier ones of which nothing is held any more, and nobody is about to. They are charged late, and not held of.
    pub(super) fn take_quiet(&self) -> Vec<Arc<Generation>> {
        let mut state = self.state.lock();
        let is_quiet = |g: &mut Arc<Generation>| Arc::strong_count(g) == 1 && g.slices.is_quiet();
        let quiet: Vec<_> = state.earlier.extract_if(.., is_quiet).collect();
        state.left.extend(quiet.iter().cloned());
        while state.left.len() > REMEMBERED {
            state.left.pop_front();
        }
        quiet
    }

    /// These were to be left and could not be.
    pub(super) fn stay_in(&self, generations: &[Arc<Generation>]) {
        let mut state = self.state.lock();
        state.left.retain(|left| !generations.iter().any(|stays| Arc::ptr_eq(left, stays)));
        state.earlier.extend_from_slice(generations);
    }

    /// Whether there are earlier ones.
    pub(super) fn has_earlier(&self) -> bool {
        !self.state.lock().earlier.is_empty()
    }

    /// Charges an attempt to the generation that has its key; gives it back if none has.
    pub(super) fn charge(&self, key: &Arc<str>, mut attempt: Attempt) -> Option<Attempt> {
        let state = self.state.lock();
        for generation in state.all() {
            attempt = generation.slices.charge(&**generation, key, attempt)?;
        }
        Some(attempt)
    }

    /// Gives back what is held under this key; false if nothing is.
    pub(super) fn close(&self, key: &Arc<str>) -> bool {
        self.state.lock().all().any(|generation| generation.slices.close(key))
    }

    /// What slices have ready of an account's window.
    pub(super) fn slack(&self, account: &Account, start: Timestamp) -> i64 {
        let slack = |generation: &Arc<Generation>| generation.slices.held_and_slack(account, start).1;
        self.joined().iter().map(slack).fold(0, i64::saturating_add)
    }

    /// Gives back what nobody holds, since nobody will.
    pub(super) fn give_back(&self) {
        for generation in self.joined() {
            generation.slices.give_back(&*generation);
        }
    }

    pub(super) fn tell(&self, news: News) {
        // A keeper that has gone needs none.
        drop(self.keeper.send(news));
    }
}

impl State {
    fn all(&self) -> impl Iterator<Item = &Arc<Generation>> {
        std::iter::once(&self.current).chain(&self.earlier).chain(self.left.iter().rev())
    }
}
