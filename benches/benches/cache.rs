//! What the response cache costs: a call that passes it by, one that it has no answer to, and one that it answers, beside
//! the same calls of a stack without it. Bodies are as an OpenAI SDK sends them; the endpoint answers at once. The cache is
//! small, so that it is full from the beginning: a miss lets an older answer go, and touches no new memory.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark's own program")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use maof::{Body, Config, Incoming, Maof, Operation, Principal, Target, dialects};
use maof_benches::CpuTime;
use maof_testkit::{Play, ScriptedEndpoint};

/// What the programs that are shipped allocate with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A question of about 600 bytes, number `n` of its kind.
fn body(n: u64, more: &str) -> Body {
    let system = "You are an analyst of a bank. Answer in a sentence, and name the figure that you rely on. "
        .repeat(4);
    let body = format!(
        r#"{{"model": "echo", "messages": [{{"role": "system", "content": "{system}"}},
            {{"role": "user", "content": "How did the shares do after quarter {n}?"}}]{more}}}"#
    );
    dialects::openai().read(Incoming::json(Operation::Chat, body)).unwrap()
}

fn cache(c: &mut Criterion<CpuTime>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let maof = |config: &str| {
        let answer = "The shares rose by four percent, since the margin grew to 21.3 percent. ".repeat(4);
        let endpoint = ScriptedEndpoint::new("echo").forgetful().otherwise(Play::Say(answer));
        let builder = Maof::builder(Config::parse(config).unwrap()).in_memory().endpoint(Arc::new(endpoint));
        runtime.block_on(builder.build()).unwrap()
    };
    let (plain, cached) = (maof("{}"), maof("cache: {max_bytes: 2097152, max_answer_bytes: 65536}"));
    let ask = |maof: &Maof, body: Body, stream: bool| {
        let mut call = maof.new_call(Target::Name("echo".parse().unwrap()), Principal::local(), body);
        call.stream = stream;
        runtime.block_on(async { black_box(maof.call(call).await.unwrap().collect().await.unwrap()) })
    };
    let mut number = 0;
    let mut group = c.benchmark_group("cache");
    for (what, maof, more) in [
        ("no cache", &plain, ", \"temperature\": 0"),
        ("miss", &cached, ", \"temperature\": 0"),
        ("no cache, any temperature", &plain, ""),
        ("passed by", &cached, ""),
    ] {
        group.bench_function(what, |b| {
            let mut fresh = || {
                number += 1;
                body(number, more)
            };
            b.iter_batched(&mut fresh, |body| ask(maof, body, false), BatchSize::SmallInput);
        });
    }
    for (what, stream) in [("hit", false), ("hit, streamed", true)] {
        let more = if stream { ", \"temperature\": 0, \"stream\": true" } else { ", \"temperature\": 0" };
        ask(&cached, body(0, more), stream);
        group.bench_function(what, |b| {
            b.iter_batched(|| body(0, more), |body| ask(&cached, body, stream), BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = cache
}
criterion_main!(benches);
