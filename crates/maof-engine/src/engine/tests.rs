//! A run that is begun as it is accepted: what is written, what is read, and who may wait for it.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use async_trait::async_trait;
use maof_core::{
    Batch, Beat, Call, Chosen, Claim, DecisionId, Endpoint as _, ErrorKind, NewRun, Principal, Record as Row,
    RunFilter, RunState, Silent, Task, TaskId, Timestamp,
};
use maof_store::MemoryStore;
use maof_testkit::{Play, ScriptedEndpoint, TokioClock, UniqueIds};
use serde_json::json;
use tokio::sync::Semaphore;

use super::*;
use crate::workflow::no_joins;

/// Counts what is asked of a journal, and lets nobody accept without leave.
#[derive(Debug)]
struct Watched {
    store: MemoryStore,
    claims: AtomicUsize,
    reads: AtomicUsize,
    leave: Semaphore,
}

impl Watched {
    fn new(leave: usize) -> Arc<Watched> {
        let (claims, reads) = Default::default();
        Arc::new(Watched { store: MemoryStore::default(), claims, reads, leave: Semaphore::new(leave) })
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Journal for Watched {
    async fn accept(&self, run: NewRun) -> Result<Run> {
        let accepted = self.store.accept(run).await;
        self.leave.acquire().await.unwrap().forget();
        accepted
    }

    async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Run>> {
        let claimed = self.store.claim(claim).await?;
        self.claims.fetch_add(claimed.len(), Ordering::SeqCst);
        Ok(claimed)
    }

    async fn load(&self, tenant: &Name, run: RunId) -> Result<Vec<Row>> {
        self.store.load(tenant, run).await
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        self.store.commit(batch).await
    }

    async fn heartbeat(&self, runs: &[(RunId, i64)], until: Timestamp) -> Result<Vec<Beat>> {
        self.store.heartbeat(runs, until).await
    }

    async fn release(&self, run: RunId, fence: i64) -> Result<()> {
        self.store.release(run, fence).await
    }

    async fn cancel(&self, tenant: &Name, run: RunId, now: Timestamp) -> Result<bool> {
        self.store.cancel(tenant, run, now).await
    }

    async fn run(&self, tenant: &Name, run: RunId) -> Result<Run> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.store.run(tenant, run).await
    }

    async fn runs(&self, tenant: &Name, filter: RunFilter) -> Result<Vec<Run>> {
        self.store.runs(tenant, filter).await
    }

    async fn records(&self, tenant: &Name, run: RunId, after: u64, limit: u32) -> Result<Vec<Row>> {
        self.store.records(tenant, run, after, limit).await
    }
}

fn engine(journal: Arc<Watched>, max_in_flight: u32, play: Play) -> Engine {
    let endpoint = Arc::new(ScriptedEndpoint::new("a").otherwise(play));
    let ask = move |call: Call| {
        let endpoint = Arc::clone(&endpoint);
        async move {
            let mut reply = endpoint.call(call).await?;
            let (agent, endpoint) = (Name::new("a")?, Name::new("a")?);
            let decision = DecisionId::from_uuid(UniqueIds.next());
            reply.head.chosen = Some(Arc::new(Chosen {
                decision,
                agent,
                endpoint,
                instructions: None,
                fallbacks: 0,
                instead_of: None,
            }));
            Ok(reply)
        }
    };
    let parts = Parts {
        config: Config { max_in_flight, ..Config::default() },
        journal,
        calls: CallService::new(tower::service_fn(ask)),
        compile: Arc::new(|spec| Workflow::compile(spec, &no_joins)),
        clock: Arc::new(TokioClock::default()),
        ids: Arc::new(UniqueIds),
        observe: Arc::new(Silent),
        tracker: TaskTracker::new(),
    };
    Engine::new(parts).unwrap()
}

fn tenant() -> Name {
    Principal::local().tenant.clone()
}

fn workflow() -> Arc<Workflow> {
    let step = |id: &str| json!({"id": id, "agent": "a", "ask": "{{ input }}"});
    let spec = json!({"name": "w", "steps": [step("one"), step("two")]});
    Arc::new(Workflow::compile(serde_json::from_value(spec).unwrap(), &no_joins).unwrap())
}

async fn submit(engine: &Engine, key: Option<&str>) -> Result<Run> {
    let task = Task {
        id: TaskId::from_uuid(UniqueIds.next()),
        task_type: Name::new("w")?,
        content: json!("question"),
        priority: 0,
        principal: (*Principal::local()).clone(),
        deadline: None,
        session: None,
        tags: None,
    };
    engine.submit(task, &workflow(), key.map(str::to_owned)).await
}

#[tokio::test(start_paused = true)]
async fn a_run_is_accepted_claimed_and_announced_in_one_write_and_its_end_is_not_read_back() {
    let journal = Watched::new(9);
    let engine = engine(journal.clone(), 9, Play::Echo);
    engine.start();
    let run = submit(&engine, None).await.unwrap();
    assert_eq!((run.state, run.seq), (RunState::Running, 2));
    let ended = engine.wait(&tenant(), run.id).await.unwrap();
    assert_eq!(
        (ended.state, ended.result.as_ref()),
        (RunState::Completed, Some(&json!({"two": "echo: question"})))
    );
    assert_eq!((journal.claims.load(Ordering::SeqCst), journal.reads()), (0, 0));
    assert_eq!(journal.store.run(&tenant(), run.id).await.unwrap(), ended, "as it is written");
    let kinds = journal.load(&tenant(), run.id).await.unwrap();
    let kinds: Vec<Record> = kinds.iter().map(|row| Record::decode(&row.bytes).unwrap()).collect();
    assert!(matches!(
        kinds.as_slice(),
        [
            Record::Accepted { .. },
            Record::Asked { .. },
            Record::Answered { .. },
            Record::Asked { .. },
            Record::Answered { .. },
            Record::Finished { .. },
        ]
    ));
    assert_eq!(engine.wait(&tenant(), run.id).await.unwrap(), ended, "who comes late reads it");
    assert_eq!(journal.reads(), 1);
    engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_waits_in_the_queue_until_there_is_some() {
    let journal = Watched::new(9);
    let engine = engine(journal.clone(), 1, Play::After(Duration::from_secs(1), Box::new(Play::Echo)));
    engine.start();
    let mut states = Vec::new();
    let mut runs = Vec::new();
    for _ in 0..3 {
        let run = submit(&engine, None).await.unwrap();
        states.push((run.state, run.seq));
        runs.push(run.id);
    }
    assert_eq!(states, [(RunState::Running, 2), (RunState::Queued, 1), (RunState::Queued, 1)]);
    for run in runs {
        assert_eq!(engine.wait(&tenant(), run).await.unwrap().state, RunState::Completed);
    }
    assert_eq!(journal.claims.load(Ordering::SeqCst), 2);
    engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn the_same_key_is_begun_once_and_gives_its_place_back() {
    let engine = engine(Watched::new(9), 2, Play::Hang);
    engine.start();
    let first = submit(&engine, Some("k")).await.unwrap();
    for _ in 0..5 {
        assert_eq!(submit(&engine, Some("k")).await.unwrap().id, first.id);
    }
    assert_eq!(engine.inner.running.lock().len(), 1);
    assert_eq!(engine.inner.free.load(Ordering::SeqCst), 1);
    engine.shutdown().await;
    assert_eq!(engine.inner.free.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_run_in_our_hands_is_not_found_by_another_tenant() {
    let engine = engine(Watched::new(9), 9, Play::Hang);
    engine.start();
    let run = submit(&engine, None).await.unwrap();
    let other = engine.wait(&Name::new("other").unwrap(), run.id).await;
    assert_eq!(other.unwrap_err().kind(), ErrorKind::NotFound);
    engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_learns_that_a_run_was_cancelled_and_leaves_no_trace() {
    let engine = engine(Watched::new(9), 9, Play::Hang);
    engine.start();
    let run = submit(&engine, None).await.unwrap();
    let gives_up = tokio::time::timeout(Duration::from_secs(1), engine.wait(&tenant(), run.id)).await;
    assert!(gives_up.is_err() && !engine.inner.context.waiting.anybody(run.id));
    let (tenant, id) = (tenant(), run.id);
    let (ended, cancelled) = tokio::join!(engine.wait(&tenant, id), async {
        tokio::task::yield_now().await;
        engine.cancel(&tenant, id).await.unwrap()
    });
    assert_eq!((ended.unwrap().state, cancelled), (RunState::Cancelled, true));
    engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_submitter_went_away_is_given_back_and_done() {
    let journal = Watched::new(0);
    let engine = engine(journal.clone(), 9, Play::Echo);
    engine.start();
    let gone = tokio::time::timeout(Duration::from_secs(1), submit(&engine, None)).await;
    assert!(gone.is_err());
    let mine = journal.runs(&tenant(), RunFilter { limit: 9, ..RunFilter::default() }).await.unwrap();
    let ended = engine.wait(&tenant(), mine[0].id).await.unwrap();
    assert_eq!((ended.state, ended.claims), (RunState::Completed, 2));
    let took = ended.updated.since(ended.created);
    assert!(took < Duration::from_secs(5), "long before its lease has run out: {took:?}");
    engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_work_begins_nothing() {
    let engine = engine(Watched::new(9), 9, Play::Echo);
    let run = submit(&engine, None).await.unwrap();
    assert_eq!((run.state, run.seq), (RunState::Queued, 1));
    engine.start();
    assert_eq!(engine.wait(&tenant(), run.id).await.unwrap().state, RunState::Completed);
    engine.shutdown().await;
}
