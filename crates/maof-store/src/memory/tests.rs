//! The contract, in memory; and that memory is bounded.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use maof_core::{
    Audit, ErrorKind, Journal, Ledger, Name, NewRun, Principal, RunFilter, RunId, Snapshots, Timestamp,
};

use super::MemoryStore;

maof_testkit::journal_contract!(async { (Arc::new(MemoryStore::default()) as Arc<dyn Journal>, ()) });
maof_testkit::ledger_contract!(async { (Arc::new(MemoryStore::default()) as Arc<dyn Ledger>, ()) });
maof_testkit::audit_contract!(async { (Arc::new(MemoryStore::default()) as Arc<dyn Audit>, ()) });
maof_testkit::snapshots_contract!(async { (Arc::new(MemoryStore::default()) as Arc<dyn Snapshots>, ()) });

fn new(number: u128) -> NewRun {
    let id = uuid::Uuid::from_u128(number);
    let task = serde_json::json!({
        "id": id, "task_type": "t", "content": number.to_string(), "priority": 0, "deadline": null,
        "principal": &*Principal::local(),
    });
    NewRun {
        id: RunId::from_uuid(id),
        workflow: Name::new("w").unwrap(),
        version: "v".to_owned(),
        task: serde_json::from_value(task).unwrap(),
        idempotency_key: Some(number.to_string()),
        records: Vec::new(),
        at: Timestamp::default(),
        claim: None,
    }
}

#[tokio::test]
async fn what_ended_first_is_forgotten_first_with_its_key() {
    let store = MemoryStore::with_capacity(2);
    let tenant = Principal::local().tenant.clone();
    for number in 1..=4 {
        let run = store.accept(new(number)).await.unwrap();
        if number < 4 {
            store.cancel(&tenant, run.id, Timestamp::default()).await.unwrap();
        }
    }
    let kept = store.runs(&tenant, RunFilter { limit: 9, ..RunFilter::default() }).await.unwrap();
    assert_eq!(kept.iter().map(|r| r.id.uuid().as_u128()).collect::<Vec<_>>(), [4, 3, 2]);
    let first = RunId::from_uuid(uuid::Uuid::from_u128(1));
    assert_eq!(store.load(&tenant, first).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.runs.lock().keys.len(), 3, "a key goes with its run");
    let again = NewRun { idempotency_key: Some("1".to_owned()), ..new(5) };
    assert_eq!(store.accept(again).await.unwrap().id.uuid().as_u128(), 5, "its key is free");
}
