//! Applies batches: one call of one SQL function each.

use std::future::Future;
use std::time::Duration;

use maof_core::{Balances, Error, Origin};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::batch::{Batch, Told, outcomes};
use super::queue::{Entry, log};

/// How long the database may take for one thing, before its connection is given up.
const LONGEST: Duration = Duration::from_secs(5);

/// The connection that writes; made anew where the last one failed.
#[derive(Debug)]
pub(crate) struct Link {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Link {
    pub(crate) fn new(options: PgConnectOptions, connection: PgConnection) -> Link {
        Link { options, connection: Some(connection) }
    }

    /// One that is made when it is needed.
    pub(crate) fn to(options: PgConnectOptions) -> Link {
        Link { options, connection: None }
    }

    /// Asks the database something. After an error that is not a statement's own, the connection is given up: what it
    /// would answer next is not known.
    pub(crate) async fn ask<T, F>(&mut self, what: F) -> sqlx::Result<T>
    where
        F: AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => within(self.options.connect()).await?,
        };
        let answer = within(what(&mut connection)).await;
        if matches!(answer, Ok(_) | Err(sqlx::Error::Database(_))) {
            self.connection = Some(connection);
        }
        answer
    }

    /// Says good-bye.
    pub(crate) async fn close(mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = within(connection.close()).await;
        }
    }
}

async fn within<T>(asked: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(LONGEST, asked).await.map_err(late)?
}

/// What amounts of holds mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// A hold has no less than this.
    AtLeast,
    /// A hold grows by this.
    More,
}

impl How {
    fn sql(self) -> &'static str {
        match self {
            How::AtLeast => {
                "SELECT hold, charge, spent, held, needed, start FROM ledger_apply($1, $2::TEXT::JSONB)"
            }
            How::More => {
                "SELECT hold, charge, spent, held, needed, start FROM ledger_share($1, $2::TEXT::JSONB)"
            }
        }
    }
}

/// Applies a batch, and tells who waits. Gives back what could not be applied now, with the error.
pub(crate) async fn apply(
    link: &mut Link,
    how: How,
    node: i64,
    entries: Vec<Entry>,
) -> Result<(), (Vec<Entry>, sqlx::Error)> {
    match send(link, how, node, &entries).await {
        Ok(told) => {
            tell(entries, &told);
            Ok(())
        }
        Err(error) if !is_of_a_row(&error) => Err((entries, error)),
        Err(error) if entries.len() <= 1 => {
            entries.into_iter().for_each(|entry| give_up(entry, &error));
            Ok(())
        }
        // One of them will never be taken. The others must not wait for it.
        Err(_) => {
            let mut rest = entries.into_iter();
            while let Some(entry) = rest.next() {
                if let Err((mut entry, error)) = Box::pin(apply(link, how, node, vec![entry])).await {
                    entry.extend(rest);
                    return Err((entry, error));
                }
            }
            Ok(())
        }
    }
}

async fn send(link: &mut Link, how: How, node: i64, entries: &[Entry]) -> sqlx::Result<Vec<Told>> {
    let batch = Batch::of(entries);
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let json = batch.json().map_err(|e| sqlx::Error::Encode(Box::new(e)))?;
    link.ask(async |connection| sqlx::query_as(how.sql()).bind(node).bind(&json).fetch_all(connection).await)
        .await
}

fn tell(entries: Vec<Entry>, told: &[Told]) {
    let mut outcomes = outcomes(&entries, told);
    for (place, entry) in entries.into_iter().enumerate() {
        // Who no longer waits gives back what it holds by its own end.
        match entry {
            Entry::Hold(hold) => {
                let outcome = outcomes.remove(&place).unwrap_or_else(|| Ok(Balances::new()));
                let _ = hold.tell.send(outcome);
            }
            Entry::Written(tell) => {
                let _ = tell.send(Ok(()));
            }
            Entry::Attempt(..) | Entry::Close(_) => {}
        }
    }
}

/// Whether a row is at fault, and not the database: data exceptions, broken constraints, and what is too large.
/// Classes of <https://www.postgresql.org/docs/15/errcodes-appendix.html>.
fn is_of_a_row(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
        }
        sqlx::Error::Encode(_) => true,
        _ => false,
    }
}

fn give_up(entry: Entry, error: &sqlx::Error) {
    tracing::error!(%error, "the ledger's database refuses a row");
    match entry {
        Entry::Attempt(_, attempt) => log(&attempt),
        Entry::Hold(hold) => {
            let why = "the ledger's database refuses the hold; see the log";
            let _ = hold.tell.send(Err(Error::internal(why).origin_is(Origin::Store)));
        }
        // The entries before it are done with.
        Entry::Written(tell) => {
            let _ = tell.send(Ok(()));
        }
        Entry::Close(_) => {}
    }
}

/// The error of a database that does not do what it should.
pub(crate) fn away(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable("the ledger's database cannot be reached; see the log")
        .origin_is(Origin::Store)
        .retry_is(maof_core::Retry::Here)
        .because(error)
}
