//! Holds that were closed, for charges that come late and keys that are held again.
//!
//! One is forgotten with each call, from memory that nobody has touched for ten thousand calls. So they lie in a ring,
//! whole and small: to forget one is to write over it.

use smallvec::SmallVec;

use super::windows::HashMap;

/// Closed holds that are remembered; the oldest are forgotten first. A charge that comes later still is written down
/// as an attempt, but counts on no account.
pub(super) const REMEMBERED: usize = 10_000;

#[derive(Debug)]
pub(super) struct Closed<Hold> {
    ring: Vec<Place<Hold>>,
    /// Places by the hash of the key, which is compared where it is found.
    places: HashMap<u64, u32>,
    hasher: ahash::RandomState,
    /// The place that is written over next, once the ring is full.
    next: u32,
}

#[derive(Debug)]
struct Place<Hold> {
    hash: u64,
    /// A UUID as text fits.
    key: SmallVec<[u8; 40]>,
    /// None while it is open again.
    hold: Option<Hold>,
}

impl<Hold> Default for Closed<Hold> {
    fn default() -> Self {
        Closed { ring: Vec::new(), places: HashMap::default(), hasher: ahash::RandomState::new(), next: 0 }
    }
}

impl<Hold> Closed<Hold> {
    pub(super) fn insert(&mut self, key: &str, hold: Hold) {
        let hash = self.hasher.hash_one(key);
        let place = Place { hash, key: SmallVec::from_slice(key.as_bytes()), hold: Some(hold) };
        // A key that comes again has its place, and pushes nobody out.
        if let Some(at) = self.places.get(&hash)
            && let Some(known) = self.ring.get_mut(*at as usize)
        {
            *known = place;
            return;
        }
        let at = self.next;
        match self.ring.get_mut(at as usize) {
            Some(oldest) => {
                self.places.remove(&oldest.hash);
                *oldest = place;
            }
            None => self.ring.push(place),
        }
        self.places.insert(hash, at);
        self.next = if at as usize + 1 == REMEMBERED { 0 } else { at + 1 };
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Hold> {
        self.place(key)?.hold.take()
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Hold> {
        self.place(key)?.hold.as_mut()
    }

    fn place(&mut self, key: &str) -> Option<&mut Place<Hold>> {
        let at = *self.places.get(&self.hasher.hash_one(key))?;
        self.ring.get_mut(at as usize).filter(|place| place.key.as_slice() == key.as_bytes())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}
