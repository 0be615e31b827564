//! What a durable step costs: runs of a chain of three steps, from submission to result, one at a time and 32
//! side by side, in memory and on SQLite. A figure is of one run; a step is a third of it.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark's own program")]

use std::sync::Arc;

use criterion::measurement::Measurement as _;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use maof::{Config, Maof, Principal, TaskRequest, Workflow};
use maof_benches::CpuTime;
use maof_testkit::ScriptedEndpoint;
use serde_json::json;
use tokio::runtime::Runtime;

/// What the programs that are shipped allocate with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIDE_BY_SIDE: u64 = 32;

async fn one(maof: &Maof, workflow: &Arc<Workflow>) {
    let request = TaskRequest {
        task_type: workflow.name.clone(),
        content: json!("a short question"),
        priority: 0,
        deadline: None,
        session: None,
        tags: None,
        idempotency_key: None,
        workflow: Some(Arc::clone(workflow)),
    };
    let who = Principal::local();
    let run = maof.submit(&who, request).await.unwrap();
    let ended = maof.wait(&who, run.id).await.unwrap();
    assert!(ended.result.is_some(), "{:?}", ended.failure);
}

fn chain_of_three(maof: &Maof) -> Arc<Workflow> {
    let step = |id: &str, ask: &str| json!({"id": id, "agent": "echo", "ask": ask});
    let spec = json!({"name": "chain", "steps": [
        step("a", "{{ input }}"), step("b", "then {{ steps.a }}"), step("c", "last {{ steps.b }}"),
    ]});
    maof.compile(serde_json::from_value(spec).unwrap()).unwrap()
}

async fn side_by_side(maof: &Maof, workflow: &Arc<Workflow>) {
    let mut runs = tokio::task::JoinSet::new();
    for _ in 0..SIDE_BY_SIDE {
        let (maof, workflow) = (maof.clone(), Arc::clone(workflow));
        runs.spawn(async move { one(&maof, &workflow).await });
    }
    runs.join_all().await;
}

/// One store on one runtime; `build` is called within it.
fn measure<F>(c: &mut Criterion<CpuTime>, name: &str, runtime: &Runtime, build: impl Fn() -> F)
where
    F: Future<Output = Maof>,
{
    let maof = runtime.block_on(async {
        let maof = build().await;
        maof.work();
        maof
    });
    let workflow = chain_of_three(&maof);
    let mut group = c.benchmark_group(name);
    group.sample_size(10);
    group.throughput(Throughput::Elements(3));
    group.bench_function("one run at a time", |b| b.iter(|| runtime.block_on(one(&maof, &workflow))));
    group.bench_function("one run at a time, called by a task", |b| {
        b.iter_custom(|runs| {
            let (maof, workflow) = (maof.clone(), Arc::clone(&workflow));
            let caller = runtime.spawn(async move {
                let began = CpuTime.start();
                for _ in 0..runs {
                    one(&maof, &workflow).await;
                }
                CpuTime.end(began)
            });
            runtime.block_on(caller).unwrap()
        });
    });
    group.throughput(Throughput::Elements(3 * SIDE_BY_SIDE));
    group.bench_function("32 runs side by side", |b| {
        b.iter(|| runtime.block_on(side_by_side(&maof, &workflow)));
    });
    group.finish();
    runtime.block_on(maof.shutdown());
}

fn chain(c: &mut Criterion<CpuTime>) {
    let echo = || Arc::new(ScriptedEndpoint::new("echo").forgetful());
    let memory =
        || async { Maof::builder(Config::default()).in_memory().endpoint(echo()).build().await.unwrap() };
    let dir = tempfile::tempdir().unwrap();
    let sqlite = || async {
        let mut config = Config::default();
        config.store.path = dir.path().join("maof.db");
        Maof::builder(config).endpoint(echo()).build().await.unwrap()
    };
    // Where one thread calls and works, nothing but the work is measured; where a thread calls and two others
    // work, waking them is measured too.
    let one = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    measure(c, "chain in memory, one thread", &one, memory);
    measure(c, "chain on SQLite, one thread", &one, sqlite);
    let two = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    measure(c, "chain in memory, two workers", &two, memory);
    measure(c, "chain on SQLite, two workers", &two, sqlite);
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = chain
}
criterion_main!(benches);
