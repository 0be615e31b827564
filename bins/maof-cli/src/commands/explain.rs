//! `maof route explain`: whom the router would ask for a prompt, and why. Nobody is asked.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use maof::{Body, ChatRequest, Error, Maof, Name, Principal, Result, Route as _, Target};
use maof_router::difficulty;
use serde_json::json;

use crate::options::Common;

/// How much of the standard input is read, in bytes.
const MOST: u64 = 16 * 1024 * 1024;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The router begins anew: what it learned or measured in a running server is not known here.

Examples:
  echo 'Why is the sky blue?' | maof route explain --task-type summary
  maof route explain --config maof.yaml --model analyst --tag team=finance --json < prompt.txt")]
pub(crate) struct Args {
    /// The agent, endpoint or model that is asked for
    #[arg(long, short, value_name = "NAME", conflicts_with_all = ["task_type", "capability"])]
    model: Option<Name>,
    /// The type of the task
    #[arg(long, value_name = "TYPE", conflicts_with = "capability")]
    task_type: Option<Name>,
    /// What whoever answers must be able to do
    #[arg(long, value_name = "NAME")]
    capability: Option<Name>,
    /// What the call says of itself; may be given several times
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(Name, Name)>,
    /// The session that the call belongs to
    #[arg(long, value_name = "ID")]
    session: Option<String>,
}

fn tag(text: &str) -> std::result::Result<(Name, Name), String> {
    let (key, value) = text.split_once('=').ok_or("a tag is written KEY=VALUE")?;
    let name = |text: &str| Name::new(text).map_err(|e| e.message().to_owned());
    Ok((name(key)?, name(value)?))
}

pub(crate) async fn run(common: &Common, args: Args) -> Result<()> {
    let target = match (args.model, args.task_type, args.capability) {
        (Some(name), ..) => Target::Name(name),
        (None, Some(task_type), _) => Target::TaskType(task_type),
        (None, None, Some(capability)) => Target::Capability(capability),
        (None, None, None) => {
            let why = "say what is asked for: --model, --task-type or --capability";
            return Err(Error::invalid_request(why).param("model"));
        }
    };
    let mut prompt = String::new();
    let read = std::io::stdin().lock().take(MOST).read_to_string(&mut prompt);
    read.map_err(|e| Error::invalid_request(format!("the prompt cannot be read: {e}")).param("prompt"))?;
    let maof = Maof::builder(common.load(None)?).in_memory().build().await?;
    let body = Body::from(ChatRequest::user(prompt));
    let difficulty = difficulty(&body);
    let mut call = maof.new_call(target, Principal::local(), body);
    call.provenance.session = args.session.map(Arc::from);
    let tags: BTreeMap<Name, Name> = args.tags.into_iter().collect();
    call.provenance.tags = (!tags.is_empty()).then(|| Arc::new(tags));
    let decision = maof.router().decide(&call)?;
    let told = decision.explain();
    if common.json {
        let mut said = json!(told);
        said["difficulty"] = json!(difficulty);
        println!("{said}");
        return Ok(());
    }
    println!("strategy {}: {}", told.strategy, told.found);
    if let Some(arm) = told.arm {
        println!("arm {arm} of the split");
    }
    println!("difficulty {difficulty:.2}");
    for (place, one) in (1..).zip(&told.candidates) {
        let scores: Vec<String> =
            one.scores.0.iter().map(|(stage, score)| format!("{stage} {score}")).collect();
        println!("{place}. {} at {}  {}", one.agent, one.endpoint, scores.join(", "));
    }
    for one in &told.left_out {
        println!("not {} at {}: {}", one.agent, one.endpoint, one.why.as_str());
    }
    match told.propensity {
        Some(certain) if certain >= 1.0 => {}
        Some(chance) => println!("drawn with a probability of {chance:.4}"),
        None => println!("drawn"),
    }
    Ok(())
}
