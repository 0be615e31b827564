//! `maof serve`: the server, as `maof-server` is.

use maof::{Maof, Result};

use crate::exit;
use crate::options::Common;

/// Serve the REST API and the OpenAI-compatible gateway
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The address to listen on instead of the configured one
    #[arg(long, env = "MAOF_LISTEN", value_name = "HOST:PORT")]
    listen: Option<String>,
}

pub(crate) async fn run(common: &Common, args: Args) -> Result<u8> {
    let mut config = common.load(None)?;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    maof::start_logging(&config)?;
    // The port is taken first: a second server must not touch the first one's database.
    let listener = maof_http::bind(&config.server.listen).await?;
    let maof = Maof::builder(config).with_keys().build().await?;
    maof.work();
    if let Ok(address) = listener.local_addr() {
        eprintln!("listening on http://{address}");
    }
    maof_http::serve(listener, maof, maof_http::stop_signal()).await?;
    Ok(exit::SUCCESS)
}
