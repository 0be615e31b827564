//! The task that keeps a node in the right generation, and gives back what is not used.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use maof_core::{Error, Result};
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio_util::task::TaskTracker;

use super::generation::{Generation, News};
use super::members;
use super::pipe::Pipe;
use super::script::{Op, Said};
use super::shared::Shared;
use crate::postgres::{Lane, Queue, Slices, Unused, away};

/// How often is looked whether an earlier generation can be left, or a new one be begun.
const LOOK: Duration = Duration::from_millis(50);
/// Looks that are passed over after something failed.
const REST: u32 = 20;
/// Looks for a generation that another node is about to begin in Redis.
const LOOKS: u32 = 20;
/// Generations that are tried at once.
const TRIES: u32 = 8;
/// What is done of the news at once.
const AT_ONCE: usize = 256;

/// What generations are made of.
#[derive(Clone)]
pub(super) struct Maker {
    pub(super) me: i64,
    pub(super) reads: sqlx::PgPool,
    pub(super) queue: Arc<Queue>,
    pub(super) pipe: Arc<Pipe>,
    pub(super) keeper: UnboundedSender<News>,
    pub(super) tracker: TaskTracker,
}

impl Maker {
    /// Joins a generation that is newer than a known one. Its pool is in this process of Redis, if one answers.
    pub(super) async fn next(&self, mut known: i64) -> Result<Generation> {
        for _ in 0..TRIES {
            let run = self.pipe.run().unwrap_or_default();
            let mut connection = self.reads.acquire().await.map_err(away)?;
            let (id, made) = members::next(&mut connection, self.me, known, &run).await.map_err(away)?;
            if run.is_empty() || self.is_begun(id, &run, made).await {
                let lane = Lane { queue: Arc::clone(&self.queue), node: id };
                return Ok(Generation {
                    lane,
                    run,
                    slices: Slices::default(),
                    pipe: Arc::clone(&self.pipe),
                    keeper: self.keeper.clone(),
                    tracker: self.tracker.clone(),
                    growing: Mutex::default(),
                });
            }
            members::leave(&mut connection, id, self.me, true).await.map_err(away)?;
            known = id;
        }
        Err(Error::unavailable("Redis lost each new generation of the ledger's pool; see the log"))
    }

    /// Whether Redis has it. Only who made it writes it there: it may have been there already, and be lost.
    async fn is_begun(&self, id: i64, run: &Arc<str>, made: bool) -> bool {
        let window = Arc::default();
        if made {
            return matches!(self.pipe.ask(id, run, &window, Op::Begin).await, Said::Done(_));
        }
        for _ in 0..LOOKS {
            match self.pipe.ask(id, run, &window, Op::Is).await {
                Said::Done(_) => return true,
                Said::Gone if self.pipe.run().as_ref() == Some(run) => tokio::time::sleep(LOOK).await,
                _ => return false,
            }
        }
        false
    }
}

pub(super) struct Keeper {
    pub(super) maker: Maker,
    pub(super) shared: Arc<Shared>,
    pub(super) news: UnboundedReceiver<News>,
    /// The newest generation that is doubted, and the newest of which a member died.
    pub(super) doubted: i64,
    pub(super) dead: i64,
    /// Looks that are still passed over.
    pub(super) rest: u32,
}

impl Keeper {
    /// Works until the handle is gone; then nothing is given back any more.
    pub(super) async fn work(mut self) {
        let mut news = Vec::new();
        loop {
            let has_to_look = self.has_to_look();
            let more = self.news.recv_many(&mut news, AT_ONCE);
            if has_to_look {
                drop(tokio::time::timeout(LOOK, more).await);
            } else {
                more.await;
            }
            if self.learn(std::mem::take(&mut news)).await {
                break;
            }
            self.look().await;
        }
        self.maker.pipe.end();
        self.maker.queue.end();
    }

    /// Does what the news ask for; whether the handle is gone.
    async fn learn(&mut self, news: Vec<News>) -> bool {
        let (mut unused, mut done, mut ended) = (Vec::new(), Vec::new(), false);
        for news in news {
            match news {
                News::Unused(id, part) => unused.push((id, part)),
                News::Doubt(id) => self.doubted = self.doubted.max(id),
                News::Dead(id) => self.dead = self.dead.max(id),
                News::Done(tell) => done.push(tell),
                News::End => ended = true,
            }
        }
        self.give_back(unused).await;
        for tell in done {
            let _ = tell.send(());
        }
        ended
    }

    fn needs_next(&self) -> bool {
        let current = self.shared.current().id();
        // Without Redis there is no pool, and nothing in it to doubt.
        self.dead >= current || self.doubted >= current && self.maker.pipe.run().is_some()
    }

    fn has_to_look(&self) -> bool {
        self.shared.has_earlier() || self.dead.max(self.doubted) >= self.shared.current().id()
    }

    async fn look(&mut self) {
        self.rest = self.rest.saturating_sub(1);
        if self.rest > 0 {
            return;
        }
        if let Err(error) = self.go_on().await {
            tracing::warn!(%error, "the ledger's pool stays as it is for now");
            self.rest = REST;
        }
    }

    /// Goes on to the next generation if it has to, and leaves earlier ones of which nothing is held.
    async fn go_on(&mut self) -> Result<()> {
        let current = self.shared.current();
        if self.doubted >= current.id() && self.maker.pipe.run().is_none() {
            // Asked now and then, Redis is found when it is back.
            self.maker.pipe.ask(current.id(), &current.run, &Arc::default(), Op::Is).await;
        }
        drop(current);
        if self.needs_next() {
            let next = self.maker.next(self.shared.current().id()).await?;
            tracing::info!(generation = next.id(), "the ledger's pool begins anew");
            self.shared.go_on_in(next);
        }
        let quiet = self.shared.take_quiet();
        for (at, generation) in quiet.iter().enumerate() {
            if let Err(error) = self.leave(generation.id()).await {
                self.shared.stay_in(quiet.get(at..).unwrap_or_default());
                return Err(error);
            }
        }
        Ok(())
    }

    async fn leave(&self, id: i64) -> Result<()> {
        // What was sent before is charged before.
        self.maker.queue.written()?.await.map_err(away)??;
        let mut connection = self.maker.reads.acquire().await.map_err(away)?;
        members::leave(&mut connection, id, self.maker.me, true).await.map(drop).map_err(away)
    }

    /// Takes parts out of the pool, and then from what PostgreSQL holds for it.
    async fn give_back(&mut self, unused: Vec<(i64, Unused)>) {
        let mut parts: BTreeMap<i64, BTreeMap<Arc<str>, i64>> = BTreeMap::new();
        for (id, Unused { key, amount, counted }) in unused {
            // Of one that was left everything was given back.
            let Some(generation) = self.shared.find(id) else { continue };
            let back = match counted {
                false => amount,
                true => match generation.ask(&key, Op::Leave { amount }).await {
                    Said::Done(Some(rest)) => amount.saturating_add(rest),
                    // It is in the pool, or nobody knows where it is.
                    Said::Done(None) | Said::Lost => 0,
                    _ => amount,
                },
            };
            if back > 0 {
                let sum = parts.entry(id).or_default().entry(key).or_default();
                *sum = sum.saturating_add(back);
            }
        }
        for (id, parts) in parts {
            if let Err(error) = self.release(id, &parts).await {
                tracing::warn!(%error, "what nobody uses of the ledger's pool is given back later");
                self.doubted = self.doubted.max(id);
            }
        }
    }

    async fn release(&self, id: i64, parts: &BTreeMap<Arc<str>, i64>) -> Result<()> {
        // What was sent before is charged before.
        self.maker.queue.written()?.await.map_err(away)??;
        let mut connection = self.maker.reads.acquire().await.map_err(away)?;
        members::release(&mut connection, id, parts).await.map_err(away)
    }
}
