//! Dies at a named write point: decorators over ports that kill their own process with SIGKILL.
//!
//! A point is named `port.moment`, such as `commit.before`; the n-th time that it is reached, the process
//! is gone, as by `kill -9` or the out-of-memory killer. Nothing of MAOF knows of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use maof_core::{
    Batch, Beat, Call, Card, Claim, Endpoint, Journal, Name, NewRun, Record, Reply, Result, Run, RunFilter,
    RunId, Timestamp,
};

/// Every point at which a process may be killed.
pub const POINTS: [&str; 8] = [
    "accept.before",
    "accept.after",
    "claim.after",
    "commit.before",
    "commit.after",
    "call.before",
    "call.after",
    "finish.after",
];

/// Where and when to die.
#[derive(Debug)]
pub struct Death {
    point: String,
    left: AtomicU64,
}

impl Death {
    /// Dies the `nth` time (from 1) that `point` is reached.
    pub fn at(point: &str, nth: u64) -> Arc<Death> {
        Arc::new(Death { point: point.to_owned(), left: AtomicU64::new(nth) })
    }

    fn reached(&self, point: &str) {
        if point == self.point && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let me = rustix::process::getpid();
            // There is no "after" this.
            let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
        }
    }
}

/// A journal that dies at its points.
#[derive(Debug)]
pub struct DyingJournal(pub Arc<dyn Journal>, pub Arc<Death>);

#[async_trait]
impl Journal for DyingJournal {
    async fn accept(&self, run: NewRun) -> Result<Run> {
        self.1.reached("accept.before");
        let accepted = self.0.accept(run).await;
        self.1.reached("accept.after");
        accepted
    }

    async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Run>> {
        let claimed = self.0.claim(claim).await?;
        if !claimed.is_empty() {
            self.1.reached("claim.after");
        }
        Ok(claimed)
    }

    async fn load(&self, tenant: &Name, run: RunId) -> Result<Vec<Record>> {
        self.0.load(tenant, run).await
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        let last = batch.finished.is_some();
        self.1.reached("commit.before");
        self.0.commit(batch).await?;
        self.1.reached("commit.after");
        if last {
            self.1.reached("finish.after");
        }
        Ok(())
    }

    async fn heartbeat(&self, runs: &[(RunId, i64)], until: Timestamp) -> Result<Vec<Beat>> {
        self.0.heartbeat(runs, until).await
    }

    async fn release(&self, run: RunId, fence: i64) -> Result<()> {
        self.0.release(run, fence).await
    }

    async fn cancel(&self, tenant: &Name, run: RunId, now: Timestamp) -> Result<bool> {
        self.0.cancel(tenant, run, now).await
    }

    async fn run(&self, tenant: &Name, run: RunId) -> Result<Run> {
        self.0.run(tenant, run).await
    }

    async fn runs(&self, tenant: &Name, filter: RunFilter) -> Result<Vec<Run>> {
        self.0.runs(tenant, filter).await
    }

    async fn records(&self, tenant: &Name, run: RunId, after: u64, limit: u32) -> Result<Vec<Record>> {
        self.0.records(tenant, run, after, limit).await
    }
}

/// An endpoint that dies around its calls.
#[derive(Debug)]
pub struct DyingEndpoint(pub Arc<dyn Endpoint>, pub Arc<Death>);

#[async_trait]
impl Endpoint for DyingEndpoint {
    fn card(&self) -> &Card {
        self.0.card()
    }

    async fn call(&self, call: Call) -> Result<Reply> {
        self.1.reached("call.before");
        let reply = self.0.call(call).await;
        self.1.reached("call.after");
        reply
    }
}
