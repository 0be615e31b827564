//! What a durable step costs: runs of a chain of three steps, from submission to result, one at a time and 32
//! side by side, in memory and on SQLite. A figure is of one run; a step is a third of it.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark's own program")]

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use maof::{Config, Maof, Principal, TaskRequest, Workflow};
use maof_benches::CpuTime;
use maof_testkit::ScriptedEndpoint;
use serde_json::json;
use tokio::runtime::Runtime;

const SIDE_BY_SIDE: u64 = 32;

async fn one(maof: &Maof, workflow: &Arc<Workflow>) {
    let request = TaskRequest {
        task_type: workflow.name.clone(),
        content: json!("a short question"),
        priority: 0,
        deadline: None,
        idempotency_key: None,
        workflow: Some(Arc::clone(workflow)),
    };
    let who = Principal::local();
    let run = maof.submit(&who, request).await.unwrap();
    let ended = maof.wait(&who, run.id).await.unwrap();
    assert!(ended.result.is_some(), "{:?}", ended.failure);
}

fn measure(c: &mut Criterion<CpuTime>, name: &str, runtime: &Runtime, maof: &Maof) {
    let step = |id: &str, ask: &str| json!({"id": id, "agent": "echo", "ask": ask});
    let spec = json!({"name": "chain", "steps": [
        step("a", "{{ input }}"), step("b", "then {{ steps.a }}"), step("c", "last {{ steps.b }}"),
    ]});
    let workflow = maof.compile(serde_json::from_value(spec).unwrap()).unwrap();
    {
        let _inside = runtime.enter();
        maof.work();
    }
    let mut group = c.benchmark_group(name);
    group.sample_size(10);
    group.throughput(Throughput::Elements(3));
    group.bench_function("one run at a time", |b| b.iter(|| runtime.block_on(one(maof, &workflow))));
    group.throughput(Throughput::Elements(3 * SIDE_BY_SIDE));
    group.bench_function("32 runs side by side", |b| {
        b.iter(|| {
            runtime.block_on(async {
                let mut runs = tokio::task::JoinSet::new();
                for _ in 0..SIDE_BY_SIDE {
                    let (maof, workflow) = (maof.clone(), Arc::clone(&workflow));
                    runs.spawn(async move { one(&maof, &workflow).await });
                }
                runs.join_all().await;
            });
        });
    });
    group.finish();
    runtime.block_on(maof.shutdown());
}

fn chain(c: &mut Criterion<CpuTime>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let echo = || Arc::new(ScriptedEndpoint::new("echo").forgetful());
    let memory = Maof::builder(Config::default()).in_memory().endpoint(echo());
    let memory = runtime.block_on(memory.build()).unwrap();
    measure(c, "chain of three in memory", &runtime, &memory);

    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.store.path = dir.path().join("maof.db");
    let sqlite = runtime.block_on(Maof::builder(config).endpoint(echo()).build()).unwrap();
    measure(c, "chain of three on SQLite", &runtime, &sqlite);
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = chain
}
criterion_main!(benches);
