//! The one task of a node: sends what has piled up, and keeps the node alive.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::apply::{Link, apply};
use super::keep;
use super::queue::Queue;
use super::slices::Slices;

/// Signs of life that a node gives before others may take it for dead.
const SIGNS: u32 = 3;
/// Signs of life from one sweep to the next.
const SWEEP_EVERY: u32 = 30;
/// How long the database is left alone after it failed: first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Failures in a row after which a node that is to end leaves its attempts to the log.
const LAST_TRIES: u32 = 3;

pub(super) struct Writer {
    pub(super) link: Link,
    pub(super) me: i64,
    pub(super) queue: Arc<Queue>,
    pub(super) slices: Arc<Slices>,
    pub(super) patience: u32,
    pub(super) keep_days: u32,
    /// Signs of life that were given since the database last failed.
    pub(super) signs: u32,
}

impl Writer {
    /// Works until nothing more comes and all is written.
    pub(super) async fn run(mut self) {
        let every = Duration::from_secs(u64::from(self.patience)) / SIGNS;
        let mut tick = tokio::time::interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let queue = Arc::clone(&self.queue);
            let done = tokio::select! {
                biased;
                _ = tick.tick() => self.keep().await,
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
        if let Err(error) = self.link.ask(async |c| keep::leave(c, self.me).await).await {
            tracing::warn!(%error, "this node could not say that it ends; others will find out");
        }
        self.link.close().await;
    }

    /// Sends a batch; whether all is sent and nothing more comes.
    async fn send(&mut self) -> sqlx::Result<bool> {
        let ended = self.queue.ended();
        let batch = self.queue.take();
        if batch.is_empty() {
            return Ok(ended);
        }
        apply(&mut self.link, self.me, batch).await.map(|()| false).map_err(|(batch, error)| {
            self.queue.put_back(batch);
            error
        })
    }

    async fn keep(&mut self) -> sqlx::Result<()> {
        self.slices.give_back_idle(&self.queue);
        let Writer { me, patience, keep_days, signs, .. } = *self;
        self.link
            .ask(async |c| {
                keep::live(&mut *c, me).await?;
                // After an outage everybody seems dead who has not been faster.
                if signs >= SIGNS {
                    keep::end_dead(&mut *c, me, f64::from(patience)).await?;
                }
                match signs % SWEEP_EVERY {
                    0 => keep::sweep(c, me, keep_days).await,
                    _ => Ok(()),
                }
            })
            .await?;
        self.signs = self.signs.wrapping_add(1).max(1);
        Ok(())
    }

    /// Waits until the database answers again; not for ever, if nothing more comes.
    async fn back(&mut self, mut error: sqlx::Error) -> bool {
        self.queue.put_back(Vec::new());
        self.signs = 0;
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
            match self.link.ask(async |c| keep::live(c, self.me).await).await {
                Ok(()) => break,
                Err(again) => error = again,
            }
        }
        tracing::info!("the ledger's database answers again");
        self.queue.is_back();
        true
    }
}
