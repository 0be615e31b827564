//! Clocks for tests: one that is moved by hand, one that follows tokio's (so that paused time agrees).
//!
//! ```
//! use maof_core::Clock as _;
//! use maof_testkit::FakeClock;
//! use std::time::Duration;
//! let clock = FakeClock::new();
//! let before = (clock.now(), clock.instant());
//! clock.advance(Duration::from_secs(60));
//! assert_eq!(clock.now().since(before.0), Duration::from_secs(60));
//! assert_eq!(clock.instant() - before.1, Duration::from_secs(60));
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use maof_core::{Clock, Timestamp};
use parking_lot::Mutex;

/// When fake time begins: 2026-01-01T00:00:00Z, in microseconds since 1970.
const BEGINNING: i64 = 1_767_225_600_000_000;

/// A clock that stands still until it is moved. Begins at 2026-01-01T00:00:00Z.
#[derive(Debug)]
pub struct FakeClock(Mutex<(Timestamp, Instant)>);

impl FakeClock {
    /// A new clock, ready to be shared.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// A new clock whose time of day is `now`.
    pub fn at(now: Timestamp) -> Arc<Self> {
        let clock = Self::default();
        clock.jump(now);
        Arc::new(clock)
    }

    /// Moves both times forward.
    pub fn advance(&self, by: Duration) {
        let mut time = self.0.lock();
        *time = (time.0.plus(by), time.1 + by);
    }

    /// Sets the time of day, forward or back; the other time does not notice.
    pub fn jump(&self, to: Timestamp) {
        self.0.lock().0 = to;
    }
}

impl Default for FakeClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "an `Instant` can be had from nowhere else; it only anchors"
    )]
    fn default() -> Self {
        Self(Mutex::new((Timestamp::from_micros(BEGINNING), Instant::now())))
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.0.lock().0
    }

    fn instant(&self) -> Instant {
        self.0.lock().1
    }
}

/// Tokio's clock, which `tokio::time::pause` stops. The time of day begins at 2026-01-01T00:00:00Z.
#[derive(Debug)]
pub struct TokioClock {
    began: Instant,
}

impl TokioClock {
    /// A new clock, ready to be shared.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self { began: tokio_now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(BEGINNING).plus(tokio_now() - self.began)
    }

    fn instant(&self) -> Instant {
        tokio_now()
    }
}

#[allow(clippy::disallowed_methods, reason = "this is an implementation of the port")]
fn tokio_now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_tokio_clock_follows_paused_time() {
        let clock = TokioClock::new();
        let (now, instant) = (clock.now(), clock.instant());
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(clock.now().since(now), Duration::from_secs(3600));
        assert_eq!(clock.instant() - instant, Duration::from_secs(3600));
    }

    #[test]
    fn a_jump_moves_the_time_of_day_only() {
        let clock = FakeClock::at(Timestamp::from_micros(5));
        let instant = clock.instant();
        clock.jump(Timestamp::from_micros(1));
        assert_eq!((clock.now().micros(), clock.instant()), (1, instant));
    }
}
