//! MAOF in a service of your own: an endpoint that is a Rust function, asked by a workflow, durably.
//! Run it with `cargo run -p maof-examples --example embed`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use maof::{
    Call, Card, ChatAnswer, Config, Endpoint, Maof, Operation, Principal, Reply, Response, Result, Tariff,
    TaskRequest, Unit,
};
use serde_json::json;

/// Counts words, for a thousandth of a dollar.
#[derive(Debug)]
struct WordCount(Card);

#[async_trait::async_trait]
impl Endpoint for WordCount {
    fn card(&self) -> &Card {
        &self.0
    }

    async fn call(&self, call: Call) -> Result<Reply> {
        let text = call.body.chat()?.last_user_text().unwrap_or_default();
        let answer = json!({"words": text.split_whitespace().count()}).to_string();
        Ok(Reply::whole(Response::chat(ChatAnswer::text(answer))))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let card = Card {
        name: "wordcount".parse()?,
        provider: "here".parse()?,
        model: "split-whitespace".into(),
        operations: vec![Operation::Chat],
        tariff: Tariff::default().with(Unit::Request, 1_000_000_000_000),
        context: None,
        max_output: 16,
    };
    let maof =
        Maof::builder(Config::default()).in_memory().endpoint(Arc::new(WordCount(card))).build().await?;
    maof.work();

    let spec = json!({"name": "count", "steps": [
        {"id": "each", "map": "input", "agent": "wordcount"},
    ], "output": {"words": "steps.each | map(attribute='words') | sum"}});
    let spec = serde_json::from_value(spec).map_err(|e| maof::Error::invalid_request(e.to_string()))?;
    let workflow = maof.compile(spec)?;
    let who = Principal::local();
    let request = TaskRequest {
        task_type: workflow.name.clone(),
        content: json!(["to be or not to be", "that is the question"]),
        priority: 0,
        deadline: None,
        session: None,
        tags: None,
        idempotency_key: Some("hamlet".to_owned()),
        workflow: Some(workflow),
    };
    let run = maof.submit(&who, request).await?;
    let ended = maof.wait(&who, run.id).await?;
    let report = maof.report(&who, run.id).await?;
    println!("{} for {}", ended.result.unwrap_or_default(), report.cost);
    maof.shutdown().await;
    Ok(())
}
