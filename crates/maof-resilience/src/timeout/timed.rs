//! What the timeout layer needs of a request.

use std::time::Instant;

use maof_core::{Call, Operation};

/// A request that is waited for.
pub trait Timed {
    /// When the answer is of no more use; none where it is useful at any time.
    fn deadline(&self) -> Option<Instant>;

    /// Whether the answer comes as a stream, so that the wait is one for its first event.
    fn is_streamed(&self) -> bool;
}

impl Timed for Call {
    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn is_streamed(&self) -> bool {
        // Nothing else is streamed, whatever was asked for.
        self.stream && self.operation() == Operation::Chat
    }
}
