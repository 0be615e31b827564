//! The scripted upstream as a process of its own:
//! `maof-upstream [--port N] [--script JSON|@FILE] [--tls FILE]`.
//!
//! Prints its port on one line, then serves until it is killed. With `--tls` it also speaks HTTP/2 over TLS; that
//! port comes second, and FILE gets the certificate to trust; third is a port that nobody can connect to. `GET /__stats` tells what it has received.
#![allow(clippy::print_stdout, reason = "the test that starts it reads the port")]

use std::path::PathBuf;
use std::process::ExitCode;

use maof_testkit::{Deaf, Script, Upstream};

struct Options {
    port: u16,
    script: Script,
    tls: Option<PathBuf>,
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { port: 0, script: Script::default(), tls: None };
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--port" => options.port = value.parse().map_err(|_| format!("`{value}` is no port"))?,
            "--script" => {
                let text = match value.strip_prefix('@') {
                    Some(path) => std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?,
                    None => value,
                };
                options.script = serde_json::from_str(&text).map_err(|e| format!("--script: {e}"))?;
            }
            "--tls" => options.tls = Some(value.into()),
            _ => return Err(format!("there is no option {flag}; there are --port, --script and --tls")),
        }
    }
    Ok(options)
}

#[tokio::main]
#[allow(clippy::print_stderr, reason = "a program's own error")]
async fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("maof-upstream: {message}");
            return ExitCode::from(2);
        }
    };
    let mut upstream = Upstream::start_on(options.port, options.script).await;
    let port = upstream.address().port();
    let deaf = match &options.tls {
        Some(certificate) => {
            let (secure, deaf) = (upstream.start_tls(certificate).await, Deaf::start().await);
            println!("{port} {secure} {}", deaf.address().port());
            Some(deaf)
        }
        None => {
            println!("{port}");
            None
        }
    };
    upstream.run().await;
    drop(deaf);
    ExitCode::SUCCESS
}
