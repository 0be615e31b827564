//! `maof agents`: who can be asked.

use maof::{Maof, Principal, Result};

use crate::exit;
use crate::options::Common;

pub(crate) async fn run(common: &Common) -> Result<u8> {
    let config = common.load(None)?;
    let maof = Maof::builder(config).in_memory().build().await?;
    let agents = maof.agents(&Principal::local());
    if common.json {
        println!("{}", serde_json::json!({ "agents": agents }));
        return Ok(exit::SUCCESS);
    }
    let width = agents.iter().map(|a| a.name.as_str().len()).max().unwrap_or(0);
    for agent in agents {
        let join = |names: &[maof::Name]| names.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(", ");
        println!("{:width$}  {}", agent.name, agent.description);
        println!("{:width$}  can: {}; asks: {}", "", join(&agent.capabilities), join(&agent.endpoints));
    }
    Ok(exit::SUCCESS)
}
