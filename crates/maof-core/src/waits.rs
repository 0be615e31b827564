//! How long a call has waited for those it asked: what is left of its time was MAOF's own.
//!
//! ```
//! use maof_core::Waits;
//! use std::time::{Duration, Instant};
//! let (waits, now) = (Waits::default(), Instant::now());
//! let at = |ms| now + Duration::from_millis(ms);
//! waits.begin(at(0));
//! waits.begin(at(10)); // a second endpoint is asked beside the first
//! waits.end(at(20));
//! waits.end(at(30));
//! assert_eq!(waits.total(), Duration::from_millis(30));
//! ```

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time in which a call has waited for endpoints. Waits that overlap count once.
#[derive(Debug, Default)]
pub struct Waits(Mutex<State>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    under_way: u32,
    since: Option<Instant>,
    total: Duration,
}

impl Waits {
    /// A wait begins.
    pub fn begin(&self, now: Instant) {
        self.change(|state| {
            state.under_way += 1;
            state.since.get_or_insert(now);
        });
    }

    /// A wait that has begun is over.
    pub fn end(&self, now: Instant) {
        self.change(|state| {
            state.under_way = state.under_way.saturating_sub(1);
            if state.under_way == 0
                && let Some(since) = state.since.take()
            {
                state.total += now.saturating_duration_since(since);
            }
        });
    }

    /// All waits that are over.
    pub fn total(&self) -> Duration {
        self.change(|state| state.total)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn only_time_in_which_somebody_is_waited_for_counts_and_counts_once() {
        let now = Instant::now();
        let check = |steps: &[(i8, u64)], expect: u64| {
            let waits = Waits::default();
            for (step, ms) in steps {
                let at = now + Duration::from_millis(*ms);
                if *step > 0 { waits.begin(at) } else { waits.end(at) }
            }
            assert_eq!(waits.total(), Duration::from_millis(expect), "{steps:?}");
        };
        check(&[], 0);
        check(&[(1, 5)], 0);
        check(&[(1, 5), (-1, 8)], 3);
        check(&[(1, 0), (-1, 10), (1, 50), (-1, 60)], 20);
        check(&[(1, 0), (1, 5), (-1, 10), (-1, 20), (1, 30), (-1, 31)], 21);
        check(&[(-1, 5), (1, 6), (-1, 7)], 1);
    }
}
