//! The one task that writes what a queue has: sends what has piled up, and keeps up who it sends for.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use tokio::time::MissedTickBehavior;

use super::apply::{How, Link, apply};
use super::keep;
use super::queue::{Load, Queue};
use super::slices::Slices;
use super::source::Lane;

/// Signs of life that a node gives before others may take it for dead.
const SIGNS: u32 = 3;
/// Signs of life from one sweep to the next.
const SWEEP_EVERY: u32 = 30;
/// How long the database is left alone after it failed: first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Failures in a row after which a node that is to end leaves its attempts to the log.
const LAST_TRIES: u32 = 3;

/// Whom a writer writes for.
pub(crate) trait Duty {
    /// What amounts of holds mean.
    const HOW: How;

    /// How long others wait for a sign of life.
    fn patience(&self) -> Duration;

    /// Gives a sign of life.
    async fn live(&mut self, c: &mut PgConnection) -> sqlx::Result<()>;

    /// What is due now and then.
    async fn keep(&mut self, c: &mut PgConnection) -> sqlx::Result<()>;

    /// The database failed.
    fn failed(&mut self) {}

    /// Nothing more comes.
    async fn leave(&mut self, c: &mut PgConnection) -> sqlx::Result<()>;
}

#[derive(Debug)]
pub(crate) struct Writer<D> {
    pub(crate) link: Link,
    pub(crate) queue: Arc<Queue>,
    pub(crate) duty: D,
}

impl<D: Duty> Writer<D> {
    /// Works until nothing more comes and all is written.
    pub(crate) async fn run(mut self) {
        let mut tick = tokio::time::interval(self.duty.patience() / SIGNS);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let queue = Arc::clone(&self.queue);
            let done = tokio::select! {
                biased;
                _ = tick.tick() => self.link.ask(async |c| self.duty.keep(c).await).await,
                () = queue.filled() => match self.send().await {
                    Ok(true) => break,
                    sent => sent.map(drop),
                },
            };
            if let Err(error) = done
                && !self.back(error).await
            {
                return self.queue.give_up();
            }
        }
        if let Err(error) = self.link.ask(async |c| self.duty.leave(c).await).await {
            tracing::warn!(%error, "this node could not say that it ends; others will find out");
        }
        self.link.close().await;
    }

    /// Sends a batch; whether all is sent and nothing more comes.
    async fn send(&mut self) -> sqlx::Result<bool> {
        let ended = self.queue.ended();
        let Load { node, entries } = self.queue.take();
        if entries.is_empty() {
            return Ok(ended);
        }
        let sent = apply(&mut self.link, D::HOW, node, entries).await;
        sent.map(|()| false).map_err(|(entries, error)| {
            self.queue.put_back(Load { node, entries });
            error
        })
    }

    /// Waits until the database answers again; not for ever, if nothing more comes.
    async fn back(&mut self, mut error: sqlx::Error) -> bool {
        self.queue.put_back(Load::default());
        self.duty.failed();
        let (mut pause, longest) = PAUSE;
        let mut tries = 0;
        tracing::error!(%error, "the ledger's database does not answer; holds are refused, attempts are kept");
        loop {
            if self.queue.ended() {
                tries += 1;
                if tries > LAST_TRIES {
                    tracing::error!(%error, "the ledger's database did not come back");
                    return false;
                }
            }
            tokio::time::sleep(pause).await;
            pause = longest.min(pause * 2);
            match self.link.ask(async |c| self.duty.live(c).await).await {
                Ok(()) => break,
                Err(again) => error = again,
            }
        }
        tracing::info!("the ledger's database answers again");
        self.queue.is_back();
        true
    }
}

/// A node, which writes in its own name.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) lane: Arc<Lane>,
    pub(crate) slices: Arc<Slices>,
    pub(crate) patience: u32,
    pub(crate) keep_days: u32,
    /// Signs of life that were given since the database last failed.
    pub(crate) signs: u32,
}

impl Duty for Node {
    const HOW: How = How::AtLeast;

    fn patience(&self) -> Duration {
        Duration::from_secs(self.patience.into())
    }

    async fn live(&mut self, c: &mut PgConnection) -> sqlx::Result<()> {
        keep::live(c, self.lane.node).await
    }

    async fn keep(&mut self, c: &mut PgConnection) -> sqlx::Result<()> {
        self.slices.give_back_idle(&*self.lane);
        let (me, patience) = (self.lane.node, f64::from(self.patience));
        keep::live(&mut *c, me).await?;
        // After an outage everybody seems dead who has not been faster.
        if self.signs >= SIGNS {
            keep::end_dead(&mut *c, me, patience).await?;
        }
        if self.signs.is_multiple_of(SWEEP_EVERY) {
            keep::sweep(c, me, self.keep_days).await?;
        }
        self.signs = self.signs.wrapping_add(1).max(1);
        Ok(())
    }

    fn failed(&mut self) {
        self.signs = 0;
    }

    async fn leave(&mut self, c: &mut PgConnection) -> sqlx::Result<()> {
        keep::leave(c, self.lane.node).await.map(drop)
    }
}
