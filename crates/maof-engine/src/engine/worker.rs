//! The worker's two loops: claiming what waits, and keeping what is claimed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use maof_core::{Batch, Claim, Error, Finished, Origin, Result, Run, RunId, RunState, Signal};
use tokio::sync::watch;

use super::inner::{Held, Inner, Place};
use crate::record::Record;
use crate::run::{Begun, Driver, Stop};
use crate::workflow::Workflow;

/// Runs that one statement claims, at most.
const AT_ONCE: u32 = 50;

/// Claims runs while there is room for them, and drives each in a task of its own.
pub(super) async fn claims(inner: Arc<Inner>, only: Option<RunId>) {
    let poll = Duration::from_millis(inner.config.poll_ms);
    while !inner.closing.is_cancelled() {
        // Told before looking: whoever ends from now on wakes this loop.
        inner.hungry.store(true, Ordering::SeqCst);
        let places: Vec<Place> = (0..AT_ONCE).map_while(|_| inner.place()).collect();
        let room = places.len();
        let claimed = if room == 0 { Vec::new() } else { claim(&inner, only, room as u32).await };
        let more = claimed.len() == room && room > 0;
        // Fewer than there was room for: nothing else waits, and only what is submitted wakes this loop.
        inner.hungry.store(room == 0 || more, Ordering::SeqCst);
        for (run, place) in claimed.into_iter().zip(places) {
            take(&inner, run, place).await;
        }
        if !more {
            tokio::select! {
                () = inner.closing.cancelled() => {}
                () = inner.wake.notified() => {}
                () = tokio::time::sleep(poll) => {}
            }
        }
    }
}

async fn claim(inner: &Inner, only: Option<RunId>, limit: u32) -> Vec<Run> {
    let claim = Claim {
        owner: &inner.owner,
        limit,
        now: inner.context.clock.now(),
        lease: Duration::from_millis(inner.config.lease_ms),
        only,
        // A run brings its workflow along: any worker can run any version.
        versions: None,
    };
    inner.context.journal.claim(claim).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "runs could not be claimed; trying again");
        Vec::new()
    })
}

async fn take(inner: &Arc<Inner>, run: Run, place: Place) {
    if run.claims > inner.config.max_claims {
        let tries = run.claims - 1;
        let why = format!("given up after {tries} claims: its workers never came to an end with it");
        give_up(inner, &run, Error::internal(why)).await;
        return;
    }
    let workflow = match workflow_of(inner, &run).await {
        Ok(workflow) => workflow,
        Err(error) if error.origin() == Origin::Store => {
            tracing::warn!(run = %run.id, %error, "a claimed run could not be read; its lease runs out");
            return;
        }
        Err(error) => {
            give_up(inner, &run, error.context("the workflow that the run is pinned to does not fit here"))
                .await;
            return;
        }
    };
    start(inner, run, workflow, None, place);
}

/// Drives a claimed run in a task of its own; from where it begins, if that was thought through already.
pub(super) fn start(
    inner: &Arc<Inner>,
    run: Run,
    workflow: Arc<Workflow>,
    begun: Option<Begun>,
    place: Place,
) {
    inner.context.observe.on(Signal::Run {
        run: run.id,
        task_type: &run.task.task_type,
        state: RunState::Running,
        age: inner.context.clock.now().since(run.created),
    });
    let holding = Holding { inner: Arc::clone(inner), run: run.id, fence: run.fence, _place: place };
    let (sender, stop) = watch::channel(run.cancel.then_some(Stop::Cancel));
    let held = Held { tenant: run.task.principal.tenant.clone(), fence: run.fence, stop: sender };
    let earlier = inner.running.lock().insert(run.id, held);
    if let Some(earlier) = earlier {
        // We slept through our own lease: the driver that we had must write nothing more.
        earlier.stop.send_replace(Some(Stop::Lost));
    }
    if inner.closing.is_cancelled() {
        inner.tell(run.id, Stop::Suspend);
    }
    let driver = Driver::new(Arc::clone(&inner.context), run, workflow, begun);
    inner.tracker.spawn(async move {
        let _holding = holding;
        driver.drive(stop).await;
    });
}

/// The workflow that a run is pinned to: a known one, else the one in its journal.
async fn workflow_of(inner: &Inner, run: &Run) -> Result<Arc<Workflow>> {
    if let Some(known) = inner.workflows.read().get(&run.version) {
        return Ok(Arc::clone(known));
    }
    let first = inner.context.journal.records(&run.task.principal.tenant, run.id, 0, 1).await?;
    let first = first.first().map(|row| Record::decode(&row.bytes)).transpose()?;
    let Some(Record::Accepted { workflow }) = first else {
        return Err(Error::internal("a journal does not begin with its workflow"));
    };
    let spec = serde_json::from_value(workflow)
        .map_err(|e| Error::internal("a journaled workflow is damaged").because(e))?;
    let workflow = Arc::new((inner.compile)(spec)?);
    inner.know(&workflow);
    Ok(workflow)
}

/// A run in flight; let go however its driver ends, a panic included.
struct Holding {
    inner: Arc<Inner>,
    run: RunId,
    fence: i64,
    _place: Place,
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut running = self.inner.running.lock();
        // A later claim of our own may have taken the place.
        if running.get(&self.run).is_some_and(|held| held.fence == self.fence) {
            running.remove(&self.run);
        }
        drop(running);
        self.inner.context.waiting.look(self.run);
    }
}

/// Ends a run that cannot be run.
async fn give_up(inner: &Inner, run: &Run, why: Error) {
    let failure = Some(why.failure());
    let record = Record::Finished { state: RunState::Failed, failure: failure.clone() };
    let Ok(record) = record.encode() else { return };
    let batch = Batch {
        run: run.id,
        fence: run.fence,
        seq: run.seq,
        records: vec![record],
        finished: Some(Finished { state: RunState::Failed, result: None, failure }),
        at: inner.context.clock.now(),
    };
    if let Err(error) = inner.context.journal.commit(batch).await {
        tracing::warn!(run = %run.id, %error, "a run could not be given up");
    }
    inner.context.tell(run.id);
    inner.context.waiting.look(run.id);
}

/// Renews leases three times a lease, and learns what others wish.
pub(super) async fn heartbeats(inner: Arc<Inner>) {
    let lease = Duration::from_millis(inner.config.lease_ms);
    // Cancellations from other processes should not wait for a long lease's heartbeat.
    let beat = (lease / 3).min(Duration::from_secs(2));
    loop {
        tokio::select! {
            () = inner.closing.cancelled() => return,
            () = tokio::time::sleep(beat) => {}
        }
        let runs: Vec<(RunId, i64)> =
            inner.running.lock().iter().map(|(id, held)| (*id, held.fence)).collect();
        if runs.is_empty() {
            continue;
        }
        let until = inner.context.clock.now().plus(lease);
        match inner.context.journal.heartbeat(&runs, until).await {
            Ok(beats) => {
                for beat in beats {
                    if beat.lost {
                        inner.tell(beat.run, Stop::Lost);
                    } else if beat.cancel {
                        inner.tell(beat.run, Stop::Cancel);
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "leases could not be renewed; trying again"),
        }
    }
}
