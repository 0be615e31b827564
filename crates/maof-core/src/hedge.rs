//! Hedging: when to ask a second candidate beside one that is slow.

use std::fmt;
use std::time::Duration;

use crate::error::Error;
use crate::ids::Name;

/// Says when a second candidate is asked beside one that is slow. The router does the asking, since it alone
/// knows whom else to ask: the first sign of an answer wins, the other is dropped.
pub trait Hedge: Send + Sync + fmt::Debug {
    /// How long to wait for the first sign of an answer from `endpoint` before another one is asked beside it;
    /// none for as long as it takes.
    fn patience(&self, endpoint: &Name) -> Option<Duration>;

    /// Whether `to` may be asked beside `from` now; if so, that is counted. Asked once the patience is over.
    fn spend(&self, from: &Name, to: &Name) -> bool;

    /// A call begins to be routed: what hedges may add is a part of those.
    fn began(&self);

    /// An endpoint has answered, or begun to, after so long.
    fn answered(&self, endpoint: &Name, waited: Duration);

    /// An endpoint has failed.
    fn failed(&self, endpoint: &Name, error: &Error);
}
