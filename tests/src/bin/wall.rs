//! `wall`: plays every fault that an upstream is known for at a real server, and judges what comes of it.
//!
//! The exit code is the number of red rows. docs/failure-wall.md says how to read the table.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is a table")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use maof_tests::wall::{self, capacity, case::Row, layers, storm};

const USAGE: &str = "\
wall [ROW …] [--json] [--list]     plays the rows (default: all); the exit code is the number of red ones
wall --page FILE                   the same, and puts the table into the page
wall --without LAYER [ROW …]       the same with a layer taken away
wall --layers [LAYER …]            takes each layer away in turn: at least one of its rows must turn red
wall --storm [SECONDS]             60 s of failures at 50 requests a second, then calm
wall --capacity                    an upstream is offered what it can do, then twice that: five rounds";

#[derive(Debug, Default)]
struct Options {
    names: Vec<String>,
    without: Vec<layers::Layer>,
    json: bool,
    list: bool,
    layers: bool,
    storm: bool,
    capacity: bool,
    page: Option<PathBuf>,
}

fn options() -> Result<Options> {
    let mut options = Options::default();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => options.json = true,
            "--list" => options.list = true,
            "--layers" => options.layers = true,
            "--storm" => options.storm = true,
            "--capacity" => options.capacity = true,
            "--page" => options.page = args.next().map(PathBuf::from),
            "--help" => bail!("{USAGE}"),
            "--without" => options.without.push(layers::find(&args.next().unwrap_or_default())?),
            flag if flag.starts_with('-') => bail!("there is no option {flag}\n{USAGE}"),
            name => options.names.push(name.to_owned()),
        }
    }
    Ok(options)
}

/// The rows of these names; all, if there are none.
fn rows(names: &[String]) -> Result<Vec<Row>> {
    let all = wall::rows();
    if let Some(name) = names.iter().find(|name| !all.iter().any(|row| row.code.eq_ignore_ascii_case(name))) {
        bail!(
            "there is no row `{name}`; there are {}",
            all.iter().map(|r| r.code).collect::<Vec<_>>().join(", ")
        );
    }
    let wanted = |row: &Row| names.is_empty() || names.iter().any(|name| row.code.eq_ignore_ascii_case(name));
    Ok(all.into_iter().filter(wanted).collect())
}

/// Takes away each layer in turn; gives the number of those that nothing misses. A row that is red with all
/// layers in place misses nobody.
async fn without_each(names: &[String]) -> Result<usize> {
    let wanted = |layer: &layers::Layer| names.is_empty() || names.iter().any(|name| name == layer.name);
    let taken: Vec<layers::Layer> = layers::LAYERS.into_iter().filter(wanted).collect();
    let guards: Vec<String> =
        taken.iter().flat_map(|layer| layer.guards).map(|code| (*code).to_owned()).collect();
    let before = wall::play(rows(&guards)?, &[]).await?.red_codes();
    let mut unmissed = 0;
    println!("| without | rows that turn red | of | verdict |\n|---|---|---|---|");
    for layer in taken {
        let guards: Vec<String> = layer.guards.iter().map(|code| (*code).to_owned()).collect();
        let red = wall::play(rows(&guards)?, &[layer]).await?.red_codes();
        let turned: Vec<&str> = red.into_iter().filter(|code| !before.contains(code)).collect();
        unmissed += usize::from(turned.is_empty());
        let verdict = if turned.is_empty() { "RED: nothing misses it" } else { "ok" };
        println!("| {} | {} | {} | {verdict} |", layer.name, turned.join(", "), guards.join(", "));
    }
    Ok(unmissed)
}

async fn run(options: Options) -> Result<usize> {
    if options.list {
        wall::rows()
            .iter()
            .for_each(|row| println!("{:8} {} ({} cases)", row.code, row.fault, row.cases.len()));
        return Ok(0);
    }
    if options.layers {
        return without_each(&options.names).await;
    }
    if options.storm {
        let seconds = options.names.first().map_or(Ok(60), |text| text.parse())?;
        let storm = storm::play(seconds, &options.without).await?;
        println!("{}", if options.json { storm.json().to_string() } else { storm.table() });
        return Ok(storm.wrong.len());
    }
    if options.capacity {
        let all = capacity::play(&options.without).await?;
        for capacity in &all {
            println!("{}", if options.json { capacity.json().to_string() } else { capacity.table() });
        }
        return Ok(all.iter().map(|capacity| capacity.wrong.len()).sum());
    }
    let report = wall::play(rows(&options.names)?, &options.without).await?;
    println!("{}", if options.json { report.json().to_string() } else { report.table() });
    if let Some(page) = &options.page {
        std::fs::write(page, report.put_into(&std::fs::read_to_string(page)?)?)?;
    }
    Ok(report.red())
}

#[tokio::main]
async fn main() -> ExitCode {
    maof::init();
    let red = match options() {
        Ok(options) => run(options).await,
        Err(error) => Err(error),
    };
    match red {
        Ok(red) => ExitCode::from(u8::try_from(red).unwrap_or(100)),
        Err(error) => {
            eprintln!("wall: {error:#}");
            ExitCode::from(101)
        }
    }
}
