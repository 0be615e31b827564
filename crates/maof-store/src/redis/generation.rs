//! A generation of the pool: slices that grow from what nodes share.
//!
//! What PostgreSQL holds in a generation's name is never less than what is free in Redis and what slices of all nodes have:
//! it is held before it is put into Redis or a slice, and taken out of both before it is given back. So whatever Redis
//! forgets is held by nobody, and is given back or counted as spent when the generation ends; nothing that
//! it remembers wrongly is used, since another process of it, or another generation in it, is not asked for this one's.

use std::sync::Arc;

use maof_core::{Attempt, Balance, Charge, ErrorKind, Result};
use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::pipe::Pipe;
use super::script::{Op, Said};
use crate::accounts::SPARE;
use crate::postgres::{Grown, Growth, Keys, Lane, Part, Slices, Source, Unused, Wanted, away};

pub(super) struct Generation {
    pub(super) lane: Lane,
    /// The process of Redis that has its pool; empty if none has.
    pub(super) run: Arc<str>,
    pub(super) slices: Slices,
    pub(super) pipe: Arc<Pipe>,
    pub(super) keeper: UnboundedSender<News>,
    pub(super) tracker: TaskTracker,
    /// Whoever grows has a receiver.
    pub(super) growing: Mutex<watch::Sender<()>>,
}

/// What a keeper is told.
#[derive(Debug)]
pub(super) enum News {
    /// A part of this generation is not used.
    Unused(i64, Unused),
    /// Redis has another generation, or nobody knows what it has of this one.
    Doubt(i64),
    /// A member of this generation died.
    Dead(i64),
    /// Somebody waits until all before it is done.
    Done(tokio::sync::oneshot::Sender<()>),
    /// The handle is gone.
    End,
}

impl Generation {
    pub(super) fn id(&self) -> i64 {
        self.lane.node
    }

    /// Asks Redis about a window of this generation.
    pub(super) async fn ask(&self, window: &Arc<str>, op: Op) -> Said {
        let said = self.pipe.ask(self.id(), &self.run, window, op).await;
        if matches!(said, Said::Gone | Said::Lost) {
            self.doubt();
        }
        said
    }

    pub(super) fn doubt(&self) {
        drop(self.keeper.send(News::Doubt(self.id())));
    }

    /// Waits until all that slices were to grow by has come where it belongs.
    pub(super) async fn grown(&self) {
        let before = std::mem::take(&mut *self.growing.lock());
        before.closed().await;
    }

    /// Takes from the pool, and has PostgreSQL hold what it lacks.
    async fn get(self: Arc<Self>, wanted: Wanted, under_way: watch::Receiver<()>) -> Result<Grown> {
        let (limit, mut first) = (wanted.limit.unwrap_or(i64::MAX), wanted.first);
        let key = Arc::clone(&wanted.key);
        let unused = Unused { key: Arc::clone(&key), amount: 0, counted: false };
        let balance = Balance::default();
        let to = Some(Arc::clone(&self) as Arc<dyn Source>);
        let mut part = Part { unused, limit, of_all: false, balance, to, _under_way: under_way };
        let said = self.ask(&key, Op::Take { needed: wanted.more, limit, first }).await;
        if let Said::Taken { amount, spare, limit, balance } = said {
            part.unused.amount = amount.saturating_add(spare);
            part.unused.counted = std::mem::take(&mut first);
            (part.limit, part.balance) = (limit, balance);
            if amount >= wanted.more {
                return Ok(Grown::More(part));
            }
        }
        let more = wanted.more - part.unused.amount;
        part.balance = self.hold(&wanted, more).await?;
        (part.limit, part.of_all) = (limit, true);
        let mut spare = wanted.spare;
        if matches!(said, Said::Taken { .. } | Said::Nothing) {
            let amount = spare - spare / SPARE;
            match self.ask(&key, Op::Put { amount, limit, first, balance: part.balance }).await {
                Said::Done(_) => {
                    spare -= amount;
                    part.unused.counted |= first;
                }
                // Nobody knows where it is, and nobody uses it.
                Said::Lost => spare -= amount,
                _ => {}
            }
        }
        part.unused.amount = wanted.more.saturating_add(spare);
        Ok(Grown::More(part))
    }

    /// Has PostgreSQL hold more, and what is to be spare.
    async fn hold(&self, wanted: &Wanted, more: i64) -> Result<Balance> {
        let Wanted { key, account, limit, at, spare, .. } = wanted;
        let charge = Charge { account: account.clone(), amount: more.saturating_add(*spare), limit: *limit };
        let told = self.lane.queue.hold(self.id(), key, vec![charge], *at)?.await.map_err(away)?;
        let standing = told.inspect_err(|error| {
            // It may have been held all the same.
            if error.kind() == ErrorKind::Unavailable {
                self.doubt();
            }
        })?;
        Ok(standing.first().copied().unwrap_or_default())
    }
}

impl Source for Generation {
    fn grow(self: Arc<Self>, wanted: Wanted) -> Result<Growth> {
        // On a task: a caller that hangs up leaves no part of it lying about.
        let tracker = self.tracker.clone();
        let under_way = self.growing.lock().subscribe();
        let task = tracker.spawn(self.get(wanted, under_way));
        Ok(Box::pin(async move { task.await.map_err(away)? }))
    }

    fn attempt(&self, keys: Keys, attempt: Attempt) {
        self.lane.attempt(keys, attempt);
    }

    fn give_back(&self, unused: Unused) {
        drop(self.keeper.send(News::Unused(self.id(), unused)));
    }
}
