//! `maof-server`: serves the REST API and the OpenAI-compatible gateway until it is told to stop. SIGHUP lets it read its configuration
//! again.
#![allow(clippy::print_stderr, reason = "a server's first words and last errors go to stderr")]

use std::path::{Path, PathBuf};
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

impl Args {
    /// The configuration of a file, else the built-in one; what the command line says wins over it.
    fn load(&self, file: Option<&Path>) -> Result<Config> {
        let mut config = file.map_or_else(|| Ok(Config::default()), Config::load)?;
        if let Some(listen) = &self.listen {
            config.server.listen.clone_from(listen);
        }
        if let Some(db) = &self.db {
            config.store.path.clone_from(db);
        }
        Ok(config)
    }
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
    let file = args.config.clone().or_else(|| here.is_file().then_some(here));
    let config = args.load(file.as_deref())?;
    maof::start_logging(&config)?;
    // The port is taken first: a second server must not touch the first one's database.
    let listener = maof_http::bind(&config.server.listen).await?;
    let mut builder = Maof::builder(config).with_keys();
    if let Some(file) = file {
        builder = builder.reloads(move || args.load(Some(&file)));
    }
    let maof = builder.build().await?;
    maof.work();
    let address = listener.local_addr();
    let serving = maof_http::serve(listener, maof, maof_http::stop_signal());
    if let Ok(address) = address {
        eprintln!("listening on http://{address}");
    }
    serving.await
}
