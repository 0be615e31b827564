//! Runs and their journals in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use async_trait::async_trait;
use bytes::Bytes;
use maof_core::{
    Batch, Beat, Claim, Error, FirstClaim, Journal, Name, NewRun, Record, Result, Run, RunFilter, RunId,
    RunState, Timestamp,
};

use super::MemoryStore;
use crate::fair::Fair;

/// Runs that one list shows at most.
pub(crate) const LONGEST_LIST: u32 = 1_000;

#[derive(Debug)]
struct Kept {
    run: Run,
    records: Vec<Record>,
    key: Option<Key>,
    place: i64,
    lease_until: Timestamp,
}

/// A tenant's idempotency key.
type Key = (Name, String);

#[derive(Debug)]
pub(super) struct Runs {
    kept: BTreeMap<RunId, Kept>,
    queue: BTreeSet<(i64, RunId)>,
    /// By when the lease runs out.
    running: BTreeSet<(Timestamp, RunId)>,
    ended: VecDeque<RunId>,
    keeps: usize,
    pub(super) keys: HashMap<Key, RunId>,
    fair: Fair,
}

impl Runs {
    pub(super) fn new(keeps: usize) -> Self {
        Runs {
            kept: BTreeMap::new(),
            queue: BTreeSet::new(),
            running: BTreeSet::new(),
            ended: VecDeque::new(),
            keeps,
            keys: HashMap::new(),
            fair: Fair::default(),
        }
    }

    fn mine(&self, tenant: &Name, run: RunId) -> Result<&Kept> {
        let found = self.kept.get(&run).filter(|kept| kept.run.task.principal.tenant == *tenant);
        found.ok_or_else(|| no_such(run))
    }

    /// The run, if whoever has this fence has it.
    fn held(&mut self, run: RunId, fence: i64) -> Option<&mut Kept> {
        let kept = self.kept.get_mut(&run);
        kept.filter(|kept| kept.run.state == RunState::Running && kept.run.fence == fence)
    }

    /// A run has ended; forgets the one that ended first, if there are too many.
    fn ended(&mut self, run: RunId) {
        self.ended.push_back(run);
        if self.ended.len() > self.keeps
            && let Some(oldest) = self.ended.pop_front()
            && let Some(Kept { key: Some(key), .. }) = self.kept.remove(&oldest)
        {
            self.keys.remove(&key);
        }
    }

    /// Whether no run waits and none was left by its owner.
    fn nothing_waits(&self, now: Timestamp) -> bool {
        self.queue.is_empty() && self.running.first().is_none_or(|(until, _)| *until > now)
    }

    fn take(&mut self, claim: &Claim<'_>, id: RunId) -> Option<Run> {
        let kept = self.kept.get_mut(&id)?;
        match kept.run.state {
            RunState::Queued => {
                self.queue.remove(&(kept.place, id));
                self.fair.claimed(kept.place, kept.run.task.priority);
            }
            _ => drop(self.running.remove(&(kept.lease_until, id))),
        }
        kept.run.state = RunState::Running;
        kept.run.fence += 1;
        kept.run.claims += 1;
        kept.run.updated = claim.now;
        kept.lease_until = claim.now.plus(claim.lease);
        self.running.insert((kept.lease_until, id));
        Some(kept.run.clone())
    }
}

/// The error of a run that is not there, or not the tenant's.
pub(crate) fn no_such(run: RunId) -> Error {
    Error::not_found(format!("there is no task {run}")).param("id")
}

/// The error of who writes with an old fence or over another's records.
pub(crate) fn fenced(run: RunId) -> Error {
    Error::conflict(format!("the run {run} belongs to another worker now"))
}

/// The same key is the same run, unless it asks for something else.
pub(crate) fn same_task(known: &Run, new: &NewRun) -> Result<()> {
    let same = known.task.task_type == new.task.task_type
        && known.task.content == new.task.content
        && known.version == new.version;
    match same {
        true => Ok(()),
        false => {
            let why = "this idempotency key was used for another task; use a new one";
            Err(Error::conflict(why).param("Idempotency-Key"))
        }
    }
}

/// A run as it is accepted, its key, and its first records; with those of its claim, if that is granted.
pub(crate) fn fresh(new: NewRun, claim: Option<FirstClaim>) -> (Run, Option<String>, Vec<Bytes>) {
    let (mut records, granted) = (new.records, claim.is_some());
    records.extend(claim.into_iter().flat_map(|claim| claim.records));
    let run = Run {
        id: new.id,
        workflow: new.workflow,
        version: new.version,
        task: new.task,
        state: if granted { RunState::Running } else { RunState::Queued },
        claims: u32::from(granted),
        fence: if granted { FirstClaim::FENCE } else { 0 },
        seq: records.len() as u64,
        cancel: false,
        created: new.at,
        updated: new.at,
        result: None,
        failure: None,
    };
    (run, new.idempotency_key, records)
}

#[async_trait]
impl Journal for MemoryStore {
    async fn accept(&self, mut new: NewRun) -> Result<Run> {
        let mut runs = self.runs.lock();
        let tenant = new.task.principal.tenant.clone();
        if let Some(key) = &new.idempotency_key {
            let known = runs.keys.get(&(tenant.clone(), key.clone()));
            if let Some(known) = known.and_then(|id| runs.kept.get(id)) {
                same_task(&known.run, &new)?;
                return Ok(known.run.clone());
            }
        }
        if runs.kept.contains_key(&new.id) {
            return Err(Error::conflict(format!("there is a run {} already", new.id)));
        }
        let place = runs.fair.place(&tenant, new.task.priority);
        let claim = new.claim.take().filter(|_| runs.nothing_waits(new.at));
        let until = claim.as_ref().map(|claim| new.at.plus(claim.lease));
        let (run, key, records) = fresh(new, claim);
        let numbered = (1..).zip(records);
        let records = numbered.map(|(seq, bytes)| Record { seq, at: run.created, bytes }).collect();
        let key = key.map(|key| (tenant, key));
        if let Some(key) = &key {
            runs.keys.insert(key.clone(), run.id);
        }
        match until {
            None => drop(runs.queue.insert((place, run.id))),
            Some(until) => {
                runs.fair.claimed(place, run.task.priority);
                runs.running.insert((until, run.id));
            }
        }
        let lease_until = until.unwrap_or_default();
        runs.kept.insert(run.id, Kept { run: run.clone(), records, key, place, lease_until });
        Ok(run)
    }

    async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Run>> {
        let mut runs = self.runs.lock();
        let known = |runs: &Runs, id: &RunId| {
            let version = runs.kept.get(id).map(|k| &k.run.version);
            claim.only.is_none_or(|only| only == *id)
                && version.is_some_and(|v| claim.versions.is_none_or(|known| known.contains(v)))
        };
        let expired = runs.running.iter().take_while(|(until, _)| *until <= claim.now);
        let expired = expired.map(|(_, id)| id).filter(|id| known(&runs, id));
        let queued = runs.queue.iter().map(|(_, id)| id).filter(|id| known(&runs, id));
        let wanted: Vec<RunId> = expired.chain(queued).take(claim.limit as usize).copied().collect();
        Ok(wanted.into_iter().filter_map(|id| runs.take(&claim, id)).collect())
    }

    async fn load(&self, tenant: &Name, run: RunId) -> Result<Vec<Record>> {
        Ok(self.runs.lock().mine(tenant, run)?.records.clone())
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        let mut runs = self.runs.lock();
        let held = runs.held(batch.run, batch.fence).filter(|kept| kept.run.seq == batch.seq);
        let kept = held.ok_or_else(|| fenced(batch.run))?;
        for bytes in batch.records {
            kept.run.seq += 1;
            kept.records.push(Record { seq: kept.run.seq, at: batch.at, bytes });
        }
        kept.run.updated = batch.at;
        if let Some(finished) = batch.finished {
            kept.run.state = finished.state;
            kept.run.result = finished.result;
            kept.run.failure = finished.failure;
            let until = kept.lease_until;
            runs.running.remove(&(until, batch.run));
            runs.ended(batch.run);
        }
        Ok(())
    }

    async fn heartbeat(&self, mine: &[(RunId, i64)], until: Timestamp) -> Result<Vec<Beat>> {
        let mut runs = self.runs.lock();
        let beat = |&(run, fence): &(RunId, i64)| {
            let Some(kept) = runs.held(run, fence) else { return Beat { run, cancel: false, lost: true } };
            let before = std::mem::replace(&mut kept.lease_until, until);
            let cancel = kept.run.cancel;
            runs.running.remove(&(before, run));
            runs.running.insert((until, run));
            Beat { run, cancel, lost: false }
        };
        Ok(mine.iter().map(beat).collect())
    }

    async fn release(&self, run: RunId, fence: i64) -> Result<()> {
        let mut runs = self.runs.lock();
        let kept = runs.held(run, fence).ok_or_else(|| fenced(run))?;
        kept.run.state = RunState::Queued;
        let (place, until) = (kept.place, kept.lease_until);
        runs.running.remove(&(until, run));
        runs.queue.insert((place, run));
        Ok(())
    }

    async fn cancel(&self, tenant: &Name, run: RunId, now: Timestamp) -> Result<bool> {
        let mut runs = self.runs.lock();
        let (state, place) = {
            let kept = runs.mine(tenant, run)?;
            (kept.run.state, kept.place)
        };
        if state.is_final() {
            return Ok(false);
        }
        if let Some(kept) = runs.kept.get_mut(&run) {
            kept.run.cancel = true;
            if state == RunState::Queued {
                kept.run.state = RunState::Cancelled;
                kept.run.failure = Some(cancelled());
                kept.run.updated = now;
            }
        }
        if state == RunState::Queued {
            runs.queue.remove(&(place, run));
            runs.ended(run);
        }
        Ok(true)
    }

    async fn run(&self, tenant: &Name, run: RunId) -> Result<Run> {
        Ok(self.runs.lock().mine(tenant, run)?.run.clone())
    }

    async fn runs(&self, tenant: &Name, filter: RunFilter) -> Result<Vec<Run>> {
        let runs = self.runs.lock();
        let mine = runs.kept.values().rev().map(|k| &k.run).filter(|run| {
            run.task.principal.tenant == *tenant
                && filter.state.is_none_or(|s| s == run.state)
                && filter.before.is_none_or(|before| run.id < before)
        });
        Ok(mine.take(filter.limit.min(LONGEST_LIST) as usize).cloned().collect())
    }

    async fn records(&self, tenant: &Name, run: RunId, after: u64, limit: u32) -> Result<Vec<Record>> {
        let runs = self.runs.lock();
        let records = &runs.mine(tenant, run)?.records;
        let rest = records.iter().skip(usize::try_from(after).unwrap_or(usize::MAX));
        Ok(rest.take(limit as usize).cloned().collect())
    }
}

/// How a run that was cancelled before it ran has failed.
pub(crate) fn cancelled() -> maof_core::Failure {
    Error::cancelled("the task was cancelled").failure()
}
