//! Work for a writer that somebody waits for.

use maof_core::{Error, Result};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// How something is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Synced to disk before it is done.
    Synced,
    /// As durable as steps are.
    Plain,
    /// Likewise, and so little that whoever asks for it may write it without being missed.
    Brief,
}

/// Something to be done within a transaction.
pub(super) struct Job {
    work: Box<dyn Work>,
    pub(super) how: How,
    /// Its place in the queue: given back when it is done, also where nobody waits any more.
    _place: OwnedSemaphorePermit,
}

impl Job {
    /// A job, and where its answer comes.
    pub(super) fn new<T, F>(
        place: OwnedSemaphorePermit,
        how: How,
        ask: F,
    ) -> (Job, oneshot::Receiver<Result<T>>)
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<Result<T>> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let work = Box::new(Asked { ask: Some(ask), answer: None, tell });
        (Job { work, how, _place: place }, told)
    }

    /// Does it. Fails only for the database's reasons; then the whole transaction is rolled back.
    pub(super) fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.work.run(connection)
    }

    /// Tells who waits that the transaction was committed, or why not.
    pub(super) fn done(self, failed: Option<&Error>) {
        self.work.done(failed);
    }
}

trait Work: Send {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    fn done(self: Box<Self>, failed: Option<&Error>);
}

struct Asked<T, F> {
    ask: Option<F>,
    answer: Option<Result<T>>,
    tell: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: Send> Work for Asked<T, F>
where
    F: FnOnce(&Connection) -> rusqlite::Result<Result<T>>,
{
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if let Some(ask) = self.ask.take() {
            self.answer = Some(ask(connection)?);
        }
        Ok(())
    }

    fn done(self: Box<Self>, failed: Option<&Error>) {
        let answer = match (failed, self.answer) {
            (Some(error), _) => Err(Error::from(error.failure())),
            (None, Some(answer)) => answer,
            (None, None) => Err(Error::internal("a write was never made")),
        };
        // Who no longer waits does not mind.
        let _ = self.tell.send(answer);
    }
}
