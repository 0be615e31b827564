//! A worker that can be told to die: `crash-worker DB UPSTREAM POINT NTH [RUN]`.
//!
//! Submits the workflow (or goes on with RUN), works until the run has ended, and prints its result.
#![allow(clippy::print_stdout, reason = "the test that starts it reads its output")]

use std::sync::Arc;

use anyhow::{Context as _, bail};
use maof::{Config, Maof, Name, Operation, Principal, RunId, SystemClock, TaskRequest, WorkflowSpec};
use maof_core::{Card, Tariff, Unit};
use maof_providers::{HttpEndpoint, ProviderConfig};
use maof_store::SqliteStore;
use maof_tests::crash::{Death, DyingEndpoint, DyingJournal};
use serde_json::json;

/// Three questions in a chain, a map of four beside it, and an answer from both.
fn workflow() -> anyhow::Result<WorkflowSpec> {
    let ask = |id: &str, ask: &str| json!({"id": id, "agent": "upstream", "ask": ask});
    let mut each = ask("each", "each {{ item }}");
    each["needs"] = json!([]);
    each["map"] = json!("input.items");
    let mut last = ask("last", "{{ steps.second }} and {{ steps.each | join(', ') }}");
    last["needs"] = json!(["second", "each"]);
    let mut first = ask("first", "first of {{ input.name }}");
    first["needs"] = json!([]);
    let mut second = ask("second", "second after {{ steps.first }}");
    second["needs"] = json!(["first"]);
    Ok(serde_json::from_value(
        json!({"name": "crash", "max_parallel": 3, "steps": [first, second, each, last]}),
    )?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [db, upstream, point, nth, rest @ ..] = args.as_slice() else {
        bail!("usage: crash-worker DB UPSTREAM POINT NTH [RUN]");
    };
    maof::init();
    let death = Death::at(point, nth.parse()?);
    let mut config = Config::default();
    config.store.path = db.into();
    config.engine.poll_ms = 50;
    let store = Arc::new(SqliteStore::open(&config.store).await?);
    let journal = Arc::new(DyingJournal(store.clone(), death.clone()));
    let maof = Maof::builder(config)
        .stores(journal, store.clone(), store)
        .endpoint(Arc::new(DyingEndpoint(Arc::new(endpoint(upstream)?), death)))
        .build()
        .await?;
    let who = Principal::local();
    let run = match rest.first() {
        Some(id) => {
            let id = id.parse::<RunId>()?;
            maof.work_on(&who, id).await?;
            id
        }
        None => {
            // Who works before it submits begins the run as it is accepted; else it is queued, and claimed.
            if !point.starts_with("claim") {
                maof.work();
            }
            let workflow = maof.compile(workflow()?)?;
            let request = TaskRequest {
                task_type: workflow.name.clone(),
                content: json!({"name": "all", "items": ["a", "b", "c", "d"]}),
                priority: 0,
                deadline: None,
                session: None,
                tags: None,
                idempotency_key: Some("crash".to_owned()),
                workflow: Some(workflow),
            };
            let run = maof.submit(&who, request).await?.id;
            if point.starts_with("claim") {
                maof.work();
            }
            run
        }
    };
    let ended = maof.wait(&who, run).await?;
    println!("{}", ended.result.context("the run has no result")?);
    maof.shutdown().await;
    Ok(())
}

fn endpoint(upstream: &str) -> anyhow::Result<HttpEndpoint> {
    let name = Name::new("upstream")?;
    let card = Card {
        name: name.clone(),
        provider: name,
        model: "echo".into(),
        operations: vec![Operation::Chat],
        tariff: Tariff::default().with(Unit::Input, 1_000_000),
        context: None,
        max_output: 100,
    };
    let provider: ProviderConfig =
        serde_json::from_value(json!({"profile": "openai", "base_url": upstream, "api_key": "k"}))?;
    Ok(HttpEndpoint::new(card, &provider, Arc::new(SystemClock))?)
}
