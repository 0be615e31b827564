//! The real clock, ids and randomness: the only place in MAOF that reads them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use maof_core::{Clock, Ids, Random, Timestamp};
use uuid::Uuid;

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the port's one real implementation")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    #[allow(clippy::disallowed_methods, reason = "this is the port's one real implementation")]
    fn instant(&self) -> Instant {
        // Tokio's clock is the system's, unless a test pauses it; then time must stand still here too.
        tokio::time::Instant::now().into_std()
    }
}

/// UUIDv7: ordered by time, random within it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    #[allow(clippy::disallowed_methods, reason = "this is the port's one real implementation")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014), seeded by the operating system. For jitter, never for secrets.
#[derive(Debug)]
pub struct SystemRandom(AtomicU64);

impl Default for SystemRandom {
    #[allow(clippy::disallowed_methods, reason = "this is the port's one real implementation")]
    fn default() -> Self {
        // The last eight bytes of a UUIDv4-like id are random; a v7 keeps 62 random bits there.
        let (_, low) = Uuid::now_v7().as_u64_pair();
        SystemRandom(AtomicU64::new(low))
    }
}

impl Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
