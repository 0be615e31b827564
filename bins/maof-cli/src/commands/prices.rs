//! `maof prices`: what models cost, and new prices from a file or an address.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use maof::{Error, Result};
use maof_budget::price::{Catalogue, LONGEST_FILE, Model, RateConfig, Source, convert};
use reqwest::{Client, redirect};
use serde_json::{Value, json};

use crate::exit;
use crate::options::Common;

/// How long a server may take to send a price file.
const PATIENCE: Duration = Duration::from_secs(60);

/// Show, check and renew the prices of models
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maof prices show claude-haiku-4-5
  maof prices show openai/gpt-4o --json
  maof prices update --from https://prices.example/data.json --to prices.jsonl
  maof prices check prices.jsonl")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print what a model costs, at each provider that sells it
    Show {
        /// The model, or PROVIDER/MODEL
        model: String,
    },
    /// Find mistakes in a price file; exit code 2 if there are any
    Check {
        /// The file [default: `prices.file` of the configuration, else the built-in prices]
        file: Option<PathBuf>,
    },
    /// Write a price file from prices that are newer
    Update {
        /// A file or an http(s) address: a price file, or the data of genai-prices (prices.json)
        #[arg(long, value_name = "FILE|URL")]
        from: String,
        /// The file to write [default: `prices.file` of the configuration]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        /// Which edition it is, noted in the file
        #[arg(long, value_name = "TEXT", default_value = "not said")]
        edition: String,
    },
}

pub(crate) async fn run(common: &Common, args: Args) -> Result<u8> {
    match args.action {
        Action::Show { model } => show(common, &model)?,
        Action::Check { file } => {
            let catalogue = match &file {
                Some(file) => read(file)?,
                None => common.load(None)?.prices.catalogue()?.into_owned(),
            };
            tell(common, &catalogue, &[]);
        }
        Action::Update { from, to, edition } => {
            let to = match to.or(common.load(None)?.prices.file) {
                Some(to) => to,
                None => {
                    let why = "say which file to write, `--to FILE`, or configure `prices.file`";
                    return Err(Error::invalid_request(why).param("to"));
                }
            };
            update(common, &from, &to, &edition).await?;
        }
    }
    Ok(exit::SUCCESS)
}

fn show(common: &Common, asked: &str) -> Result<()> {
    let catalogue = common.load(None)?.prices.catalogue()?;
    let mut found: Vec<&Model> = Vec::new();
    let mut sellers: Vec<&str> = catalogue.models().iter().map(|model| model.provider.as_str()).collect();
    sellers.dedup();
    match asked.split_once('/').filter(|(provider, _)| catalogue.sells(provider)) {
        Some((provider, model)) => found.extend(catalogue.find(provider, model)),
        None => found.extend(sellers.iter().filter_map(|provider| catalogue.find(provider, asked))),
    }
    if found.is_empty() {
        let why =
            format!("no price of `{asked}` is known; write it as the provider does, or as PROVIDER/MODEL");
        return Err(Error::not_found(why).param("model"));
    }
    if common.json {
        println!("{}", json!({"source": catalogue.source(), "models": found}));
        return Ok(());
    }
    for model in found {
        let context = model.context.map(|c| format!(", {c} tokens of context")).unwrap_or_default();
        println!("{} at {}{context}", model.model, model.provider);
        model.prices.iter().for_each(|rate| println!("  {}", line(rate)));
    }
    let Source { source, version, .. } = catalogue.source();
    println!("US dollars for a million units, by {source} {version}");
    Ok(())
}

/// A rate with its conditions.
fn line(rate: &RateConfig) -> String {
    let mut words = Vec::new();
    let mut when =
        |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name} {value}")));
    when("from", rate.from.map(|day| day.to_string()));
    when("at", rate.hours.map(|hours| hours.to_string()));
    when("over", (rate.over > 0).then(|| rate.over.to_string()));
    when("service", rate.service.clone());
    let conditions = if words.is_empty() { String::new() } else { format!("{}: ", words.join(", ")) };
    let prices = match json!(rate.price) {
        Value::Object(prices) if !prices.is_empty() => prices,
        _ => return format!("{conditions}free"),
    };
    let each = |(class, price): (&String, &Value)| format!("{class} {}", price.as_str().unwrap_or_default());
    format!("{conditions}{}", prices.iter().map(each).collect::<Vec<_>>().join(", "))
}

fn read(path: &Path) -> Result<Catalogue> {
    let config = maof_budget::price::Config { file: Some(path.to_owned()), ..Default::default() };
    config.catalogue().map(std::borrow::Cow::into_owned)
}

/// What a price file holds, and what was left out of it.
fn tell(common: &Common, catalogue: &Catalogue, left_out: &[String]) {
    let source = catalogue.source();
    if common.json {
        println!("{}", json!({"ok": true, "source": source, "left_out": left_out}));
        return;
    }
    println!("{} models, by {} {} ({})", source.models, source.source, source.version, source.licence);
    left_out.iter().for_each(|what| println!("left out: {what}"));
}

async fn update(common: &Common, from: &str, to: &Path, edition: &str) -> Result<()> {
    let text = if from.starts_with("http://") || from.starts_with("https://") {
        fetch(from).await?
    } else {
        let unread = |e: std::io::Error| wrong_source(format!("it cannot be read: {e}"));
        let bytes = std::fs::read(from).map_err(unread)?;
        String::from_utf8(bytes).map_err(|_| wrong_source("it is no text".to_owned()))?
    };
    let (catalogue, left_out) = if text.trim_start().starts_with('[') {
        let read = convert(&text)?;
        let source = Source::new("genai-prices", edition, "MIT", &sha256(&text));
        (Catalogue::new(source, read.models)?, read.left_out)
    } else {
        (Catalogue::read(&text)?, Vec::new())
    };
    let before = read(to).ok();
    write(to, &catalogue.write()?)?;
    if let Some(before) = before.filter(|_| !common.json && !common.quiet) {
        changes(&before, &catalogue).iter().for_each(|change| println!("{change}"));
    }
    tell(common, &catalogue, &left_out);
    Ok(())
}

fn sha256(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn wrong_source(why: String) -> Error {
    Error::invalid_request(why).param("from")
}

async fn fetch(url: &str) -> Result<String> {
    let client = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::limited(3)).build();
    let client = client.map_err(|e| Error::internal("no HTTP client could be made").because(e))?;
    let unanswered = |e: reqwest::Error| {
        Error::unavailable("no prices came from there; try again").param("from").because(e)
    };
    let mut answer = client.get(url).send().await.map_err(unanswered)?;
    if !answer.status().is_success() {
        let why = format!("the server there answered with the status {}", answer.status().as_u16());
        return Err(Error::unavailable(why).param("from"));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unanswered)? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_FILE {
            return Err(Error::too_large("a price file has at most 16 MiB").param("from"));
        }
    }
    String::from_utf8(body).map_err(|_| wrong_source("it is no text".to_owned()))
}

/// Writes all of it or nothing: who reads it meanwhile finds the old one or the new one.
fn write(path: &Path, text: &str) -> Result<()> {
    let beside = path.with_extension("new");
    let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|e| {
        let _ = std::fs::remove_file(&beside);
        Error::invalid_request(format!("{} cannot be written: {e}", path.display())).param("to")
    })
}

/// What is new, gone and otherwise than before.
fn changes(before: &Catalogue, after: &Catalogue) -> Vec<String> {
    let named = |model: &Model| format!("{}/{}", model.provider, model.model);
    let mut old: HashMap<String, &Model> =
        before.models().iter().map(|model| (named(model), model)).collect();
    let mut changes = Vec::new();
    for model in after.models() {
        match old.remove(&named(model)) {
            None => changes.push(format!("new: {}", named(model))),
            Some(was) if was.prices != model.prices => changes.push(format!("changed: {}", named(model))),
            Some(_) => {}
        }
    }
    let mut gone: Vec<String> = old.into_keys().map(|name| format!("gone: {name}")).collect();
    gone.sort_unstable();
    changes.extend(gone);
    changes
}
