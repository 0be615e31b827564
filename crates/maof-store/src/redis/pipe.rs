//! The one task that talks to Redis: sends what has piled up while the last script was on its way, as one script.
//!
//! A connection is to one process of Redis, which says who it is (`run_id`). A pool is used with the process for which its
//! generation was begun, and with no other: one that starts again, or takes over from another, may have old numbers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{self, RedisError};
use deadpool_redis::{Connection, Pool};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::script::{Ask, Op, Said, invocation, read};

/// Asks that wait at most; beyond that PostgreSQL is asked.
const AT_MOST: usize = 65_536;
/// Asks of one script.
const BATCH: usize = 128;
/// How long Redis is left alone after it failed: first, and at most, where it fails again and again.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// How much longer than a script a connection may take to be made.
const CONNECT: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct Pipe {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    asks: VecDeque<Ask>,
    /// Who answers, while somebody does.
    run: Option<Arc<str>>,
    ended: bool,
}

/// The way to a Redis.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) pool: Pool,
    /// The ledger's name there.
    pub(super) ledger: String,
    pub(super) timeout: Duration,
}

impl Pipe {
    /// Asks, and waits for what Redis says.
    pub(super) async fn ask(&self, generation: i64, run: &Arc<str>, window: &Arc<str>, op: Op) -> Said {
        let (tell, told) = oneshot::channel();
        let (run, window) = (Arc::clone(run), Arc::clone(window));
        {
            let mut state = self.state.lock();
            if state.ended || state.asks.len() >= AT_MOST {
                return Said::Away;
            }
            state.asks.push_back(Ask { generation, run, window, op, tell });
        }
        self.filled.notify_one();
        told.await.unwrap_or(Said::Lost)
    }

    /// The process of Redis that answers, if one does.
    pub(super) fn run(&self) -> Option<Arc<str>> {
        self.state.lock().run.clone()
    }

    /// Nothing more comes.
    pub(super) fn end(&self) {
        self.state.lock().ended = true;
        self.filled.notify_one();
    }

    /// Works until nothing more comes.
    pub(super) async fn work(self: Arc<Self>, server: Server) {
        let mut connection: Option<Connection> = None;
        let mut pause = PAUSE.0;
        while self.filled().await {
            if connection.is_none() {
                connection = self.connect(&server).await;
            }
            let Some(open) = &mut connection else {
                self.rest(&mut pause).await;
                continue;
            };
            let asks = self.take();
            if asks.is_empty() {
                continue;
            }
            let invocation = invocation(&server.ledger, &asks);
            let said =
                tokio::time::timeout(server.timeout, invocation.invoke_async::<Vec<String>>(open)).await;
            match said {
                Ok(Ok(said)) => {
                    pause = PAUSE.0;
                    let said = read(&asks, &said);
                    asks.into_iter().zip(said).for_each(|(ask, said)| ask.answer(said));
                }
                failed => {
                    let error = failed.map_or(None, Result::err);
                    tracing::warn!(
                        error = error.map(tracing::field::display),
                        "Redis does not do what it should; PostgreSQL is asked instead"
                    );
                    asks.into_iter().for_each(|ask| ask.answer(Said::Lost));
                    // A connection whose answer was not waited for is used no more.
                    connection.take().map(Connection::take);
                    self.rest(&mut pause).await;
                }
            }
        }
    }

    /// Waits until there is something to ask; false if nothing more comes.
    async fn filled(&self) -> bool {
        loop {
            let filled = self.filled.notified();
            {
                let state = self.state.lock();
                if !state.asks.is_empty() {
                    return true;
                }
                if state.ended {
                    return false;
                }
            }
            filled.await;
        }
    }

    async fn connect(&self, server: &Server) -> Option<Connection> {
        let open = async {
            let mut connection = server.pool.get().await.map_err(|e| e.to_string())?;
            let said = redis::cmd("INFO").arg("server").query_async::<String>(&mut connection).await;
            let said = said.map_err(|e: RedisError| e.to_string())?;
            let run = said.lines().find_map(|line| line.strip_prefix("run_id:"));
            let run = run.ok_or("Redis does not say who it is (INFO server)")?;
            self.state.lock().run = Some(run.trim().into());
            Ok::<_, String>(connection)
        };
        match tokio::time::timeout(server.timeout * CONNECT, open).await {
            Ok(Ok(connection)) => Some(connection),
            Ok(Err(error)) => {
                tracing::warn!(error, "Redis cannot be reached; PostgreSQL is asked instead");
                None
            }
            Err(_) => {
                tracing::warn!("Redis cannot be reached in time; PostgreSQL is asked instead");
                None
            }
        }
    }

    /// What can be asked at once: of one generation, which is this process's. The others are told that it is not.
    fn take(&self) -> Vec<Ask> {
        let mut state = self.state.lock();
        let mut asks: Vec<Ask> = Vec::new();
        while asks.len() < BATCH
            && let Some(ask) = state.asks.pop_front()
        {
            if state.run.as_ref() != Some(&ask.run) {
                ask.answer(Said::Gone);
                continue;
            }
            // The beginning of a generation is asked alone.
            let together = |first: &Ask| first.generation == ask.generation && first.op != Op::Begin;
            if !asks.first().is_none_or(together) || ask.op == Op::Begin && !asks.is_empty() {
                state.asks.push_front(ask);
                break;
            }
            asks.push(ask);
        }
        asks
    }

    /// Leaves Redis alone for a while. Who asks is told so.
    async fn rest(&self, pause: &mut Duration) {
        self.state.lock().run = None;
        let over = tokio::time::sleep(*pause);
        tokio::pin!(over);
        *pause = PAUSE.1.min(*pause * 2);
        loop {
            for ask in std::mem::take(&mut self.state.lock().asks) {
                ask.answer(Said::Away);
            }
            tokio::select! {
                () = &mut over => return,
                more = self.filled() => if !more { return },
            }
        }
    }
}
