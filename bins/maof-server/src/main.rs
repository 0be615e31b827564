//! `maof-server`: serves the REST API and the OpenAI-compatible gateway until it is told to stop.
#![allow(clippy::print_stderr, reason = "a server's first words and last errors go to stderr")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use maof::{Config, Maof, Result};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Serves MAOF: tasks at /tasks, an OpenAI-compatible gateway at /v1.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "\
Examples:
  maof-server                                    local agents, loopback, port 8000
  maof-server --config maof.yaml --listen 0.0.0.0:8080"
)]
struct Args {
    /// The configuration file [default: maof.yaml here; else built-in local agents]
    #[arg(long, short, env = "MAOF_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address to listen on instead of the configured one
    #[arg(long, env = "MAOF_LISTEN", value_name = "HOST:PORT")]
    listen: Option<String>,
    /// The SQLite file to use instead of the configured one
    #[arg(long, env = "MAOF_DB", value_name = "FILE")]
    db: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    maof::init();
    match serve(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.message());
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> Result<()> {
    let here = PathBuf::from("maof.yaml");
    let mut config = match args.config.or_else(|| here.is_file().then_some(here)) {
        Some(path) => Config::load(&path)?,
        None => Config::default(),
    };
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    if let Some(db) = args.db {
        config.store.path = db;
    }
    maof::start_logging(&config)?;
    // The port is taken first: a second server must not touch the first one's database.
    let listener = maof_http::bind(&config.server.listen).await?;
    let maof = Maof::builder(config).with_keys().build().await?;
    maof.work();
    if let Ok(address) = listener.local_addr() {
        eprintln!("listening on http://{address}");
    }
    maof_http::serve(listener, maof, maof_http::stop_signal()).await
}
