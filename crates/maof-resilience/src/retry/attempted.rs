//! What the retry layer needs of a request.

use std::time::Instant;

use maof_core::Call;

/// A request that can be attempted several times. Its `Clone` should copy pointers, not content.
pub trait Attempted: Clone {
    /// Says which attempt this is, from 1.
    fn attempt(&mut self, number: u32);

    /// When the answer is of no more use; none where it is useful at any time.
    fn deadline(&self) -> Option<Instant>;

    /// Whether another endpoint was asked for the same thing before.
    fn is_fallback(&self) -> bool;
}

impl Attempted for Call {
    fn attempt(&mut self, number: u32) {
        self.attempt = number;
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn is_fallback(&self) -> bool {
        self.chosen.as_ref().is_some_and(|chosen| chosen.fallbacks > 0)
    }
}
