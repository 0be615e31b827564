//! What several may be given.

use maof_core::{Error, Failure, Head, Origin, Reply, Response};

/// Something of which copies can be made, if it is of the kind that can be shared at all.
pub trait Copied: Sized {
    /// What copies are made from.
    type Master: Send + Sync + 'static;

    /// The master of this; none where it is for one alone.
    fn master(&self) -> Option<Self::Master>;

    /// A copy.
    fn copy(master: &Self::Master) -> Self;
}

/// A whole reply can be shared; a stream is read once. A copy has cost nothing: what the answer cost is told to
/// the guards of the reply that it is a copy of.
impl Copied for Reply {
    type Master = (Head, Response);

    fn master(&self) -> Option<Self::Master> {
        Some((self.head.clone(), self.response()?.clone()))
    }

    fn copy((head, response): &Self::Master) -> Self {
        let mut reply = Reply::whole(response.clone());
        reply.head = head.clone();
        reply
    }
}

/// What an upstream said concerns everybody who asks the same. A refusal of our own, such as an exhausted budget,
/// and a caller's giving up concern one caller.
impl Copied for Error {
    type Master = Failure;

    fn master(&self) -> Option<Failure> {
        (self.origin() == Origin::Provider).then(|| self.failure())
    }

    fn copy(master: &Failure) -> Self {
        Error::from(master.clone())
    }
}
