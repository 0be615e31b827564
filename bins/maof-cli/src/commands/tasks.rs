//! `maof tasks`: list, show, cancel.

use clap::Subcommand;
use maof::{Principal, Result, RunFilter, RunId, RunState, Tasks};
use serde_json::json;

use crate::options::Common;
use crate::{exit, report};

/// List, show and cancel tasks
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List tasks, newest first
    List {
        /// Only those that stand so
        #[arg(long, value_parser = state)]
        status: Option<RunState>,
        /// At most this many
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Show who did what in a task
    Show {
        /// The task's id
        id: RunId,
    },
    /// Cancel a task
    Cancel {
        /// The task's id
        id: RunId,
    },
}

fn state(text: &str) -> Result<RunState, String> {
    let known = RunState::ALL.into_iter().find(|s| s.as_str() == text);
    known.ok_or_else(|| "one of queued, running, completed, failed, cancelled".to_owned())
}

pub(crate) async fn run(common: &Common, args: Args) -> Result<u8> {
    let config = common.load(None)?;
    let tasks = Tasks::open(&config).await?;
    let who = Principal::local();
    match args.action {
        Action::List { status, limit } => {
            let filter = RunFilter { state: status, before: None, limit: limit.clamp(1, 1000) };
            let runs = tasks.runs(&who, filter).await?;
            if common.json {
                println!("{}", json!({ "tasks": runs }));
            } else if runs.is_empty() {
                println!("no tasks in {}", config.store.path.display());
            } else {
                for run in runs {
                    let state = run.state.as_str();
                    println!("{}  {state:9}  {}  {}", run.id, run.created, run.workflow);
                }
            }
        }
        Action::Show { id } => {
            let found = tasks.report(&who, id).await?;
            match common.json {
                true => println!("{}", json!(found)),
                false => print!("{}", report::text(&found)),
            }
        }
        Action::Cancel { id } => {
            let cancelled = tasks.cancel(&who, id).await?;
            match (common.json, cancelled) {
                (true, _) => println!("{}", json!({"id": id, "cancelled": cancelled})),
                (false, true) => println!("{id} is cancelled"),
                (false, false) => println!("{id} had already ended"),
            }
        }
    }
    Ok(exit::SUCCESS)
}
