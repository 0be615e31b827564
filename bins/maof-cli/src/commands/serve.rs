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
    let (file, common) = (common.find(None), common.clone());
    let load = move || {
        let mut config = common.load(None)?;
        if let Some(listen) = &args.listen {
            config.server.listen.clone_from(listen);
        }
        Ok(config)
    };
    let config = load()?;
    maof::start_logging(&config)?;
    // The port is taken first: a second server must not touch the first one's database.
    let listener = maof_http::bind(&config.server.listen).await?;
    let mut builder = Maof::builder(config).with_keys();
    if file.is_some() {
        builder = builder.reloads(load);
    }
    let maof = builder.build().await?;
    maof.work();
    let address = listener.local_addr();
    let serving = maof_http::serve(listener, maof, maof_http::stop_signal());
    if let Ok(address) = address {
        eprintln!("listening on http://{address}");
    }
    serving.await?;
    Ok(exit::SUCCESS)
}
