//! `maof budget`: what budgets have left.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use maof::costs::{Billed, Columns, Compared, Side, Standing};
use maof::{Costs, Dimension, Principal, Result, Timestamp};
use serde_json::json;

use super::cost::only;
use crate::exit;
use crate::options::Common;
use crate::table::Table;

/// What budgets have left
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It reads the configured database, beside a server that works with it. What calls under way hold
only that server knows, which tells it at GET /budget.

Examples:
  maof budget show
  maof budget show --json --config maof.yaml
  maof budget reconcile usage.csv --since 2026-11-01 --until 2026-12-01 --only endpoint=mini
  maof budget reconcile usage.json --since 2026-11-01 --until 2026-12-01 --cost amount")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print each budget's account: its limit, what is spent and left, and when it begins anew
    Show,
    /// Compare the ledger with a provider's export of usage, model by model; exit code 1 where they differ
    Reconcile {
        /// The export: CSV, TSV, JSON or JSON lines by its ending, with a row for each model (and day, and whatever else)
        file: PathBuf,
        /// From this day or moment on, as the export
        #[arg(long, value_name = "TIME")]
        since: Timestamp,
        /// Before this day or moment
        #[arg(long, value_name = "TIME")]
        until: Timestamp,
        /// Only attempts of this value, such as those at the provider's endpoint; may be given several times
        #[arg(long, value_name = "DIMENSION=VALUE", value_parser = only)]
        only: Vec<(Dimension, String)>,
        /// The export's column of models
        #[arg(long, value_name = "COLUMN", default_value = "model")]
        model: String,
        /// Its columns of input tokens, which are summed
        #[arg(long, value_name = "COLUMNS", value_delimiter = ',', default_value = "input_tokens")]
        input: Vec<String>,
        /// Its columns of output tokens, which are summed
        #[arg(long, value_name = "COLUMNS", value_delimiter = ',', default_value = "output_tokens")]
        output: Vec<String>,
        /// Its columns of dollars, which are summed
        #[arg(long, value_name = "COLUMNS", value_delimiter = ',', default_value = "cost,cost_usd")]
        cost: Vec<String>,
        /// Per cent that numbers may differ by
        #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
        tolerance: f64,
    },
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "a number from 0 to 100".to_owned())
}

pub(crate) async fn run(common: &Common, args: Args) -> Result<u8> {
    let costs = Costs::open(&common.load(None)?).await?;
    match args.action {
        Action::Show => show(common, &costs).await,
        Action::Reconcile { file, since, until, only, model, input, output, cost, tolerance } => {
            let columns = Columns { model, input, output, cost };
            let mut query = costs.query(&Principal::local(), since, until);
            query.only.extend(only.into_iter().map(|(by, value)| (by, value.into())));
            let compared = costs.reconcile(query, &read(&file, &columns)?).await?;
            Ok(told(common, &compared, (tolerance * 1e4) as u32))
        }
    }
}

fn read(file: &Path, columns: &Columns) -> Result<Vec<Billed>> {
    Billed::read(&maof::input::read_table(file)?, columns)
}

async fn show(common: &Common, costs: &Costs) -> Result<u8> {
    let budgets = costs.budgets(&Principal::local()).await?;
    match common.json {
        true => println!("{}", json!({ "budgets": budgets })),
        false if budgets.is_empty() => {
            println!("no budget is configured; `budgets` in the configuration makes some")
        }
        false => print!("{}", table(&budgets)),
    }
    Ok(exit::SUCCESS)
}

fn table(budgets: &[Standing]) -> Table {
    let head = ["account", "counts", "window", "limit", "spent", "left", "used", "resets"];
    let mut table = Table::new(head.into_iter(), 3);
    for one in budgets {
        let resets =
            one.resets.map_or_else(|| "never".to_owned(), |at| at.to_string().chars().take(19).collect());
        let names = [one.account.to_string(), one.measure.as_str().to_owned(), one.window.to_string()];
        let amounts = [one.limit, one.spent, one.left].map(|amount| amount.to_string());
        table.line(names.into_iter().chain(amounts).chain([format!("{:.1} %", 100.0 * one.share), resets]));
    }
    table
}

/// Prints both sides, and gives the exit code.
fn told(common: &Common, compared: &[Compared], millionths: u32) -> u8 {
    let agree = compared.iter().all(|one| one.agrees(millionths));
    if common.json {
        println!("{}", json!({"agree": agree, "models": compared}));
    } else {
        let head = ["model", "input", "theirs", "output", "theirs", "cost", "theirs", ""];
        let mut table = Table::new(head.into_iter(), 1);
        for one in compared {
            let tokens =
                |of: &dyn Fn(&Side) -> Option<u64>| [&one.ours, &one.theirs].map(|side| shown(of(side)));
            let cost = [&one.ours, &one.theirs].map(|side| shown(side.cost));
            let numbers = [tokens(&|side| side.input_tokens), tokens(&|side| side.output_tokens), cost]
                .into_iter()
                .flatten();
            let verdict = if one.agrees(millionths) { "agrees" } else { "differs" };
            table.line([one.model.clone()].into_iter().chain(numbers).chain([verdict.to_owned()]));
        }
        print!("{table}");
    }
    if agree { exit::SUCCESS } else { exit::FAILED }
}

fn shown<T: std::fmt::Display>(number: Option<T>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}
