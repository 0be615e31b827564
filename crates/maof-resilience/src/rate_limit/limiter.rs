//! The limiter as many callers share it: governor's cells by our clock, and one queue before them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use maof_core::Clock;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::config::Config;

/// One endpoint's limiter. Clones are the same limiter.
///
/// Who must wait stands in one queue, in order, and only its head looks at the clock: nobody is overtaken, one
/// who gives up leaves no gap, and a thousand who wait cost one timer.
#[derive(Clone)]
pub struct Limiter {
    shared: Arc<Shared>,
}

struct Shared {
    cells: RateLimiter<NotKeyed, InMemoryState, Since, NoOpMiddleware<Duration>>,
    /// Held by the head of the queue.
    turn: Semaphore,
    /// A place for everybody who waits behind the head.
    places: Semaphore,
    max_wait: Duration,
}

impl Limiter {
    /// A limiter that has been idle.
    pub fn new(config: &Config, clock: Arc<dyn Clock>) -> Self {
        // Never none, since an interval is at least a nanosecond.
        let quota =
            Quota::with_period(config.interval()).unwrap_or_else(|| Quota::per_second(config.cells()));
        let since = Since { began: clock.instant(), clock };
        let cells = RateLimiter::direct_with_clock(quota.allow_burst(config.cells()), since);
        let (turn, places) = (Semaphore::new(1), Semaphore::new(config.places()));
        Limiter { shared: Arc::new(Shared { cells, turn, places, max_wait: config.max_wait() }) }
    }

    /// Waits for a turn. Whoever drops the future gives up its place and uses up nothing.
    ///
    /// # Errors
    /// The time after which to ask again, at once when the wait would be longer than allowed.
    pub async fn pass(&self) -> Result<(), Duration> {
        let shared = &*self.shared;
        // There is a turn to be had only where nobody waits: nobody is overtaken.
        if let Ok(turn) = shared.turn.try_acquire() {
            return shared.at_head(turn).await;
        }
        let place = shared.places.try_acquire().map_err(|_| shared.max_wait)?;
        // The queue is never closed.
        let turn = shared.turn.acquire().await.map_err(|_| shared.max_wait)?;
        drop(place);
        shared.at_head(turn).await
    }
}

impl Shared {
    async fn at_head(&self, _turn: SemaphorePermit<'_>) -> Result<(), Duration> {
        while let Err(until) = self.cells.check() {
            let wait = until.wait_time_from(self.cells.clock().now());
            if wait > self.max_wait {
                return Err(wait);
            }
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("max_wait", &self.shared.max_wait).finish_non_exhaustive()
    }
}

/// Our clock, as governor reads one: the time since a beginning.
#[derive(Clone, Debug)]
struct Since {
    began: Instant,
    clock: Arc<dyn Clock>,
}

impl GovernorClock for Since {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.clock.instant().saturating_duration_since(self.began)
    }
}
