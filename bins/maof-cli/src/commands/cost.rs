//! `maof cost`: what was spent, what the month will come to, and how to spend less.

use std::time::Duration;

use clap::Subcommand;
use maof::costs::{Breakdown, Outlook, Suggestion};
use maof::{Costs, Dimension, Principal, Result, Spending, SpendingQuery, Timestamp, Window};
use serde_json::json;

use crate::exit;
use crate::options::Common;
use crate::table::Table;

/// Where the money went, where it will go, and how to spend less
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It reads the configured database, beside a server that works with it; a server tells its callers
the same at GET /cost/breakdown, /cost/suggestions and /cost/forecast. Times are UTC.

Examples:
  maof cost breakdown --by agent,day
  maof cost breakdown --by tag:team,model --since 2026-11-01 --csv > november.csv
  maof cost breakdown --by user --only agent=analyst --limit 10
  maof cost suggestions --days 7
  maof cost forecast --json")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print what was spent, by agent, endpoint, model, user, key, team, tier, task_type, tag:NAME, day and more
    Breakdown {
        /// By what, separated by commas; at most four
        #[arg(long, value_delimiter = ',', value_name = "DIMENSIONS", default_value = "agent")]
        by: Vec<Dimension>,
        /// From this day or moment on [default: the month's beginning]
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// Before this day or moment [default: now]
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
        /// Only attempts of this value; may be given several times
        #[arg(long, value_name = "DIMENSION=VALUE", value_parser = only)]
        only: Vec<(Dimension, String)>,
        /// At most this many lines, those that cost most; the others are summed
        #[arg(long, default_value_t = 1000)]
        limit: u32,
        /// Print CSV
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// Print what would have cost less, with the saving and the evidence
    Suggestions {
        /// How many days are looked at
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3660))]
        days: u32,
    },
    /// Print what this month will come to, in all and for each budget
    Forecast,
}

pub(super) fn only(text: &str) -> Result<(Dimension, String), String> {
    let (by, value) = text.split_once('=').ok_or("written DIMENSION=VALUE")?;
    by.parse().map(|by| (by, value.to_owned())).map_err(|e: maof::Error| e.message().to_owned())
}

pub(crate) async fn run(common: &Common, args: Args) -> Result<u8> {
    let costs = Costs::open(&common.load(None)?).await?;
    let (who, now) = (Principal::local(), costs.now());
    match args.action {
        Action::Breakdown { by, since, until, only, limit, csv } => {
            let since = since.unwrap_or_else(|| Window::Month.start(now));
            let mut query =
                costs.query(&who, since, until.unwrap_or_else(|| now.plus(Duration::from_micros(1))));
            (query.by, query.limit) = (by, limit);
            query.only.extend(only.into_iter().map(|(by, value)| (by, value.into())));
            let spending = costs.spending(&query).await?;
            let told = Breakdown { query: &query, spending: &spending };
            match (common.json, csv) {
                (true, _) => println!("{}", json!(told)),
                (false, true) => print!("{}", told.csv()),
                (false, false) => print!("{}", table(&query, &spending)),
            }
        }
        Action::Suggestions { days } => {
            let back = i64::from(days).saturating_mul(86_400_000_000);
            let since = Timestamp::from_micros(now.micros().saturating_sub(back));
            let found = costs.suggestions(&who, since, now.plus(Duration::from_micros(1))).await?;
            match common.json {
                true => println!(
                    "{}",
                    json!({"since": since.to_string(), "until": now.to_string(), "suggestions": found})
                ),
                false => print!("{}", advice(&found, days)),
            }
        }
        Action::Forecast => {
            let found = costs.forecast(&who).await?;
            match common.json {
                true => println!("{}", json!({ "forecasts": found })),
                false => print!("{}", outlooks(&found)),
            }
        }
    }
    Ok(exit::SUCCESS)
}

fn table(query: &SpendingQuery, spending: &Spending) -> String {
    let dimensions: Vec<String> = query.by.iter().map(|by| by.to_string()).collect();
    let head = dimensions.iter().map(String::as_str);
    let mut table =
        Table::new(head.chain(["attempts", "failed", "input", "output", "cost"]), dimensions.len());
    let numbers = |spent: &maof::Spent| {
        let (input, output) = (spent.usage.input_tokens(), spent.usage.output_tokens());
        let counts = [spent.attempts, spent.failed, input, output].map(|n| n.to_string());
        counts.into_iter().chain([spent.cost.to_string()])
    };
    for group in &spending.groups {
        let values = group.values.iter().map(|value| value.as_deref().unwrap_or("-").to_owned());
        table.line(values.chain(numbers(&group.spent)));
    }
    let named = |name: String| {
        let first = dimensions.iter().take(1).map(move |_| name.clone());
        first.chain(dimensions.iter().skip(1).map(|_| String::new()))
    };
    if spending.others > 0 {
        table.line(named(format!("({} others)", spending.others)).chain(numbers(&spending.rest)));
    }
    table.line(named("(all)".to_owned()).chain(numbers(&spending.total())));
    let day = |at: Timestamp| at.to_string();
    format!("from {} to {}\n\n{table}", day(query.since), day(query.until))
}

fn advice(found: &[Suggestion], days: u32) -> String {
    if found.is_empty() {
        return format!("the ledger of the last {days} days gives no reason for a suggestion\n");
    }
    let told = found.iter().map(|one| {
        let gain = match one.frees.nanos() {
            0 => format!("saves {}", one.saves),
            _ => format!("frees {} of each hold", one.frees),
        };
        let Suggestion { advice, evidence, assumes, .. } = one;
        format!("{gain}: {advice}\n  evidence: {}.\n  assumes: {assumes}\n\n", evidence.says)
    });
    format!("of the last {days} days\n\n{}", told.collect::<String>())
}

fn outlooks(found: &[Outlook]) -> String {
    if found.is_empty() {
        return "nothing to go by: there is no complete day with spending yet\n".to_owned();
    }
    let head = ["account", "counts", "so far", "a day", "at month's end", "limit", "used up"];
    let mut table = Table::new(head.into_iter(), 2);
    for one in found {
        let account = one.account.as_ref().map_or_else(|| "(all)".to_owned(), |name| name.to_string());
        let window = one.window.map(|w| format!(" a {w}")).unwrap_or_default();
        let limit = one.limit.map_or_else(|| "-".to_owned(), |limit| format!("{limit}{window}"));
        let used_up =
            one.runs_out.map_or_else(|| "-".to_owned(), |at| at.to_string().chars().take(10).collect());
        let counts = one.measure.as_str().to_owned();
        let amounts = [one.so_far, one.per_day, one.month_end].map(|amount| amount.to_string());
        table.line([account, counts].into_iter().chain(amounts).chain([limit, used_up]));
    }
    let days = found.iter().map(|one| one.days).max().unwrap_or(0);
    format!("{table}\nthe days that are left are taken to be as the last {days} complete ones were\n")
}
