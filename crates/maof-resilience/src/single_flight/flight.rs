//! Flights as many callers share them: the machine behind a lock, and leaders that hand over when they give up.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::copied::Copied;
use super::state::{Flights, Role};
use crate::sync::Mutex;

/// What is shared of an answer.
pub(super) enum Master<Rep: Copied, E: Copied> {
    Reply(Rep::Master),
    Error(E::Master),
}

impl<Rep: Copied, E: Copied> Master<Rep, E> {
    fn of(answer: &Result<Rep, E>) -> Option<Self> {
        match answer {
            Ok(reply) => reply.master().map(Master::Reply),
            Err(error) => error.master().map(Master::Error),
        }
    }

    pub(super) fn copy(&self) -> Result<Rep, E> {
        match self {
            Master::Reply(master) => Ok(Rep::copy(master)),
            Master::Error(master) => Err(E::copy(master)),
        }
    }
}

/// What one who waits is told.
pub(super) enum News<K: Hash + Eq + Clone, Rep: Copied, E: Copied> {
    /// The answer.
    Landed(Arc<Master<Rep, E>>),
    /// The leader gave up: lead.
    Lead(Lead<K, Rep, E>),
    /// The answer is for one alone: ask by yourself.
    Alone,
}

type Waiter<K, Rep, E> = oneshot::Sender<News<K, Rep, E>>;

/// The flights of one layer.
pub(super) struct Sky<K: Hash + Eq + Clone, Rep: Copied, E: Copied> {
    flights: Mutex<Flights<K, Waiter<K, Rep, E>>>,
}

/// What becomes of a call.
pub(super) enum Joined<K: Hash + Eq + Clone, Rep: Copied, E: Copied> {
    Lead(Lead<K, Rep, E>),
    Wait(oneshot::Receiver<News<K, Rep, E>>),
    Alone,
}

impl<K: Hash + Eq + Clone, Rep: Copied, E: Copied> Sky<K, Rep, E> {
    pub(super) fn new(max_waiting: usize) -> Arc<Self> {
        Arc::new(Sky { flights: Mutex::new(Flights::new(max_waiting)) })
    }

    pub(super) fn join(self: &Arc<Self>, key: K) -> Joined<K, Rep, E> {
        let (tell, told) = oneshot::channel();
        let role = self.flights.lock().join(&key, || tell, oneshot::Sender::is_closed);
        match role {
            Role::Lead => Joined::Lead(Lead { sky: Arc::clone(self), key: Some(key) }),
            Role::Wait => Joined::Wait(told),
            Role::Alone => Joined::Alone,
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.flights.lock().is_empty()
    }
}

/// The one whose call is made. Dropped before it has an answer, it hands over to the next who waits.
pub(super) struct Lead<K: Hash + Eq + Clone, Rep: Copied, E: Copied> {
    sky: Arc<Sky<K, Rep, E>>,
    /// None once it has landed or handed over.
    key: Option<K>,
}

impl<K: Hash + Eq + Clone, Rep: Copied, E: Copied> Lead<K, Rep, E> {
    /// The answer is there: everybody who waits has a copy, or asks by itself where there are none.
    pub(super) fn land(mut self, answer: &Result<Rep, E>) {
        let Some(key) = self.key.take() else { return };
        let waiting = self.sky.flights.lock().land(&key);
        if waiting.is_empty() {
            return;
        }
        let master = Master::of(answer).map(Arc::new);
        for waiter in waiting {
            let news = master.as_ref().map_or(News::Alone, |master| News::Landed(Arc::clone(master)));
            // Who is gone need not be told.
            let _ = waiter.send(news);
        }
    }
}

impl<K: Hash + Eq + Clone, Rep: Copied, E: Copied> Drop for Lead<K, Rep, E> {
    fn drop(&mut self) {
        let Some(mut key) = self.key.take() else { return };
        loop {
            let next = self.sky.flights.lock().hand_over(&key);
            let Some(next) = next else { return };
            let lead = Lead { sky: Arc::clone(&self.sky), key: Some(key) };
            match next.send(News::Lead(lead)) {
                // From here on it is the next one's to land or to hand over, even if it is dropped unread.
                Ok(()) => return,
                Err(News::Lead(mut back)) => match back.key.take() {
                    Some(again) => key = again,
                    None => return,
                },
                Err(News::Landed(_) | News::Alone) => return,
            }
        }
    }
}

impl<K: Hash + Eq + Clone, Rep: Copied, E: Copied> fmt::Debug for Sky<K, Rep, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sky").finish_non_exhaustive()
    }
}
