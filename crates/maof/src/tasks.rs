//! Looks after tasks of a database without working on them, beside whoever does.

use std::sync::Arc;

use maof_core::{Journal, Ledger, Principal, Result, Run, RunFilter, RunId};
use maof_engine::Report;
use maof_store::SqliteStore;

use crate::beside::Counted;
use crate::config::Config;
use crate::handle::REPORTED_ATTEMPTS;
use crate::system::SystemClock;

/// The tasks of a database, to be looked at and cancelled.
#[derive(Debug)]
pub struct Tasks {
    journal: Arc<dyn Journal>,
    ledger: Arc<dyn Ledger>,
}

impl Tasks {
    /// Opens the configured database without taking it.
    ///
    /// # Errors
    /// `not_found` when there is none; `unavailable` when it cannot be opened.
    pub async fn open(config: &Config) -> Result<Tasks> {
        let store = Arc::new(SqliteStore::open_shared(&config.store).await?);
        let counted = Counted::shared(config).await?.unwrap_or_else(|| Counted::of(&store));
        Ok(Tasks { journal: store, ledger: counted.ledger })
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be reached.
    pub async fn runs(&self, principal: &Principal, filter: RunFilter) -> Result<Vec<Run>> {
        self.journal.runs(&principal.tenant, filter).await
    }

    /// Who did what in a run.
    ///
    /// # Errors
    /// `not_found`; `unavailable` when the store cannot be reached.
    pub async fn report(&self, principal: &Principal, run: RunId) -> Result<Report> {
        let mut report = maof_engine::read_report(&*self.journal, &principal.tenant, run).await?;
        report.add_attempts(&self.ledger.attempts(&principal.tenant, Some(run), REPORTED_ATTEMPTS).await?);
        Ok(report)
    }

    /// Wishes a run cancelled; true if it had not ended. Whoever works on it ends it within two seconds.
    ///
    /// # Errors
    /// `not_found`; `unavailable` when the store cannot be reached.
    pub async fn cancel(&self, principal: &Principal, run: RunId) -> Result<bool> {
        let now = maof_core::Clock::now(&SystemClock);
        self.journal.cancel(&principal.tenant, run, now).await
    }
}
