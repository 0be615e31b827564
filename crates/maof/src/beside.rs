//! The configured stores, opened beside whoever works with them.

use std::sync::Arc;

use maof_core::{Ids as _, Ledger, Name, Result, Snapshots};
use maof_store::SqliteStore;
use maof_store::postgres::PostgresLedger;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::system::SystemIds;

/// A ledger to be looked at, and where the limits are kept that were changed in it.
pub(crate) struct Counted {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) limits: Arc<dyn Snapshots>,
}

impl Counted {
    /// That of this file.
    pub(crate) fn of(store: &Arc<SqliteStore>) -> Counted {
        Counted { ledger: store.clone(), limits: store.clone() }
    }

    /// That which several processes share, if one is configured.
    ///
    /// # Errors
    /// `unavailable` when it cannot be reached.
    pub(crate) async fn shared(config: &Config) -> Result<Option<Counted>> {
        let Some(postgres) = &config.ledger.postgres else { return Ok(None) };
        // A node of its own: whoever works with the database is not disturbed.
        let node = Name::new(&format!("looks:{}", SystemIds.next()))?;
        let ledger = Arc::new(PostgresLedger::open(postgres, &node, &TaskTracker::new()).await?);
        Ok(Some(Counted { ledger: ledger.clone(), limits: ledger }))
    }
}
