//! The engine: takes tasks in, claims runs, drives them, and lets them be watched and cancelled.

mod accept;
mod context;
mod inner;
mod waiting;
mod watch;
mod worker;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use maof_core::{Clock, Error, Ids, Journal, Name, Observe, Result, Run, RunId};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use context::CallService;
pub(crate) use context::Context;
pub use inner::Compile;
use inner::Inner;
pub use watch::RunEvent;

use crate::config::Config;
use crate::record::Record;
use crate::report::Report;
use crate::run::{Machine, Stop};
use crate::workflow::Workflow;

/// What an engine is made of.
#[allow(missing_debug_implementations, reason = "a closure has none")]
pub struct Parts {
    /// How it runs work.
    pub config: Config,
    /// Where runs are remembered.
    pub journal: Arc<dyn Journal>,
    /// The call path.
    pub calls: CallService,
    /// Checks and compiles a workflow that a run brings along.
    pub compile: Compile,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids.
    pub ids: Arc<dyn Ids>,
    /// Is told of runs.
    pub observe: Arc<dyn Observe>,
    /// Where its tasks run.
    pub tracker: TaskTracker,
}

/// Takes tasks in and runs them. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("owner", &self.inner.owner).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that does not work yet; see [`Engine::start`].
    ///
    /// # Errors
    /// `invalid_request` naming the setting that is wrong.
    pub fn new(parts: Parts) -> Result<Engine> {
        parts.config.validate()?;
        let owner = parts.ids.next().to_string().into();
        let free = parts.config.max_in_flight;
        let context = Context::new(parts.journal, parts.calls, parts.clock, parts.ids, parts.observe);
        let inner = Inner {
            config: parts.config,
            context: Arc::new(context),
            workflows: RwLock::new(HashMap::new()),
            compile: parts.compile,
            running: Mutex::new(HashMap::new()),
            free: free.into(),
            working: Default::default(),
            wake: Notify::new(),
            hungry: Default::default(),
            closing: CancellationToken::new(),
            tracker: parts.tracker,
            owner,
        };
        Ok(Engine { inner: Arc::new(inner) })
    }

    /// Begins to claim and drive runs, until [`Engine::shutdown`].
    pub fn start(&self) {
        self.inner.working.store(true, Ordering::Release);
        let tracker = &self.inner.tracker;
        tracker.spawn(worker::claims(Arc::clone(&self.inner), None));
        tracker.spawn(worker::heartbeats(Arc::clone(&self.inner)));
    }

    /// Claims and drives this one run only; for resuming from a command line.
    pub fn start_only(&self, run: RunId) {
        let tracker = &self.inner.tracker;
        tracker.spawn(worker::claims(Arc::clone(&self.inner), Some(run)));
        tracker.spawn(worker::heartbeats(Arc::clone(&self.inner)));
    }

    /// Makes a workflow known, so that runs of it can be claimed.
    pub fn add_workflow(&self, workflow: Arc<Workflow>) {
        self.inner.know(&workflow);
    }

    /// Cancels a run: one that waits ends at once, one that runs ends as soon as its calls are aborted.
    /// True if it had not ended.
    ///
    /// # Errors
    /// `not_found`; `unavailable` when the store cannot be reached.
    pub async fn cancel(&self, tenant: &Name, run: RunId) -> Result<bool> {
        let now = self.inner.context.clock.now();
        let had_not_ended = self.inner.context.journal.cancel(tenant, run, now).await?;
        self.inner.tell(run, Stop::Cancel);
        self.inner.context.tell(run);
        self.inner.context.waiting.look(run);
        Ok(had_not_ended)
    }

    /// What is known of a run.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn run(&self, tenant: &Name, run: RunId) -> Result<Run> {
        self.inner.context.journal.run(tenant, run).await
    }

    /// Who did what, how long it took, what it cost and where they disagreed; so far, if it still runs.
    ///
    /// # Errors
    /// `not_found`; `internal` when the journal is damaged.
    pub async fn report(&self, tenant: &Name, run: RunId) -> Result<Report> {
        read_report(&*self.inner.context.journal, tenant, run).await
    }

    /// Stops claiming, gives every run in flight back to the queue, and waits until that is written.
    pub async fn shutdown(&self) {
        self.inner.closing.cancel();
        let running: Vec<RunId> = self.inner.running.lock().keys().copied().collect();
        for run in running {
            self.inner.tell(run, Stop::Suspend);
        }
        self.inner.tracker.close();
        self.inner.tracker.wait().await;
    }
}

/// Who did what in a run, from its journal alone.
///
/// # Errors
/// `not_found`; `internal` when the journal is damaged; `unavailable` when the store cannot be reached.
pub async fn read_report(journal: &dyn Journal, tenant: &Name, run: RunId) -> Result<Report> {
    let found = journal.run(tenant, run).await?;
    let mut machine: Option<Machine> = None;
    for record in &journal.load(tenant, run).await? {
        let decoded = Record::decode(&record.bytes)?;
        if let Record::Accepted { workflow } = &decoded {
            let spec = serde_json::from_value(workflow.clone())
                .map_err(|e| Error::internal("a journaled workflow is damaged").because(e))?;
            // Verdicts are in the journal: reading needs no joins.
            let workflow = Workflow::compile(spec, &|_| Ok(Arc::new(ReadOnly)))?;
            machine = Some(Machine::new(Arc::new(workflow), &found.task.content));
        }
        if let Some(machine) = &mut machine {
            machine.step(&decoded);
        }
    }
    let machine = machine.ok_or_else(|| Error::internal("a journal does not begin with its workflow"))?;
    Ok(Report::of(&found, &machine.view()))
}

/// Stands in for a join when a journal is only read.
#[derive(Debug)]
struct ReadOnly;

impl maof_core::Aggregate for ReadOnly {
    fn aggregate<'a, 'b>(
        &'a self,
        _: Vec<maof_core::Answered>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<maof_core::Verdict>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(std::future::ready(Err(Error::internal("a journal that is read joins nothing"))))
    }
}

#[cfg(test)]
mod tests;
