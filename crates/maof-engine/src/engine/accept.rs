//! Taking a task in: accepted, claimed and announced in one write where this worker can begin at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use maof_core::{Error, FirstClaim, NewRun, Result, Run, RunId, RunState, Signal, Task};
use tokio::runtime::Handle;

use super::Engine;
use super::inner::{Inner, Place};
use super::worker;
use crate::run::Begun;
use crate::workflow::Workflow;

impl Engine {
    /// Accepts a task: durable when this returns. The same key twice is the same run. Where there is room
    /// and nothing else waits, the run is begun at once.
    ///
    /// # Errors
    /// `unavailable` when shutting down or when the store cannot be reached; `conflict` when the key was
    /// used for another task: one of another type, content, priority, session or tags. A deadline may differ, since whoever sends a
    /// task again has less time left; the first one holds.
    pub async fn submit(&self, task: Task, workflow: &Arc<Workflow>, key: Option<String>) -> Result<Run> {
        let inner = &self.inner;
        // Shutting down waits for it: what is claimed here is given back there.
        let _token = inner.tracker.token();
        if inner.closing.is_cancelled() {
            return Err(Error::unavailable("MAOF is shutting down; send the task again later"));
        }
        inner.know(workflow);
        let begins = self.begin(&task, workflow)?;
        let id = RunId::from_uuid(task.id.uuid());
        let said = (task.priority, task.session.clone(), task.tags.clone());
        let (claim, begins) = begins.map(|(claim, begun, place)| (claim, (begun, place))).unzip();
        let new = NewRun {
            id,
            workflow: workflow.name.clone(),
            version: workflow.version.clone(),
            task,
            idempotency_key: key,
            records: vec![workflow.accepted.clone()],
            at: inner.context.clock.now(),
            claim,
        };
        let orphan = Orphan { inner, run: begins.is_some().then_some(id) };
        let run = inner.context.journal.accept(new).await;
        orphan.adopted();
        let run = run?;
        if run.id != id && said != (run.task.priority, run.task.session.clone(), run.task.tags.clone()) {
            let why = "this idempotency key was used with another priority, session or tags; use a new one";
            return Err(Error::conflict(why).param("Idempotency-Key"));
        }
        if run.id == id {
            inner.context.observe.on(Signal::Run {
                run: id,
                task_type: &run.task.task_type,
                state: RunState::Queued,
                age: Duration::ZERO,
            });
        }
        match begins {
            Some((begun, place)) if run.id == id && run.state == RunState::Running => {
                worker::start(inner, run.clone(), Arc::clone(workflow), Some(begun), place);
            }
            _ => inner.wake.notify_one(),
        }
        Ok(run)
    }

    /// What is claimed with the acceptance, and how the run begins, if there is room for it.
    fn begin(&self, task: &Task, workflow: &Arc<Workflow>) -> Result<Option<(FirstClaim, Begun, Place)>> {
        if !self.inner.working.load(Ordering::Acquire) {
            return Ok(None);
        }
        let Some(place) = self.inner.place() else { return Ok(None) };
        let begun = Begun::new(workflow, task);
        let claim = FirstClaim {
            owner: Arc::clone(&self.inner.owner),
            lease: Duration::from_millis(self.inner.config.lease_ms),
            records: begun.records()?,
        };
        Ok(Some((claim, begun, place)))
    }
}

/// Gives a run back that may have been claimed for somebody who went away while it was accepted.
struct Orphan<'a> {
    inner: &'a Arc<Inner>,
    run: Option<RunId>,
}

impl Orphan<'_> {
    /// Somebody is there.
    fn adopted(mut self) {
        self.run = None;
    }
}

impl Drop for Orphan<'_> {
    fn drop(&mut self) {
        // Without a runtime nothing can be written; then the lease runs out by itself.
        let (Some(run), Ok(runtime)) = (self.run.take(), Handle::try_current()) else { return };
        let inner = Arc::clone(self.inner);
        let give_back = async move {
            // Refused where it was not accepted, or not claimed.
            if inner.context.journal.release(run, FirstClaim::FENCE).await.is_ok() {
                inner.wake.notify_one();
            }
        };
        self.inner.tracker.spawn_on(give_back, &runtime);
    }
}
