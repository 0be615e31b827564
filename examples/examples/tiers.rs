//! Service levels: a caller of the free tier is moved to a cheaper agent at 80 % of its month's money, refused when it is
//! used up, and shown what would have cost less. A caller of the premium tier asks the same and notices nothing.
//! Run it with `cargo run -p maof-examples --example tiers`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::Path;
use std::sync::Arc;

use maof::{Body, ChatRequest, Config, Maof, Principal, Result, Target, Window};

const TEXT: &str =
    "The committee lowered its rate. Growth slows. Inflation is contained. Markets had hoped for more.";

#[tokio::main]
async fn main() -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tiers/maof.yaml");
    let maof = Maof::builder(Config::load(&file)?).in_memory().build().await?;
    let ann = caller("ann", "free")?;
    for number in 1..=10 {
        ask(&maof, &ann, number).await?;
    }
    ask(&maof, &caller("bob", "pro")?, 1).await?;
    let costs = maof.costs();
    let (now, month) = (costs.now(), Window::Month.start(costs.now()));
    for suggestion in costs.suggestions(&ann, month, now).await? {
        println!("{} could have saved {}: {}", ann.user, suggestion.saves, suggestion.advice);
    }
    maof.shutdown().await;
    Ok(())
}

/// Somebody of a tier; the server takes it from the key that was shown.
fn caller(user: &str, tier: &str) -> Result<Arc<Principal>> {
    Ok(Arc::new(Principal { user: user.parse()?, tier: tier.parse()?, ..(*Principal::local()).clone() }))
}

async fn ask(maof: &Maof, caller: &Arc<Principal>, number: u32) -> Result<()> {
    let question = Body::from(ChatRequest::user(TEXT));
    let call = maof.new_call(Target::Name("editor".parse()?), Arc::clone(caller), question);
    match maof.call(call).await {
        Ok(reply) => {
            let agent = reply.head.chosen.as_ref().map(|chosen| chosen.agent.to_string()).unwrap_or_default();
            let near =
                reply.head.near.as_ref().map(|near| format!(", {} is at {} %", near.account, near.percent));
            let (_, end) = reply.collect().await?;
            let cost = end.cost.unwrap_or_default();
            println!("{} {number}: the {agent} answered for {cost}{}", caller.user, near.unwrap_or_default());
        }
        Err(error) => println!("{} {number}: refused, {}", caller.user, error.message()),
    }
    Ok(())
}
