//! `maof`: runs workflows, serves, and looks after tasks, from the command line.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line program prints")]

mod commands;
mod exit;
mod options;
mod report;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs work on many AI agents as one dependable system.
#[derive(Debug, Parser)]
#[command(name = "maof", version, about, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    common: options::Common,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  maof run examples/market-brief/workflow.yaml   run a workflow, watch it, see who did what
  maof run --resume ID                           go on with a run that was interrupted
  maof tasks list                                what was run, and how it ended
  maof config check maof.yaml                    find mistakes before they are made
  maof cost breakdown --by agent,day             where the money went
  maof serve --config maof.yaml                  serve the REST API and the OpenAI-compatible gateway

Exit codes: 0 success, 1 the task failed, 2 wrong usage, configuration or input, 3 not found,
4 not allowed, 5 in use or in conflict, 6 unavailable or too late, 7 over a budget or limit,
70 a defect of MAOF, 130 suspended by Ctrl-C.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a workflow and watch it
    Run(commands::run::Args),
    /// List, show and cancel tasks
    Tasks(commands::tasks::Args),
    /// List the agents
    Agents(commands::agents::Args),
    /// Check or show the configuration
    Config(commands::config::Args),
    /// Learn which model to ask, and choose for new prompts
    Route(commands::route::Args),
    /// Show, check and renew the prices of models
    Prices(commands::prices::Args),
    /// Where the money went, where it will go, and how to spend less
    Cost(commands::cost::Args),
    /// What budgets have left
    Budget(commands::budget::Args),
    /// Tell a server what an answer was worth, so that its router learns
    Feedback(commands::feedback::Args),
    /// Serve the REST API and the OpenAI-compatible gateway
    Serve(commands::serve::Args),
    /// Print a shell's completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Nothing is started for what needs no runtime: `--version` and completions answer at once.
    if let Command::Completions { shell } = cli.command {
        let mut command = <Cli as clap::CommandFactory>::command();
        clap_complete::generate(shell, &mut command, "maof", &mut std::io::stdout());
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime could be started: {error}");
            return ExitCode::from(exit::INTERNAL);
        }
    };
    let json = cli.common.json;
    match runtime.block_on(obey(cli)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => ExitCode::from(exit::tell(&error, json)),
    }
}

async fn obey(cli: Cli) -> maof::Result<u8> {
    maof::init();
    match cli.command {
        Command::Run(args) => commands::run::run(&cli.common, args).await,
        Command::Tasks(args) => commands::tasks::run(&cli.common, args).await,
        Command::Agents(args) => commands::agents::run(&cli.common, &args).await,
        Command::Config(args) => commands::config::run(&cli.common, args),
        Command::Route(args) => commands::route::run(&cli.common, args).await,
        Command::Prices(args) => commands::prices::run(&cli.common, args).await,
        Command::Cost(args) => commands::cost::run(&cli.common, args).await,
        Command::Budget(args) => commands::budget::run(&cli.common, args).await,
        Command::Feedback(args) => commands::feedback::run(&cli.common, args).await,
        Command::Serve(args) => commands::serve::run(&cli.common, args).await,
        Command::Completions { .. } => Ok(exit::SUCCESS),
    }
}
