//! Idle connections to one host: the one that was used last goes out first, so that those too many grow old.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Idle connections that are kept to each host.
pub(super) const IDLE: usize = 64;
/// How long an idle connection is kept; some providers' balancers drop them silently after a minute or more.
pub(super) const KEPT: Duration = Duration::from_secs(50);

/// Idle connections, oldest first.
#[derive(Debug)]
pub(super) struct Pool<T>(VecDeque<(Instant, T)>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool(VecDeque::new())
    }
}

impl<T> Pool<T> {
    /// Keeps a connection, and gives back one that has been here for too long or is one too many.
    #[must_use]
    pub(super) fn put(&mut self, connection: T, now: Instant) -> Option<T> {
        let old = self.0.front().is_some_and(|(since, _)| is_old(*since, now));
        let out = if old || self.0.len() >= IDLE { self.0.pop_front() } else { None };
        self.0.push_back((now, connection));
        out.map(|(_, connection)| connection)
    }

    /// The connection that was used last, unless even that one has been here for too long.
    pub(super) fn take(&mut self, now: Instant) -> Option<T> {
        let (since, connection) = self.0.pop_back()?;
        if is_old(since, now) {
            self.0.clear();
            return None;
        }
        Some(connection)
    }
}

fn is_old(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= KEPT
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "an instant can be had from nowhere else")]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_used_goes_out_first_and_old_ones_not_at_all() {
        let begun = Instant::now();
        let at = |secs: u64| begun + Duration::from_secs(secs);
        let mut pool = Pool::default();
        assert_eq!(pool.take(begun), None);
        for (connection, since) in [(1, 0), (2, 10), (3, 20)] {
            assert_eq!(pool.put(connection, at(since)), None);
        }
        assert_eq!(pool.take(at(69)), Some(3));
        assert_eq!(pool.take(at(59)), Some(2));
        assert_eq!(pool.take(at(50)), None, "the first is old by now");
        assert_eq!(pool.put(4, at(50)), None);
        assert_eq!(pool.put(5, at(51)), None);
        assert_eq!(pool.put(6, at(100)), Some(4), "one that is old leaves when another comes");
        assert_eq!(pool.take(at(150)), None);
        assert_eq!(pool.take(at(100)), None, "those below the newest are older still");
    }

    #[test]
    fn no_more_are_kept_than_allowed() {
        let now = Instant::now();
        let mut pool = Pool::default();
        let out: Vec<_> = (0..IDLE + 3).filter_map(|connection| pool.put(connection, now)).collect();
        assert_eq!(out, [0, 1, 2], "the oldest leave first");
        assert_eq!(std::iter::from_fn(|| pool.take(now)).count(), IDLE);
    }
}
