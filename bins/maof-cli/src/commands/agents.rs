//! `maof agents`: who can be asked.

use maof::{AgentInfo, ErrorKind, Maof, Name, Principal, Probed, Result};

use crate::exit;
use crate::options::Common;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ask each endpoint whether it is well, without a call; exit code 6 if one is not
    #[arg(long)]
    probe: bool,
}

pub(crate) async fn run(common: &Common, args: &Args) -> Result<u8> {
    let config = common.load(None)?;
    let maof = Maof::builder(config).in_memory().build().await?;
    let agents = maof.agents(&Principal::local());
    let probed = if args.probe { maof.probe().await } else { Vec::new() };
    if common.json {
        let mut told = serde_json::json!({ "agents": agents });
        if args.probe {
            told["endpoints"] = serde_json::json!(probed);
        }
        println!("{told}");
    } else {
        show(&agents);
        tell(&probed);
    }
    match probed.iter().any(|probed| probed.error.is_some()) {
        true => Ok(exit::code(ErrorKind::Unavailable)),
        false => Ok(exit::SUCCESS),
    }
}

fn show(agents: &[AgentInfo]) {
    let width = agents.iter().map(|a| a.name.as_str().len()).max().unwrap_or(0);
    for agent in agents {
        let join = |names: &[Name]| names.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(", ");
        println!("{:width$}  {}", agent.name, agent.description);
        println!("{:width$}  can: {}; asks: {}", "", join(&agent.capabilities), join(&agent.endpoints));
    }
}

fn tell(probed: &[Probed]) {
    let width = probed.iter().map(|p| p.endpoint.as_str().len()).max().unwrap_or(0);
    for Probed { endpoint, status, took_ms, error, .. } in probed {
        match error {
            Some(error) => println!("{endpoint:width$}  {status}: {}", error.message),
            None if *status == "well" => println!("{endpoint:width$}  {status} ({took_ms:.0} ms)"),
            None => println!("{endpoint:width$}  {status}"),
        }
    }
}
