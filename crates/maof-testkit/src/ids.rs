//! Ids and randomness for tests: repeatable, and never the same twice within one source.
//!
//! ```
//! use maof_core::{Ids as _, Random as _};
//! use maof_testkit::{CountingIds, SeededRandom};
//! let ids = CountingIds::default();
//! assert!(ids.next() < ids.next());
//! assert_eq!(SeededRandom::new(7).next_u64(), SeededRandom::new(7).next_u64());
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

use maof_core::{Ids, Random};
use uuid::Uuid;

/// Counts: 1, 2, 3 … in the shape of a UUIDv7, the count in the place of the time. Repeatable.
#[derive(Debug, Default)]
pub struct CountingIds(AtomicU64);

impl CountingIds {
    /// How many were given.
    pub fn given(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Ids for CountingIds {
    fn next(&self) -> Uuid {
        let count = u128::from(self.0.fetch_add(1, Ordering::SeqCst) + 1);
        // The version (7) and the variant (binary 10) are where RFC 9562 has them.
        Uuid::from_u128((count << 80) | (7 << 76) | (0b10 << 62))
    }
}

/// Real UUIDv7s, for tests in which several processes share a store.
#[derive(Clone, Copy, Debug, Default)]
pub struct UniqueIds;

impl Ids for UniqueIds {
    #[allow(clippy::disallowed_methods, reason = "this is an implementation of the port")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014) from a seed that a failing test shows.
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    state: AtomicU64,
}

impl SeededRandom {
    /// From this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, state: AtomicU64::new(seed) }
    }

    /// From the environment's `MAOF_SEED`, else from a new seed; prints it, so that a failure can be repeated.
    #[allow(clippy::print_stderr, reason = "whoever sees the test fail needs the seed")]
    pub fn announced() -> Self {
        let set = std::env::var("MAOF_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = set.unwrap_or_else(|| UniqueIds.next().as_u64_pair().1);
        eprintln!("random seed: repeat with MAOF_SEED={seed}");
        Self::new(seed)
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

impl Random for SeededRandom {
    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.state.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_ids_are_version_7_and_ordered() {
        let ids = CountingIds::default();
        let (a, b) = (ids.next(), ids.next());
        assert!(a < b);
        assert_eq!((a.get_version_num(), a.get_variant()), (7, uuid::Variant::RFC4122));
        assert_eq!(ids.given(), 2);
    }

    #[test]
    fn random_numbers_are_those_of_the_published_algorithm() {
        let random = SeededRandom::new(1_234_567);
        let got = [random.next_u64(), random.next_u64(), random.next_u64()];
        assert_eq!(got, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }
}
