//! Where slices come from: holds of the node itself, or a pool that nodes share.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use maof_core::{Account, Attempt, Balance, Charge, Result, Timestamp};

use super::apply::away;
use super::queue::{Keys, Queue};

/// Gives slices what they grow by, and takes what of them is used or left.
pub(crate) trait Source: Send + Sync {
    /// Asks for a slice to grow. It is asked for at once; what is given tells when that is known.
    ///
    /// # Errors
    /// `unavailable` where it cannot be asked for.
    fn grow(self: Arc<Self>, wanted: Wanted) -> Result<Growth>;

    /// Sends an attempt, which is charged to these.
    fn attempt(&self, keys: Keys, attempt: Attempt);

    /// Takes back a slice that nobody uses, or what of one came too late.
    fn give_back(&self, unused: Unused);
}

/// A slice on its way to grow.
pub(crate) type Growth = Pin<Box<dyn Future<Output = Result<Grown>> + Send>>;

/// What a slice is to be.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The slice's.
    pub(crate) key: Arc<str>,
    pub(crate) account: Account,
    /// No less than this is spent and held in all, if there is a limit.
    pub(crate) limit: Option<i64>,
    /// A time in its window.
    pub(crate) at: Timestamp,
    /// What it has to have for what is held of it.
    pub(crate) needed: i64,
    /// How much more that is than it has.
    pub(crate) more: i64,
    /// What it may have beyond that.
    pub(crate) spare: i64,
    /// Whether the pool has not counted this node among those that use the window.
    pub(crate) first: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Grown {
    /// It has what it needed, and the spare part: no more than that, however often it is asked for.
    Whole(Balance),
    /// So much more.
    More(Part),
}

/// What a slice grows by. Given back, unless it is [kept](Part::keep).
pub(crate) struct Part {
    pub(crate) unused: Unused,
    /// No more than this was spent and held in all when it was held.
    pub(crate) limit: i64,
    /// Whether that was so just now, also of what the slice had.
    pub(crate) of_all: bool,
    /// What the account had when the database last said so.
    pub(crate) balance: Balance,
    pub(crate) to: Option<Arc<dyn Source>>,
    /// Dropped when it has come where it belongs.
    pub(crate) _under_way: tokio::sync::watch::Receiver<()>,
}

/// What is left of a slice.
#[derive(Clone, Debug)]
pub(crate) struct Unused {
    /// The slice's.
    pub(crate) key: Arc<str>,
    pub(crate) amount: i64,
    /// Whether the pool counts this node, because of it, among those that use the window.
    pub(crate) counted: bool,
}

impl Part {
    /// It has come where it belongs.
    pub(crate) fn keep(mut self) {
        self.to = None;
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(to) = self.to.take() {
            to.give_back(self.unused.clone());
        }
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("unused", &self.unused).finish_non_exhaustive()
    }
}

/// What goes to the database in the name of one node.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) queue: Arc<Queue>,
    pub(crate) node: i64,
}

impl Source for Lane {
    fn grow(self: Arc<Self>, wanted: Wanted) -> Result<Growth> {
        let Wanted { key, account, limit, at, needed, spare, .. } = wanted;
        let charge = Charge { account, amount: needed.saturating_add(spare), limit };
        let told = self.queue.hold(self.node, &key, vec![charge], at)?;
        Ok(Box::pin(async move {
            let standing = told.await.map_err(away)??;
            Ok(Grown::Whole(standing.first().copied().unwrap_or_default()))
        }))
    }

    fn attempt(&self, keys: Keys, attempt: Attempt) {
        self.queue.attempt(self.node, keys, attempt);
    }

    fn give_back(&self, unused: Unused) {
        self.queue.close(self.node, &unused.key);
    }
}
