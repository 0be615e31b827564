//! Opens the ledger: in PostgreSQL, then the pool in Redis, if that can be reached.

use std::sync::Arc;
use std::time::Duration;

use maof_core::{Name, Result};
use sqlx::postgres::PgConnection;
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::task::TaskTracker;

use super::config::Config;
use super::generation::News;
use super::keeper::{Keeper, Maker};
use super::ledger::{Inner, RedisLedger};
use super::members;
use super::pipe::{Pipe, Server};
use super::script::Op;
use super::shared::Shared;
use crate::postgres::{self, Duty, How, PostgresLedger, Queue, Writer, away, live};

impl RedisLedger {
    /// Opens the ledger as the node of this name, as [`PostgresLedger::open`] does, with a pool in this Redis. A Redis that is
    /// away is no error: it is used when it comes. The tasks that write and keep are spawned on `tracker`, and end when
    /// the last handle has gone and everything is written.
    ///
    /// # Errors
    /// `invalid_request` naming the field, or where the tables are another version's; `unavailable` when PostgreSQL cannot
    /// be reached.
    pub async fn open(
        redis: &Config,
        postgres: &postgres::Config,
        node: &Name,
        tracker: &TaskTracker,
    ) -> Result<RedisLedger> {
        redis.validate().map_err(|e| e.context("redis"))?;
        let ledger = PostgresLedger::open(postgres, node, tracker).await?;
        let reads = ledger.reads().clone();
        let mut connection = reads.acquire().await.map_err(away)?;
        let name = members::ledger(&mut connection).await.map_err(away)?;
        drop(connection);
        let pipe = Arc::new(Pipe::default());
        let timeout = Duration::from_millis(redis.timeout_ms);
        tracker.spawn(Arc::clone(&pipe).work(Server { pool: redis.pool()?, ledger: name, timeout }));
        // Whoever is asked first says who it is.
        pipe.ask(0, &Arc::default(), &Arc::default(), Op::Is).await;

        let (keeper, news) = unbounded_channel();
        let queue = Arc::new(Queue::default());
        let maker = Maker {
            me: ledger.id(),
            reads,
            queue: Arc::clone(&queue),
            pipe,
            keeper: keeper.clone(),
            tracker: tracker.clone(),
        };
        let first = Arc::new(maker.next(0).await?);
        let shared = Arc::new(Shared::new(first, keeper));
        let duty = Member {
            shared: Arc::clone(&shared),
            me: ledger.id(),
            patience: Duration::from_secs(postgres.node_timeout_seconds.into()),
            _node: ledger.clone(),
        };
        let link = ledger.link();
        tracker.spawn(Writer { link, queue: Arc::clone(&queue), duty }.run());
        let keeper = Keeper { maker, shared: Arc::clone(&shared), news, doubted: 0, dead: 0, rest: 0 };
        tracker.spawn(keeper.work());
        Ok(RedisLedger::new(Inner { postgres: ledger, queue, shared }))
    }
}

/// A member of generations, in whose names it writes.
struct Member {
    shared: Arc<Shared>,
    me: i64,
    patience: Duration,
    /// It lives until the generations were left, or it would leave them as one that died.
    _node: PostgresLedger,
}

impl Duty for Member {
    const HOW: How = How::More;

    fn patience(&self) -> Duration {
        self.patience
    }

    async fn live(&mut self, c: &mut PgConnection) -> sqlx::Result<()> {
        for generation in self.shared.joined() {
            live(c, generation.id()).await?;
        }
        Ok(())
    }

    async fn keep(&mut self, c: &mut PgConnection) -> sqlx::Result<()> {
        self.live(c).await?;
        let current = self.shared.current();
        current.slices.give_back_idle(&*current);
        if members::has_dead(c, current.id()).await? {
            self.shared.tell(News::Dead(current.id()));
        }
        members::end_dead(c).await.map(drop)
    }

    async fn leave(&mut self, c: &mut PgConnection) -> sqlx::Result<()> {
        for generation in self.shared.joined() {
            let clean = generation.slices.is_quiet();
            members::leave(c, generation.id(), self.me, clean).await?;
        }
        members::end_dead(c).await.map(drop)
    }
}
