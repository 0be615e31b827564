//! How fast a stream is read: server-sent events from bytes, each checked and told what it adds, without a network.
//! In megabytes of the upstream's bytes a second of CPU. `cargo bench -p maof-benches --bench fold`
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark's own program")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use maof_benches::CpuTime;
use maof_core::fold::Fold;
use maof_core::{Delta, Dialect, Envelope, Event};
use maof_providers::client::Events;
use maof_testkit::endpoint::call;

/// What the programs that are shipped allocate with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Frames of a stream.
const FRAMES: usize = 5_000;
/// Bytes that a read from a socket gives.
const READ: usize = 8 << 10;

/// A stream of OpenAI's whose frames add a word each, as its servers write them.
fn openai() -> Vec<u8> {
    let chunk = |at: usize| {
        let delta = serde_json::json!({"content": format!(" word{at}")});
        let choice = serde_json::json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": null});
        let body = serde_json::json!({
            "id": "chatcmpl-BenchBenchBenchBenchBenchBench", "object": "chat.completion.chunk",
            "created": 1_790_000_000_u64, "model": "gpt-4o-mini-2024-07-18", "service_tier": "default",
            "system_fingerprint": "fp_0000000000", "choices": [choice], "usage": null,
        });
        format!("data: {body}\n\n")
    };
    (0..FRAMES).map(chunk).collect::<String>().into_bytes()
}

/// A stream of Anthropic's.
fn anthropic() -> Vec<u8> {
    let mut stream = String::from(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\
         \"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":1,\
         \"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
         \"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    );
    for at in 0..FRAMES {
        stream.push_str(&format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
             {{\"type\":\"text_delta\",\"text\":\" word{at}\"}}}}\n\n"
        ));
    }
    stream.into_bytes()
}

/// Reads a stream; `then` takes what each frame adds.
fn read(dialect: &'static dyn Dialect, bytes: &[u8], mut then: impl FnMut(Event)) {
    let mut events = Events::new(1 << 20);
    let mut decoder = dialect.decoder(&call("x"));
    for piece in bytes.chunks(READ) {
        events.push(piece);
        while let Some(frame) = events.next().unwrap() {
            if let Some(event) = decoder.frame(frame.name.as_deref(), &frame.data, frame.raw).unwrap() {
                then(event);
            }
        }
    }
}

fn fold(c: &mut Criterion<CpuTime>) {
    let streams: [(&str, &'static dyn Dialect, Vec<u8>); 2] = [
        ("openai", maof::dialects::openai(), openai()),
        ("anthropic", maof::dialects::anthropic(), anthropic()),
    ];
    for (name, dialect, bytes) in streams {
        let mut group = c.benchmark_group(format!("fold/{name}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("read and checked", |b| {
            b.iter(|| read(dialect, &bytes, |event| drop(black_box(event))));
        });
        group.bench_function("and passed on", |b| {
            let mut encoder = dialect.encoder(&call("x"), Envelope::default());
            let mut out = Vec::new();
            b.iter(|| {
                read(dialect, &bytes, |event| {
                    encoder.event(&event, &mut out);
                    if out.len() > 16 << 10 {
                        black_box(&out);
                        out.clear();
                    }
                });
            });
        });
        group.bench_function("and assembled", |b| {
            b.iter(|| {
                let mut fold = Fold::default();
                read(dialect, &bytes, |event| {
                    event.deltas.into_iter().for_each(|delta: Delta| fold.push(delta).unwrap());
                });
                black_box(fold.finish())
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = fold
}
criterion_main!(benches);
