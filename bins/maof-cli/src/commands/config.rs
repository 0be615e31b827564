//! `maof config`: check, show, and the JSON schema for editors.

use std::path::PathBuf;

use clap::Subcommand;
use maof::{Config, Result};
use serde_json::json;

use crate::exit;
use crate::options::Common;

/// Check or show the configuration
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Find mistakes; exit code 2 if there are any
    Check {
        /// The file [default: as for every command]
        file: Option<PathBuf>,
    },
    /// Print the configuration with every default, secrets masked
    Show {
        /// The file [default: as for every command]
        file: Option<PathBuf>,
    },
    /// Print the JSON schema of configuration files
    Schema {
        /// Of workflow files instead
        #[arg(long)]
        workflow: bool,
    },
    /// Print every metric: name, kind, labels, meaning
    Metrics,
}

pub(crate) fn run(common: &Common, args: Args) -> Result<u8> {
    match args.action {
        Action::Schema { workflow: false } => println!("{}", Config::schema()),
        Action::Schema { workflow: true } => println!("{}", Config::workflow_schema()),
        Action::Metrics => {
            for metric in maof::metric_names() {
                println!("{metric}");
            }
        }
        Action::Check { file } => {
            let path = file.or_else(|| common.find(None));
            let config = match &path {
                Some(path) => Config::load(path)?,
                None => Config::default(),
            };
            let warnings = config.check()?;
            let name = path.map_or_else(|| "the built-in configuration".into(), |p| p.display().to_string());
            if common.json {
                println!("{}", json!({"ok": true, "file": name, "warnings": warnings}));
            } else {
                println!("{name} is valid: {}", config.summary());
                for warning in warnings {
                    println!("warning: {warning}");
                }
            }
        }
        Action::Show { file } => {
            let config = match file.or_else(|| common.find(None)) {
                Some(path) => Config::load(&path)?,
                None => Config::default(),
            };
            println!("{}", config.masked());
        }
    }
    Ok(exit::SUCCESS)
}
