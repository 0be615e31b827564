//! Tasks, runs and their journal: what must not be lost.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::error::{Failure, Result};
use crate::ids::{Name, RunId, TaskId};
use crate::principal::Principal;

/// What a caller asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Its type, which selects a workflow or agents.
    pub task_type: Name,
    /// The question: text or JSON.
    pub content: Value,
    /// Higher goes first; 0 when not said.
    pub priority: i16,
    /// Who asks.
    pub principal: Principal,
    /// When the answer is of no more use.
    pub deadline: Option<Timestamp>,
    /// The session that it belongs to, as the caller names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Arc<str>>,
    /// What else the caller says of it, for rules of routing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Arc<BTreeMap<Name, Name>>>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waits for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// Ended with a result.
    Completed,
    /// Ended without one.
    Failed,
    /// Ended because somebody wished so.
    Cancelled,
}

impl RunState {
    /// Every state.
    pub const ALL: [RunState; 5] =
        [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

    /// The state's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more can happen.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// One durable execution of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id; a task's first run has the task's id.
    pub id: RunId,
    /// The workflow's name.
    pub workflow: Name,
    /// The hash of the workflow's definition, which the run is pinned to.
    pub version: String,
    /// What was asked.
    pub task: Task,
    /// Where it stands.
    pub state: RunState,
    /// How many workers have had it.
    pub claims: u32,
    /// Grows with every claim; who writes with an older one is refused.
    pub fence: i64,
    /// Records in its journal.
    pub seq: u64,
    /// Whether somebody wishes it cancelled.
    pub cancel: bool,
    /// When it was accepted.
    pub created: Timestamp,
    /// When it last changed its state.
    pub updated: Timestamp,
    /// What it came to, once it has ended.
    pub result: Option<Value>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// One record of a journal: opaque here; its first byte is the version of its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the run's journal, from 1.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// The encoded record.
    pub bytes: Bytes,
}

/// A run to be accepted.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The run's id.
    pub id: RunId,
    /// The workflow's name.
    pub workflow: Name,
    /// The hash of the workflow's definition.
    pub version: String,
    /// What is asked.
    pub task: Task,
    /// The caller's key: the same key twice, within a tenant, is the same run.
    pub idempotency_key: Option<String>,
    /// The journal's first records.
    pub records: Vec<Bytes>,
    /// When it is accepted.
    pub at: Timestamp,
    /// The claim of whoever accepts it and could begin at once, if somebody could.
    pub claim: Option<FirstClaim>,
}

/// A worker's wish for the run that it accepts. Granted where nothing else waits: no run is overtaken.
#[derive(Clone, Debug)]
pub struct FirstClaim {
    /// The worker's name.
    pub owner: Arc<str>,
    /// How long the claim holds without a heartbeat, from the acceptance on.
    pub lease: Duration,
    /// What the worker writes down before it begins; part of the journal only where the claim is granted.
    pub records: Vec<Bytes>,
}

impl FirstClaim {
    /// The fence of a claim that is granted with the acceptance.
    pub const FENCE: i64 = 1;
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// A final state.
    pub state: RunState,
    /// The result, if there is one.
    pub result: Option<Value>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// Records to append, guarded by the fence and by the journal's length.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The run.
    pub run: RunId,
    /// The fence of the claim that writes.
    pub fence: i64,
    /// How many records the journal must have before.
    pub seq: u64,
    /// The records.
    pub records: Vec<Bytes>,
    /// The end of the run, if this is it.
    pub finished: Option<Finished>,
    /// When it is written.
    pub at: Timestamp,
}

/// Which runs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only those that stand so.
    pub state: Option<RunState>,
    /// Only those accepted before this run; for the next page.
    pub before: Option<RunId>,
    /// At most this many; the store gives at most 1000.
    pub limit: u32,
}

/// Remembers runs and their journals. There is no read without a tenant; another tenant's run is `not_found`.
///
/// Every method fails with `unavailable` (origin store) when the database cannot be reached.
#[async_trait]
pub trait Journal: Send + Sync + fmt::Debug {
    /// Accepts a run; durable, synced to disk, when it returns. A key that was used before gives the run
    /// that was accepted then, and writes nothing.
    ///
    /// A claim that comes with it is granted in the same write if no other run waits and no lease has run out:
    /// the run is then `Running` with the fence [`FirstClaim::FENCE`], and the claim's records follow its own.
    /// Otherwise it is `Queued`, without them.
    ///
    /// # Errors
    /// `conflict` when the key was used before for another task.
    async fn accept(&self, run: NewRun) -> Result<Run>;

    /// Claims up to `limit` runs that wait or whose owner's lease has run out, highest priority first,
    /// oldest first among equals, fair among tenants; each with a new fence and a lease from `now` on.
    /// Where workflow versions are named, only runs of these are claimed.
    async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Run>>;

    /// The journal of a claimed run.
    ///
    /// # Errors
    /// `not_found`.
    async fn load(&self, tenant: &Name, run: RunId) -> Result<Vec<Record>>;

    /// Appends. Records of one run stay in order; batches that pile up share a transaction.
    ///
    /// # Errors
    /// `conflict` when the fence or the length is not the journal's: the run belongs to somebody else now.
    async fn commit(&self, batch: Batch) -> Result<()>;

    /// Renews the leases of runs that this worker has, and says which of them are to be cancelled and
    /// which are lost.
    async fn heartbeat(&self, runs: &[(RunId, i64)], until: Timestamp) -> Result<Vec<Beat>>;

    /// Gives a claimed run back to the queue.
    async fn release(&self, run: RunId, fence: i64) -> Result<()>;

    /// Wishes a run cancelled: one that waits ends at once, one that runs is told. True if it had not ended.
    ///
    /// # Errors
    /// `not_found`.
    async fn cancel(&self, tenant: &Name, run: RunId, now: Timestamp) -> Result<bool>;

    /// One run.
    ///
    /// # Errors
    /// `not_found`.
    async fn run(&self, tenant: &Name, run: RunId) -> Result<Run>;

    /// Runs, newest first.
    async fn runs(&self, tenant: &Name, filter: RunFilter) -> Result<Vec<Run>>;

    /// Records after `seq`, at most `limit`.
    ///
    /// # Errors
    /// `not_found`.
    async fn records(&self, tenant: &Name, run: RunId, after: u64, limit: u32) -> Result<Vec<Record>>;
}

/// A worker's wish for runs.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The worker's name.
    pub owner: &'a str,
    /// At most this many.
    pub limit: u32,
    /// The time.
    pub now: Timestamp,
    /// How long the claim holds without a heartbeat.
    pub lease: Duration,
    /// Only this run.
    pub only: Option<RunId>,
    /// Only runs of these workflow versions (hashes); none for every version.
    pub versions: Option<&'a [String]>,
}

/// What a heartbeat learns of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The run.
    pub run: RunId,
    /// Somebody wishes it cancelled.
    pub cancel: bool,
    /// Somebody else has it now.
    pub lost: bool,
}

/// One line of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// When.
    pub at: Timestamp,
    /// Whose data it is.
    pub tenant: Name,
    /// Who.
    pub user: Name,
    /// Did what: `call`, `task.submit`, `task.cancel`, `key.refused` …
    pub action: String,
    /// To what.
    pub subject: String,
    /// With which outcome: `ok` or an error kind.
    pub outcome: String,
}

/// Keeps the audit trail. [`Audit::note`] only sends.
#[async_trait]
pub trait Audit: Send + Sync + fmt::Debug {
    /// Writes a line.
    fn note(&self, row: AuditRow);

    /// The latest lines of a tenant, newest first.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be reached.
    async fn trail(&self, tenant: &Name, limit: u32) -> Result<Vec<AuditRow>>;
}
