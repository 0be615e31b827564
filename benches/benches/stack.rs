//! What one call through the whole stack costs beyond its endpoint, which answers at once.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark's own program")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use maof::{Body, ChatRequest, Config, Maof, Principal, Target};
use maof_benches::CpuTime;
use maof_core::Endpoint as _;
use maof_testkit::ScriptedEndpoint;

/// What the programs that are shipped allocate with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn stack(c: &mut Criterion<CpuTime>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let endpoint = Arc::new(ScriptedEndpoint::new("echo").forgetful());
    let budgets =
        "budgets: [{account: tenant, limit_usd: 1000000}, {account: user, limit_requests: 1000000000}]";
    let config = Config::parse(budgets).unwrap();
    let builder = Maof::builder(config).in_memory().endpoint(endpoint.clone());
    let maof = runtime.block_on(builder.build()).unwrap();
    let body = Body::from(ChatRequest::user("How is the weather today?"));
    let call = || maof.new_call(Target::Name("echo".parse().unwrap()), Principal::local(), body.clone());

    let mut group = c.benchmark_group("call");
    group.bench_function("endpoint alone", |b| {
        b.iter(|| {
            runtime
                .block_on(async { black_box(endpoint.call(call()).await.unwrap().collect().await.unwrap()) })
        });
    });
    group.bench_function("through the stack", |b| {
        b.iter(|| {
            runtime.block_on(async { black_box(maof.call(call()).await.unwrap().collect().await.unwrap()) })
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = stack
}
criterion_main!(benches);
