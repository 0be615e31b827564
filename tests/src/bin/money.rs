//! `money`: spends in every way that could overspend, and judges what comes of it.
//!
//! The exit code is the number of red rows. docs/money.md says what the rows mean.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is a table")]

use std::process::ExitCode;

use anyhow::{Result, bail};
use maof_tests::money::{self, planted, report};

const USAGE: &str = "\
money [PART …]       plays the parts whose names begin so (default: all); the exit code is the number of red rows
money --only PART    plays this part
money --list         the parts
money --planted      built with the feature `planted`: each of five bugs must turn a row red";

async fn run(args: &[String]) -> Result<usize> {
    let all = money::parts();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let parts: Vec<&str> = match args[..] {
        ["--planted"] => return planted::find_all(),
        ["--list"] => {
            all.iter().for_each(|part| println!("{part}"));
            return Ok(0);
        }
        ["--only", part] => vec![part],
        _ if args.iter().any(|arg| arg.starts_with('-')) => bail!("{USAGE}"),
        [] => all,
        _ => all.into_iter().filter(|part| args.iter().any(|name| part.starts_with(name))).collect(),
    };
    if parts.is_empty() {
        bail!("there are no such parts; --list tells which there are");
    }
    println!("{}", report::HEAD);
    let mut red = 0;
    for part in parts {
        let row = money::play(part).await?;
        println!("{}", row.line());
        red += usize::from(!row.wrong.is_empty());
    }
    Ok(red)
}

#[tokio::main]
async fn main() -> ExitCode {
    maof::init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args).await {
        Ok(red) => ExitCode::from(u8::try_from(red).unwrap_or(100)),
        Err(error) => {
            eprintln!("money: {error:#}");
            ExitCode::from(101)
        }
    }
}
