//! What it costs to hold an answer of 1 kB against its schema, a call that asks for none, and the most that is judged.
//! `cargo bench -p maof-structured`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark, whose macros write the rest")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use futures::FutureExt as _;
use maof_core::{
    Body, Call, CallId, ChatAnswer, ChatRequest, OutputFormat, Principal, Reply, Response, Target,
};
use maof_structured::{Config, Layer, Outputs};
use serde_json::{Value, json};
use tower_layer::Layer as _;
use tower_service::Service as _;

fn schema() -> Value {
    let source = json!({"type": "object", "additionalProperties": false, "required": ["title", "page"],
        "properties": {"title": {"type": "string"}, "page": {"type": "integer", "minimum": 1}}});
    json!({"type": "object", "additionalProperties": false, "required": ["answer", "confidence", "sources"],
        "properties": {
            "answer": {"type": "string"},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "label": {"enum": ["up", "down", "flat"]},
            "sources": {"type": "array", "items": {"$ref": "#/$defs/source"}},
        }, "$defs": {"source": source}})
}

fn answer() -> String {
    let sources: Vec<_> =
        (1..20).map(|page| json!({"title": "a report of the year", "page": page})).collect();
    let answer =
        json!({"answer": "x".repeat(160), "confidence": 0.9, "label": "up", "sources": sources}).to_string();
    assert!((950..1100).contains(&answer.len()), "{}", answer.len());
    answer
}

fn call(output: Option<OutputFormat>) -> Call {
    let body = Body::from(ChatRequest { output, ..ChatRequest::user("Up or down?") });
    let id = CallId::from_uuid(Default::default());
    Call::new(id, Target::Name("model".parse().unwrap()), Principal::local(), body)
}

fn validate(criterion: &mut Criterion) {
    let text: Arc<str> = answer().into();
    let model = tower::service_fn(move |_: Call| {
        let text = Arc::clone(&text);
        async move { Ok(Reply::whole(Response::chat(ChatAnswer::text(&*text)))) }
    });
    let outputs = Arc::new(Outputs::new(&Config::default(), []).unwrap());
    let format = OutputFormat::JsonSchema { name: "verdict".into(), schema: schema(), strict: None };
    let mut group = criterion.benchmark_group("a call answered with 1 kB");
    let mut bare = model.clone();
    let plain = call(None);
    group.bench_function("no layer", |b| {
        b.iter(|| bare.call(black_box(plain.clone())).now_or_never().unwrap().unwrap())
    });
    let mut layered = Layer::new(outputs).layer(model);
    group.bench_function("no schema", |b| {
        b.iter(|| layered.call(black_box(plain.clone())).now_or_never().unwrap().unwrap())
    });
    let shaped = call(Some(format));
    group.bench_function("a schema", |b| {
        b.iter(|| layered.call(black_box(shaped.clone())).now_or_never().unwrap().unwrap())
    });
    group.finish();
}

/// Every branch is tried for every item, and the last one fits: as many bytes of schema times answer as are judged.
fn most(criterion: &mut Criterion) {
    let branches: Vec<_> =
        (0..640).map(|n| json!({"properties": {"x": {"const": n}}, "required": ["x"]})).collect();
    let schema = json!({"items": {"anyOf": branches}});
    let item = r#"{"x":639},"#;
    let items = (1 << 30) / schema.to_string().len() / item.len();
    let answer = format!("[{}1]", item.repeat(items - 1)).replace(",1]", "]");
    let model = tower::service_fn(move |_: Call| {
        let answer = ChatAnswer::text(answer.as_str());
        async move { Ok(Reply::whole(Response::chat(answer))) }
    });
    let outputs = Arc::new(Outputs::new(&Config::default(), []).unwrap());
    let mut layered = Layer::new(outputs).layer(model);
    let shaped = call(Some(OutputFormat::JsonSchema { name: "most".into(), schema, strict: None }));
    let mut group = criterion.benchmark_group("the most that is judged");
    group.sample_size(10);
    group.bench_function("a schema and an answer of 32 kB", |b| {
        b.iter(|| layered.call(black_box(shaped.clone())).now_or_never().unwrap().unwrap())
    });
    group.finish();
}

criterion_group!(benches, validate, most);
criterion_main!(benches);
