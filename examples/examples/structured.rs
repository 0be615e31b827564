//! Answers by a JSON schema: two agents that answer in shapes of their own, put into one, and one that breaks it.
//! Run it with `cargo run -p maof-examples --example structured`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use maof::{Body, ChatRequest, Config, Maof, Principal, Result, Target};

/// All agents answer `{answer, confidence}`; where their own answers hold it is said for each.
const CONFIG: &str = "
endpoints: [{name: lexicon, local: lexicon}, {name: phrases, local: keyphrases}]
agents:
  - name: judge
    endpoints: [lexicon]
    output: {schema: &verdict {type: object, required: [answer, confidence], properties: {answer: {type: string}, confidence: {type: number}}},
             fields: {answer: /label, confidence: /confidence}}
  - name: reader
    endpoints: [phrases]
    output: {schema: *verdict, fields: {answer: /phrases/0/phrase, confidence: /phrases/0/score}}
  - name: clerk
    endpoints: [phrases]
    output: {schema: *verdict, fields: {answer: /phrases/0/phrase}}
";

#[tokio::main]
async fn main() -> Result<()> {
    let maof = Maof::builder(Config::parse(CONFIG)?).in_memory().build().await?;
    for agent in ["judge", "reader", "clerk"] {
        let question =
            Body::from(ChatRequest::user("Strong demand for wind turbines lifted quarterly profit."));
        let call = maof.new_call(Target::Name(agent.parse()?), Principal::local(), question);
        match maof.call(call).await {
            Ok(reply) => println!("{agent}: {}", reply.collect().await?.0.text()?),
            Err(error) => println!("{agent}: refused, {}", error.message()),
        }
    }
    maof.shutdown().await;
    Ok(())
}
