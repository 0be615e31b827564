//! What every journal must do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use maof_core::{
    Batch, Claim, Error, ErrorKind, Finished, FirstClaim, Journal, Name, NewRun, Principal, Result, Run,
    RunFilter, RunId, RunState, Task, TaskId, Timestamp,
};
use serde_json::{Value, json};

type Store = Arc<dyn Journal>;

const T0: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const LEASE: Duration = Duration::from_secs(30);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The time `seconds` after the beginning.
fn at(seconds: u64) -> Timestamp {
    T0.plus(Duration::from_secs(seconds))
}

fn principal(tenant: &str) -> Principal {
    Principal { tenant: name(tenant), ..(*Principal::local()).clone() }
}

fn new(number: u128, tenant: &str, priority: i16, content: Value) -> NewRun {
    let id = uuid::Uuid::from_u128(number);
    NewRun {
        id: RunId::from_uuid(id),
        workflow: name("flow"),
        version: "v1".to_owned(),
        task: Task {
            id: TaskId::from_uuid(id),
            task_type: name("flow"),
            content,
            priority,
            principal: principal(tenant),
            deadline: None,
            session: None,
            tags: None,
        },
        idempotency_key: None,
        records: vec![Bytes::from_static(b"first")],
        at: T0,
        claim: None,
    }
}

async fn accept(store: &Store, number: u128, tenant: &str, priority: i16) -> RunId {
    store.accept(new(number, tenant, priority, json!(number.to_string()))).await.unwrap().id
}

async fn claim_at(store: &Store, limit: u32, now: Timestamp) -> Vec<Run> {
    let versions = ["v1".to_owned()];
    let claim = Claim { owner: "me", limit, now, lease: LEASE, only: None, versions: Some(&versions) };
    store.claim(claim).await.unwrap()
}

fn batch(run: &Run, seq: u64, records: &[&'static str]) -> Batch {
    Batch {
        run: run.id,
        fence: run.fence,
        seq,
        records: records.iter().map(|r| Bytes::from_static(r.as_bytes())).collect(),
        finished: None,
        at: at(1),
    }
}

fn completed() -> Finished {
    Finished { state: RunState::Completed, result: Some(json!("done")), failure: None }
}

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|e| e.kind())
}

/// Idempotency is per tenant.
pub async fn the_same_key_is_the_same_run_within_a_tenant(store: Store) {
    let keyed =
        |number, tenant| NewRun { idempotency_key: Some("k".into()), ..new(number, tenant, 0, json!(1)) };
    let first = store.accept(keyed(1, "a")).await.unwrap();
    assert_eq!((first.state, first.seq, first.fence), (RunState::Queued, 1, 0));
    assert_eq!(store.accept(keyed(2, "a")).await.unwrap().id, first.id);
    assert_ne!(store.accept(keyed(3, "b")).await.unwrap().id, first.id);
    assert_eq!(
        store.runs(&name("a"), RunFilter { limit: 10, ..RunFilter::default() }).await.unwrap().len(),
        1
    );
}

/// A key is no licence to lose another question.
pub async fn the_same_key_for_another_task_is_a_conflict(store: Store) {
    let keyed =
        |number, content| NewRun { idempotency_key: Some("k".into()), ..new(number, "a", 0, content) };
    store.accept(keyed(1, json!(1))).await.unwrap();
    assert_eq!(kind(store.accept(keyed(2, json!(2))).await), Some(ErrorKind::Conflict));
    let refused = RunId::from_uuid(uuid::Uuid::from_u128(2));
    assert_eq!(kind(store.run(&name("a"), refused).await), Some(ErrorKind::NotFound));
    assert_eq!(claim_at(&store, 9, T0).await.len(), 1, "what was refused does not wait");
}

/// A key still names its run when that has ended.
pub async fn a_key_outlives_the_end_of_its_run(store: Store) {
    let keyed = |number| NewRun { idempotency_key: Some("k".into()), ..new(number, "a", 0, json!(1)) };
    store.accept(keyed(1)).await.unwrap();
    let run = claim_at(&store, 1, T0).await.remove(0);
    store.commit(Batch { finished: Some(completed()), ..batch(&run, 1, &["end"]) }).await.unwrap();
    let again = store.accept(keyed(2)).await.unwrap();
    assert_eq!((again.id, again.state, again.result), (run.id, RunState::Completed, Some(json!("done"))));
    assert!(claim_at(&store, 9, T0).await.is_empty(), "and is not run again");
}

/// An id that is there already is somebody else's run.
pub async fn an_id_is_accepted_once(store: Store) {
    store.accept(new(1, "a", 0, json!("first"))).await.unwrap();
    assert_eq!(kind(store.accept(new(1, "b", 9, json!("second"))).await), Some(ErrorKind::Conflict));
    let run = claim_at(&store, 9, T0).await.remove(0);
    assert_eq!((run.task.content, run.task.principal.tenant), (json!("first"), name("a")));
}

/// A run that whoever accepts it wants to begin at once, with what it says first.
fn begun(number: u128, tenant: &str, priority: i16) -> NewRun {
    let claim = FirstClaim { owner: "me".into(), lease: LEASE, records: vec![Bytes::from_static(b"asked")] };
    NewRun { claim: Some(claim), ..new(number, tenant, priority, json!(number)) }
}

/// Accepted, claimed and announced in one write; nobody else gets it while the lease holds.
pub async fn a_run_may_be_claimed_as_it_is_accepted(store: Store) {
    let run = store.accept(begun(1, "a", 0)).await.unwrap();
    assert_eq!((run.state, run.fence, run.claims, run.seq), (RunState::Running, FirstClaim::FENCE, 1, 2));
    assert_eq!(store.run(&name("a"), run.id).await.unwrap(), run, "and is written so");
    let records = store.load(&name("a"), run.id).await.unwrap();
    let said: Vec<(u64, &[u8])> = records.iter().map(|r| (r.seq, &r.bytes[..])).collect();
    assert_eq!(said, [(1, &b"first"[..]), (2, b"asked")]);
    assert!(claim_at(&store, 9, at(29)).await.is_empty(), "the lease holds");
    store.commit(batch(&run, 2, &["answered"])).await.unwrap();
    let taken = claim_at(&store, 9, at(31)).await.remove(0);
    assert_eq!((taken.id, taken.fence, taken.claims, taken.seq), (run.id, 2, 2, 3));
    assert_eq!(kind(store.commit(batch(&run, 3, &["late"])).await), Some(ErrorKind::Conflict));
}

/// Whoever waits goes first, of whatever priority the new one is, and so does who was left by its owner.
pub async fn a_claim_at_acceptance_overtakes_nobody(store: Store) {
    let waits = accept(&store, 1, "a", -10).await;
    let second = store.accept(begun(2, "b", 10)).await.unwrap();
    assert_eq!((second.state, second.fence, second.claims, second.seq), (RunState::Queued, 0, 0, 1));
    assert_eq!(store.load(&name("b"), second.id).await.unwrap().len(), 1, "nothing was begun");
    let claimed: Vec<RunId> = claim_at(&store, 9, at(0)).await.iter().map(|r| r.id).collect();
    assert_eq!(claimed, [second.id, waits]);
    let late = NewRun { at: at(30), ..begun(3, "a", 0) };
    assert_eq!(store.accept(late).await.unwrap().state, RunState::Queued, "two leases have run out");
    assert_eq!(claim_at(&store, 9, at(30)).await.len(), 3);
    assert_eq!(store.accept(begun(4, "a", 0)).await.unwrap().state, RunState::Running, "nothing waits now");
}

/// The same key does not begin the same run twice.
pub async fn a_known_key_is_not_claimed_again(store: Store) {
    let keyed = |number| {
        let new = NewRun { idempotency_key: Some("k".into()), ..begun(number, "a", 0) };
        NewRun { task: Task { content: json!("same"), ..new.task.clone() }, ..new }
    };
    let first = store.accept(keyed(1)).await.unwrap();
    let again = store.accept(keyed(2)).await.unwrap();
    assert_eq!((again.id, again.fence, again.claims, again.seq), (first.id, FirstClaim::FENCE, 1, 2));
    store.commit(batch(&first, 2, &["still mine"])).await.unwrap();
    store.release(first.id, first.fence).await.unwrap();
    assert_eq!(store.accept(keyed(3)).await.unwrap().state, RunState::Queued, "it waits for a claim");
    assert_eq!(store.load(&name("a"), first.id).await.unwrap().len(), 3);
}

/// A tenant that is served at acceptance has had its turn as if it had waited.
pub async fn a_claim_at_acceptance_counts_for_fairness(store: Store) {
    for number in 0..5 {
        assert_eq!(store.accept(begun(number, "busy", 0)).await.unwrap().state, RunState::Running);
    }
    let busy = accept(&store, 10, "busy", 0).await;
    let other = accept(&store, 11, "other", 0).await;
    let more = accept(&store, 12, "busy", 0).await;
    let order: Vec<RunId> = claim_at(&store, 9, T0).await.iter().map(|r| r.id).collect();
    assert_eq!(order, [busy, other, more], "who comes new starts beside, not behind and not before");
}

/// Highest first, oldest first among equals.
pub async fn runs_are_claimed_by_priority_then_age(store: Store) {
    let low = accept(&store, 1, "a", 0).await;
    let lower = accept(&store, 2, "a", -5).await;
    let next = accept(&store, 3, "a", 0).await;
    let high = accept(&store, 4, "a", 9).await;
    let first: Vec<RunId> = claim_at(&store, 2, T0).await.iter().map(|r| r.id).collect();
    assert_eq!(first, [high, low]);
    let rest: Vec<RunId> = claim_at(&store, 10, T0).await.iter().map(|r| r.id).collect();
    assert_eq!(rest, [next, lower]);
    assert!(claim_at(&store, 10, T0).await.is_empty());
}

/// D09: fair queueing, not priority alone.
pub async fn a_flood_of_one_tenant_does_not_starve_another(store: Store) {
    for number in 0..50 {
        accept(&store, number, "flood", 0).await;
    }
    claim_at(&store, 5, T0).await;
    let late = accept(&store, 100, "other", 0).await;
    let next: Vec<RunId> = claim_at(&store, 3, T0).await.iter().map(|r| r.id).collect();
    assert!(next.contains(&late), "{late} waits behind the flood: {next:?}");
}

/// A claim takes no more than it asks for, and no two take the same.
pub async fn claims_side_by_side_share_nothing(store: Store) {
    for number in 0..60 {
        accept(&store, number, "a", 0).await;
    }
    assert!(claim_at(&store, 0, T0).await.is_empty());
    let claims = (0..20).map(|_| claim_at(&store, 4, T0));
    let mut ids: Vec<RunId> = futures::future::join_all(claims).await.concat().iter().map(|r| r.id).collect();
    let many = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((many, ids.len()), (60, 60));
}

/// D08: a worker claims what it has; a command line resumes what it was told to.
pub async fn only_known_versions_and_the_wished_run_are_claimed(store: Store) {
    accept(&store, 1, "a", 0).await;
    let wished = accept(&store, 2, "a", 0).await;
    store.accept(NewRun { version: "v2".into(), ..new(3, "a", 5, json!(3)) }).await.unwrap();
    let versions = ["v1".to_owned()];
    let claim =
        Claim { owner: "me", limit: 9, now: T0, lease: LEASE, only: Some(wished), versions: Some(&versions) };
    let claimed: Vec<RunId> = store.claim(claim).await.unwrap().iter().map(|r| r.id).collect();
    assert_eq!(claimed, [wished]);
    assert_eq!(claim_at(&store, 9, T0).await.len(), 1, "the other version waits for a worker that has it");
    assert!(store.claim(Claim { only: None, versions: Some(&[]), ..claim }).await.unwrap().is_empty());
    let late = Claim { now: at(31), ..claim };
    assert_eq!(store.claim(late).await.unwrap().len(), 1, "the wished run is taken over too");
    let other = ["v2".to_owned()];
    assert!(store.claim(Claim { now: at(99), versions: Some(&other), ..claim }).await.unwrap().is_empty());
}

/// Whoever looks after all that waits names no version.
pub async fn a_claim_that_names_no_version_takes_every_one(store: Store) {
    accept(&store, 1, "a", 0).await;
    store.accept(NewRun { version: "v2".into(), ..new(2, "a", 0, json!(2)) }).await.unwrap();
    let claim = Claim { owner: "me", limit: 9, now: T0, lease: LEASE, only: None, versions: None };
    assert_eq!(store.claim(claim).await.unwrap().len(), 2);
    assert_eq!(store.claim(Claim { now: at(31), ..claim }).await.unwrap().len(), 2, "taken over too");
    let wished = Claim { now: at(99), only: Some(RunId::from_uuid(uuid::Uuid::from_u128(2))), ..claim };
    assert_eq!(store.claim(wished).await.unwrap().len(), 1);
}

/// D02: another worker takes over without an operator.
pub async fn an_expired_lease_is_taken_over_with_a_higher_fence(store: Store) {
    accept(&store, 1, "a", 0).await;
    let [first] = &claim_at(&store, 9, at(0)).await[..] else { panic!("one run waits") };
    assert_eq!((first.state, first.fence, first.claims), (RunState::Running, 1, 1));
    assert!(claim_at(&store, 9, at(29)).await.is_empty(), "the lease holds");
    let [second] = &claim_at(&store, 9, at(31)).await[..] else { panic!("the lease has run out") };
    assert_eq!((second.id, second.fence, second.claims), (first.id, 2, 2));
}

/// D02: a zombie's late write is fenced out.
pub async fn a_zombie_and_a_stale_length_are_refused_and_change_nothing(store: Store) {
    accept(&store, 1, "a", 0).await;
    let zombie = claim_at(&store, 1, at(0)).await.remove(0);
    let owner = claim_at(&store, 1, at(60)).await.remove(0);
    assert_eq!(kind(store.commit(batch(&zombie, 1, &["late"])).await), Some(ErrorKind::Conflict));
    store.commit(batch(&owner, 1, &["mine"])).await.unwrap();
    assert_eq!(kind(store.commit(batch(&owner, 1, &["twice"])).await), Some(ErrorKind::Conflict));
    assert_eq!(kind(store.release(zombie.id, zombie.fence).await), Some(ErrorKind::Conflict));
    let records = store.load(&name("a"), owner.id).await.unwrap();
    let said: Vec<&[u8]> = records.iter().map(|r| &r.bytes[..]).collect();
    assert_eq!(said, [&b"first"[..], b"mine"]);
}

/// Sequences begin at 1 and have no gaps.
pub async fn records_come_in_order_and_in_pages(store: Store) {
    accept(&store, 1, "a", 0).await;
    let run = claim_at(&store, 1, T0).await.remove(0);
    store.commit(batch(&run, 1, &["b", "c"])).await.unwrap();
    store.commit(batch(&run, 3, &["d"])).await.unwrap();
    let seqs = |records: Vec<maof_core::Record>| records.iter().map(|r| r.seq).collect::<Vec<_>>();
    assert_eq!(seqs(store.load(&name("a"), run.id).await.unwrap()), [1, 2, 3, 4]);
    assert_eq!(seqs(store.records(&name("a"), run.id, 1, 2).await.unwrap()), [2, 3]);
    assert!(store.records(&name("a"), run.id, 4, 9).await.unwrap().is_empty());
    assert_eq!(store.records(&name("a"), run.id, 2, 1).await.unwrap()[0].at, at(1));
}

/// What has ended stays as it ended.
pub async fn a_finished_run_keeps_its_result_and_takes_nothing_more(store: Store) {
    accept(&store, 1, "a", 0).await;
    let run = claim_at(&store, 1, T0).await.remove(0);
    let failure = Error::timed_out("late").param("p").failure();
    let finished = Finished {
        state: RunState::Failed,
        result: Some(json!({"part": [1]})),
        failure: Some(failure.clone()),
    };
    store.commit(Batch { finished: Some(finished), ..batch(&run, 1, &["end"]) }).await.unwrap();
    let ended = store.run(&name("a"), run.id).await.unwrap();
    assert_eq!((ended.state, ended.seq, ended.updated), (RunState::Failed, 2, at(1)));
    assert_eq!((ended.result, ended.failure), (Some(json!({"part": [1]})), Some(failure)));
    assert_eq!(kind(store.commit(batch(&run, 2, &["more"])).await), Some(ErrorKind::Conflict));
    assert!(!store.cancel(&name("a"), run.id, at(2)).await.unwrap());
    assert!(claim_at(&store, 9, at(100)).await.is_empty());
}

/// A graceful stop gives runs back at once.
pub async fn a_released_run_waits_again(store: Store) {
    accept(&store, 1, "a", 0).await;
    let run = claim_at(&store, 1, at(0)).await.remove(0);
    store.release(run.id, run.fence).await.unwrap();
    assert_eq!(kind(store.commit(batch(&run, 1, &["late"])).await), Some(ErrorKind::Conflict));
    assert_eq!(kind(store.release(run.id, run.fence).await), Some(ErrorKind::Conflict));
    let again = claim_at(&store, 1, at(1)).await.remove(0);
    assert_eq!((again.id, again.fence), (run.id, 2));
    store.cancel(&name("a"), run.id, at(2)).await.unwrap();
    store.release(run.id, again.fence).await.unwrap();
    assert!(claim_at(&store, 1, at(3)).await.remove(0).cancel, "the wish to end it is not forgotten");
}

/// Leases are renewed in one go.
pub async fn a_heartbeat_renews_and_tells_what_others_wish(store: Store) {
    for number in 1..=3 {
        accept(&store, number, "a", 0).await;
    }
    let runs = claim_at(&store, 9, at(0)).await;
    store.cancel(&name("a"), runs[1].id, at(1)).await.unwrap();
    let mine = [(runs[0].id, 1), (runs[1].id, 1), (runs[2].id, 99)];
    let beats = store.heartbeat(&mine, at(60)).await.unwrap();
    let said: Vec<(bool, bool)> = beats.iter().map(|b| (b.cancel, b.lost)).collect();
    assert_eq!(said, [(false, false), (true, false), (false, true)]);
    let taken: Vec<RunId> = claim_at(&store, 9, at(40)).await.iter().map(|r| r.id).collect();
    assert_eq!(taken, [runs[2].id], "the other two were renewed");
    store.commit(Batch { finished: Some(completed()), ..batch(&runs[0], 1, &["end"]) }).await.unwrap();
    let ended = store.heartbeat(&[(runs[0].id, 1)], at(90)).await.unwrap();
    assert!(ended[0].lost, "who has ended is nobody's");
    assert!(store.heartbeat(&[], at(90)).await.unwrap().is_empty());
}

/// D04: cancelling reaches what runs, and ends what waits.
pub async fn cancelling_ends_what_waits_and_tells_what_runs(store: Store) {
    let waits = accept(&store, 1, "a", 0).await;
    assert!(store.cancel(&name("a"), waits, at(1)).await.unwrap());
    let ended = store.run(&name("a"), waits).await.unwrap();
    assert_eq!(
        (ended.state, ended.failure.map(|f| f.kind)),
        (RunState::Cancelled, Some(ErrorKind::Cancelled))
    );
    assert!(!store.cancel(&name("a"), waits, at(2)).await.unwrap());
    assert!(claim_at(&store, 9, T0).await.is_empty());

    accept(&store, 2, "a", 0).await;
    let runs = claim_at(&store, 1, T0).await.remove(0);
    assert!(store.cancel(&name("a"), runs.id, at(1)).await.unwrap());
    let told = store.run(&name("a"), runs.id).await.unwrap();
    assert_eq!((told.state, told.cancel), (RunState::Running, true));
}

/// Invariant: another tenant's run is not found.
pub async fn nothing_is_read_without_its_tenant(store: Store) {
    let run = accept(&store, 1, "a", 0).await;
    let other = name("b");
    let not_found = Some(ErrorKind::NotFound);
    assert_eq!(kind(store.run(&other, run).await), not_found);
    assert_eq!(kind(store.load(&other, run).await), not_found);
    assert_eq!(kind(store.records(&other, run, 0, 9).await), not_found);
    assert_eq!(kind(store.cancel(&other, run, T0).await), not_found);
    assert!(store.runs(&other, RunFilter { limit: 9, ..RunFilter::default() }).await.unwrap().is_empty());
    assert_eq!(store.run(&name("a"), run).await.unwrap().state, RunState::Queued, "nobody cancelled it");
}

/// By id, which is by time.
pub async fn lists_are_newest_first_filtered_and_paged(store: Store) {
    let mut ids = Vec::new();
    for number in 1..=5 {
        ids.push(accept(&store, number, "a", 0).await);
    }
    store.cancel(&name("a"), ids[2], T0).await.unwrap();
    let list = |state, before, limit| {
        let store = Arc::clone(&store);
        async move {
            let runs = store.runs(&name("a"), RunFilter { state, before, limit }).await.unwrap();
            runs.iter().map(|r| r.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(list(None, None, 2).await, [ids[4], ids[3]]);
    assert_eq!(list(None, Some(ids[3]), 9).await, [ids[2], ids[1], ids[0]]);
    assert_eq!(list(Some(RunState::Cancelled), None, 9).await, [ids[2]]);
}

/// Group commit mixes nothing up.
pub async fn many_runs_commit_side_by_side(store: Store) {
    const RUNS: u128 = 32;
    for number in 0..RUNS {
        accept(&store, number, "a", 0).await;
    }
    let runs = claim_at(&store, 100, T0).await;
    assert_eq!(runs.len() as u128, RUNS);
    let work = runs.iter().map(|run| {
        let store = Arc::clone(&store);
        async move {
            for seq in 1..=20 {
                store.commit(batch(run, seq, &["x"])).await.unwrap();
            }
        }
    });
    futures::future::join_all(work).await;
    for run in &runs {
        let records = store.load(&name("a"), run.id).await.unwrap();
        assert_eq!(records.iter().map(|r| r.seq).collect::<Vec<_>>(), (1..=21).collect::<Vec<_>>());
    }
}
