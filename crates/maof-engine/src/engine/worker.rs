//! The worker's two loops: claiming what waits, and keeping what is claimed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use maof_core::{Batch, Claim, Error, Finished, Run, RunId, RunState, Signal};
use tokio::sync::watch;

use super::inner::{Held, Inner};
use crate::record::Record;
use crate::run::{Driver, Stop};

/// Runs that one statement claims, at most.
const AT_ONCE: u32 = 50;

/// Claims runs while there is room for them, and drives each in a task of its own.
pub(super) async fn claims(inner: Arc<Inner>, only: Option<RunId>) {
    let poll = Duration::from_millis(inner.config.poll_ms);
    while !inner.closing.is_cancelled() {
        let room = inner.config.max_in_flight.saturating_sub(inner.running.lock().len() as u32).min(AT_ONCE);
        // Told before looking: whoever ends from now on wakes this loop.
        inner.hungry.store(true, Ordering::Release);
        let claimed = if room == 0 { Vec::new() } else { claim(&inner, only, room).await };
        let more = claimed.len() as u32 == room && room > 0;
        // Fewer than there was room for: nothing else waits, and only what is submitted wakes this loop.
        inner.hungry.store(room == 0 || more, Ordering::Release);
        for run in claimed {
            take(&inner, run).await;
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
    let versions: Vec<String> = inner.workflows.read().keys().cloned().collect();
    let claim = Claim {
        owner: &inner.owner,
        limit,
        now: inner.context.clock.now(),
        lease: Duration::from_millis(inner.config.lease_ms),
        only,
        versions: &versions,
    };
    inner.context.journal.claim(claim).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "runs could not be claimed; trying again");
        Vec::new()
    })
}

async fn take(inner: &Arc<Inner>, run: Run) {
    let Some(workflow) = inner.workflows.read().get(&run.version).cloned() else {
        tracing::error!(run = %run.id, "a run of an unknown workflow version was claimed");
        return;
    };
    if run.claims > inner.config.max_claims {
        give_up(inner, &run).await;
        return;
    }
    inner.context.observe.on(Signal::Run {
        run: run.id,
        task_type: &run.task.task_type,
        state: RunState::Running,
        age: inner.context.clock.now().since(run.created),
    });
    let id = run.id;
    let first = run.cancel.then_some(Stop::Cancel);
    let (sender, stop) = watch::channel(first);
    inner.running.lock().insert(id, Held { fence: run.fence, stop: sender });
    let driver = Driver::new(Arc::clone(&inner.context), run, workflow);
    let here = Arc::clone(inner);
    inner.tracker.spawn(async move {
        driver.drive(stop).await;
        here.running.lock().remove(&id);
        // There is room for another one now.
        if here.hungry.load(Ordering::Acquire) {
            here.wake.notify_one();
        }
    });
}

/// Ends a run that was claimed too often: whatever happens when it runs kills its worker.
async fn give_up(inner: &Inner, run: &Run) {
    let why = format!("given up after {} claims: its workers never came to an end with it", run.claims - 1);
    let failure = Some(Error::internal(why).failure());
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
        tracing::warn!(run = %run.id, %error, "a poisoned run could not be ended");
    }
    inner.context.tell(run.id, true);
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
