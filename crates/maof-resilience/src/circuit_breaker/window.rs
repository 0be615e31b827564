//! The calls of the last while, counted in ten parts of it: old ones leave a part at a time.

use std::time::{Duration, Instant};

/// The parts of a window. The oldest may be left by up to a tenth of the window too early.
const PARTS: usize = 10;

/// Calls within a sliding window of time.
#[derive(Debug)]
pub(super) struct Window {
    part: Duration,
    /// When the parts began to be counted: at the first call.
    began: Option<Instant>,
    /// Which part, counted from the beginning, is the newest.
    newest: u64,
    parts: [Seen; PARTS],
    sum: Seen,
}

/// How many calls there were, and of what kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) calls: u32,
    pub(super) failed: u32,
    pub(super) slow: u32,
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        let parts = [Seen::default(); PARTS];
        Window { part: length / PARTS as u32, began: None, newest: 0, parts, sum: Seen::default() }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Window::new(self.part * PARTS as u32);
    }

    /// Counts a call that ended now, and returns all that the window has.
    pub(super) fn add(&mut self, failed: bool, slow: bool, now: Instant) -> Seen {
        self.forget(now);
        let call = Seen { calls: 1, failed: failed.into(), slow: slow.into() };
        self.parts[self.newest as usize % PARTS].add(call);
        self.sum.add(call);
        self.sum
    }

    /// Leaves out what is older than the window.
    fn forget(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let part = now.saturating_duration_since(began).as_nanos() / self.part.as_nanos().max(1);
        let part = u64::try_from(part).unwrap_or(u64::MAX);
        let passed = part.saturating_sub(self.newest);
        for old in 1..=passed.min(PARTS as u64) {
            let at = ((self.newest % PARTS as u64) + old) as usize % PARTS;
            self.sum.take(std::mem::take(&mut self.parts[at]));
        }
        self.newest = self.newest.max(part);
    }
}

impl Seen {
    fn add(&mut self, more: Seen) {
        self.calls = self.calls.saturating_add(more.calls);
        self.failed = self.failed.saturating_add(more.failed);
        self.slow = self.slow.saturating_add(more.slow);
    }

    fn take(&mut self, less: Seen) {
        self.calls = self.calls.saturating_sub(less.calls);
        self.failed = self.failed.saturating_sub(less.failed);
        self.slow = self.slow.saturating_sub(less.slow);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Paused;
    use maof_core::Clock as _;

    /// Calls at these milliseconds; how many the window of a second has after each.
    fn check(calls: &[u64], expect: &[u32]) {
        let began = Paused.instant();
        let mut window = Window::new(Duration::from_secs(1));
        let add = |at: &u64| window.add(false, false, began + Duration::from_millis(*at)).calls;
        assert_eq!(calls.iter().map(add).collect::<Vec<_>>(), expect, "{calls:?}");
    }

    #[test]
    fn calls_leave_the_window_a_part_at_a_time() {
        check(&[0, 0, 0], &[1, 2, 3]);
        check(&[0, 999, 1_000, 1_099, 1_899], &[1, 2, 2, 3, 4]);
        check(&[0, 50, 150, 1_000, 1_100], &[1, 2, 3, 2, 2]);
        check(&[0, 10_000_000, 10_000_000], &[1, 1, 2]);
        check(&[5, 4], &[1, 2]);
    }
}
