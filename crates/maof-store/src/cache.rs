//! Answers that are kept in memory, within a bound of bytes.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use ahash::RandomState;
use async_trait::async_trait;
use maof_core::{Cache, CacheKey, Kept, Name, Observe, Result, Signal, Timestamp};
use parking_lot::RwLock;
use quick_cache::sync::{Cache as Bounded, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

/// Keeps answers in this process: what is asked for least goes first. Nothing survives it, so what changes with the
/// configuration cannot be stale.
pub struct MemoryCache {
    kept: Bounded<CacheKey, Arc<Kept>, Bytes, RandomState>,
    /// When answers were last forgotten. Written before they are; while one is put in, it is only read.
    forgotten: RwLock<Option<Timestamp>>,
    observe: Arc<dyn Observe>,
}

/// What an answer takes, with its key and its place.
#[derive(Clone)]
struct Bytes;

impl Weighter<CacheKey, Arc<Kept>> for Bytes {
    fn weight(&self, _: &CacheKey, kept: &Arc<Kept>) -> u64 {
        kept.bytes()
    }
}

impl MemoryCache {
    /// Room for answers of `max_bytes` in all; one of more than a tenth of that may not be kept. Tells `observe` how
    /// much is kept.
    pub fn new(max_bytes: u64, observe: Arc<dyn Observe>) -> Self {
        /// So many can be looked for at the same time; each has an equal part of the room.
        const SHARDS: usize = 8;
        /// Bytes of an answer of usual size, for the tables' first sizes.
        const USUAL: u64 = 4 << 10;
        let usual = usize::try_from(max_bytes / USUAL).unwrap_or(usize::MAX).max(32 * SHARDS);
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(usual)
            .weight_capacity(max_bytes)
            .build();
        let (hasher, lifecycle) = (RandomState::new(), DefaultLifecycle::default());
        let kept = match options {
            Ok(options) => Bounded::with_options(options, Bytes, hasher, lifecycle),
            // Only said of options that are left out.
            Err(_) => Bounded::with(usual, max_bytes, Bytes, hasher, lifecycle),
        };
        MemoryCache { kept, forgotten: RwLock::new(None), observe }
    }

    /// Bytes that are kept, about.
    pub fn bytes(&self) -> u64 {
        self.kept.weight()
    }

    fn tell(&self) {
        self.observe.on(Signal::CacheSize { bytes: self.bytes() });
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, tenant: &Name, key: &CacheKey, now: Timestamp) -> Result<Option<Arc<Kept>>> {
        let Some(kept) = self.kept.get(key).filter(|kept| kept.tenant == *tenant) else { return Ok(None) };
        if now < kept.until {
            return Ok(Some(kept));
        }
        self.kept.remove_if(key, |found| Arc::ptr_eq(found, &kept));
        self.tell();
        Ok(None)
    }

    fn put(&self, key: CacheKey, kept: Kept) {
        let forgotten = self.forgotten.read();
        if forgotten.is_none_or(|at| kept.asked > at) {
            self.kept.insert(key, Arc::new(kept));
            self.tell();
        }
    }

    async fn forget(&self, tenant: &Name, by: Option<&Name>, now: Timestamp) -> Result<u64> {
        {
            let mut forgotten = self.forgotten.write();
            *forgotten = Some(forgotten.map_or(now, |at| at.max(now)));
        }
        let gone = Cell::new(0);
        self.kept.retain(|_, kept| {
            let goes = kept.tenant == *tenant && by.is_none_or(|name| kept.is_by(name));
            gone.set(gone.get() + u64::from(goes));
            !goes
        });
        self.tell();
        Ok(gone.get())
    }
}

impl fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCache").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use maof_core::Silent;
    use maof_testkit::contract::cache::kept;

    use super::*;

    maof_testkit::cache_contract!(async {
        (Arc::new(MemoryCache::new(1 << 20, Arc::new(Silent))) as Arc<dyn Cache>, ())
    });

    #[tokio::test]
    async fn its_room_is_bounded_and_what_is_asked_for_stays() {
        let cache = MemoryCache::new(64 << 10, Arc::new(Silent));
        let key = |n: u32| {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&n.to_le_bytes());
            key
        };
        let hot = kept("t", "a", &"x".repeat(200), 0);
        let (tenant, at) = (hot.tenant.clone(), hot.asked);
        cache.put(key(0), hot);
        let mut found = 0;
        for n in 1..2_000 {
            cache.put(key(n), kept("t", "a", &"x".repeat(200), 0));
            found += u32::from(cache.get(&tenant, &key(0), at).await.unwrap().is_some());
            assert!(cache.bytes() <= 64 << 10, "{n}: {}", cache.bytes());
        }
        assert!(found > 1_900, "what is asked for all the time stays: {found}");
        cache.put(key(9_999), kept("t", "a", &"x".repeat(60 << 10), 0));
        assert!(cache.bytes() <= 64 << 10, "what is larger than its part is not kept");
    }
}
