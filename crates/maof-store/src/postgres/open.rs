//! Opens the ledger: its tables, this node's row, and what earlier processes of its name left behind.

use std::sync::Arc;

use maof_core::{Error, Name, Origin, Result};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnection, PgPoolOptions};
use tokio_util::task::TaskTracker;

use super::apply::{Link, away};
use super::config::Config;
use super::keep;
use super::ledger::{Inner, PostgresLedger};
use super::queue::Queue;
use super::slices::Slices;
use super::source::Lane;
use super::writer::{Node, Writer};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// Longer than anybody is silent: only names count.
const FOR_EVER: f64 = 1e9;

impl PostgresLedger {
    /// Opens the ledger as the node of this name, and makes its tables if they are not there. What an earlier process of
    /// the name still holds counts as spent from now on; two that live at the same time need two names. The one task
    /// that writes is spawned on `tracker`, and ends when the last handle has gone and everything is written.
    ///
    /// # Errors
    /// `invalid_request` naming the field, or where the tables are another version's; `unavailable` when the database
    /// cannot be reached.
    pub async fn open(config: &Config, node: &Name, tracker: &TaskTracker) -> Result<PostgresLedger> {
        config.validate().map_err(|e| e.context("postgres"))?;
        let options = config.options()?.application_name("maof").disable_statement_logging();
        let mut connection = options.connect().await.map_err(refused)?;
        MIGRATIONS.run(&mut connection).await.map_err(explain)?;
        let me = join(&mut connection, node).await.map_err(refused)?;
        let reads = PgPoolOptions::new()
            .max_connections(config.connections)
            .acquire_timeout(std::time::Duration::from_secs(5))
            .connect_lazy_with(options.clone());
        let (queue, slices) = (Arc::new(Queue::default()), Arc::new(Slices::default()));
        let lane = Arc::new(Lane { queue: Arc::clone(&queue), node: me });
        let patience = config.node_timeout_seconds;
        let duty = Node {
            lane: Arc::clone(&lane),
            slices: Arc::clone(&slices),
            patience,
            keep_days: config.keep_days,
            signs: 0,
        };
        tracker.spawn(Writer { link: Link::new(options, connection), queue, duty }.run());
        let inner = Inner { node: node.clone(), patience, reads, lane, slices };
        Ok(PostgresLedger::new(inner))
    }
}

/// Takes a row for this node, and ends those of its name that were before it.
async fn join(c: &mut PgConnection, node: &Name) -> sqlx::Result<i64> {
    let join = sqlx::query_as("INSERT INTO node (name) VALUES ($1) RETURNING id").bind(node.as_str());
    let (me,): (i64,) = join.fetch_one(&mut *c).await?;
    keep::end_dead(c, me, FOR_EVER).await?;
    Ok(me)
}

/// What the database says when it is opened is for who configured it; it names neither host nor password.
fn refused(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(said) => {
            let why = format!("the ledger's database refuses: {}", said.message());
            Error::unavailable(why).origin_is(Origin::Store).because(error)
        }
        _ => away(error),
    }
}

fn explain(error: sqlx::migrate::MigrateError) -> Error {
    use sqlx::migrate::MigrateError as E;
    let why = match error {
        E::VersionMissing(_) | E::VersionTooNew(..) => {
            "the ledger's database was written by a newer version of MAOF; use that one, or another database"
        }
        E::VersionMismatch(_) => {
            "the ledger's database was made by another build of MAOF; use another database to begin anew"
        }
        E::Execute(error) | E::ExecuteMigration(error, _) => return refused(error),
        error => return away(error),
    };
    Error::invalid_request(why).origin_is(Origin::Store).param("postgres.url").because(error)
}
