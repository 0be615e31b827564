//! Rows of the file as nouns, and back.

use maof_core::{Error, Failure, Name, Result, Run, RunId, RunState, Task, Timestamp};

/// The columns of a run, in the order of [`COLUMNS`].
#[derive(Debug, sqlx::FromRow)]
pub(super) struct RunRow {
    pub(super) id: Vec<u8>,
    pub(super) workflow: String,
    pub(super) version: String,
    pub(super) state: i64,
    pub(super) claims: i64,
    pub(super) fence: i64,
    pub(super) seq: i64,
    pub(super) cancel: bool,
    pub(super) created: i64,
    pub(super) updated: i64,
    pub(super) failure: Option<String>,
    pub(super) task: String,
    pub(super) result: Option<String>,
}

/// What a [`RunRow`] is read from, joined as `run r JOIN content c ON c.run = r.id`.
pub(super) const COLUMNS: &str = "r.id, r.workflow, r.version, r.state, r.claims, r.fence, r.seq, r.cancel, \
     r.created, r.updated, r.failure, c.task, c.result";

impl RunRow {
    pub(super) fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(RunRow {
            id: row.get(0)?,
            workflow: row.get(1)?,
            version: row.get(2)?,
            state: row.get(3)?,
            claims: row.get(4)?,
            fence: row.get(5)?,
            seq: row.get(6)?,
            cancel: row.get(7)?,
            created: row.get(8)?,
            updated: row.get(9)?,
            failure: row.get(10)?,
            task: row.get(11)?,
            result: row.get(12)?,
        })
    }

    pub(super) fn into_run(self) -> Result<Run> {
        let task: Task = json(&self.task)?;
        let failure: Option<Failure> = self.failure.as_deref().map(json).transpose()?;
        Ok(Run {
            id: run_id(&self.id)?,
            workflow: Name::new(&self.workflow).map_err(damaged)?,
            version: self.version,
            task,
            state: state(self.state)?,
            claims: u32::try_from(self.claims).unwrap_or(u32::MAX),
            fence: self.fence,
            seq: u64::try_from(self.seq).unwrap_or(0),
            cancel: self.cancel,
            created: Timestamp::from_micros(self.created),
            updated: Timestamp::from_micros(self.updated),
            result: self.result.as_deref().map(json).transpose()?,
            failure,
        })
    }
}

pub(super) fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(damaged)
}

pub(super) fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal("a row of the database is damaged").because(error)
}

pub(super) fn run_id(bytes: &[u8]) -> Result<RunId> {
    uuid::Uuid::from_slice(bytes).map(RunId::from_uuid).map_err(damaged)
}

pub(super) fn key(run: RunId) -> Vec<u8> {
    run.uuid().as_bytes().to_vec()
}

/// The number that stands for a state.
pub(super) const fn number(state: RunState) -> i64 {
    match state {
        RunState::Queued => 0,
        RunState::Running => 1,
        RunState::Completed => 2,
        RunState::Failed => 3,
        RunState::Cancelled => 4,
    }
}

fn state(number: i64) -> Result<RunState> {
    let found = RunState::ALL.into_iter().find(|s| self::number(*s) == number);
    found.ok_or_else(|| damaged(format!("no run state is written {number}")))
}

/// JSON text of what always has one.
pub(super) fn text<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal("a row could not be written as JSON").because(e))
}
