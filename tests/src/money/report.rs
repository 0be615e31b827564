//! What came of the parts: one row each, red where anything is wrong.

use std::fmt::Write as _;
use std::time::Duration;

/// A part that was played.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Its name, by which it is asked for.
    pub part: String,
    /// What happened, in a few words.
    pub what: String,
    /// By how much more was spent than may be, in nano-dollars.
    pub overspend: i64,
    /// Upstream calls that are neither a row nor covered by what counts as lost.
    pub lost_rows: i64,
    /// Holds that are open when everybody has gone.
    pub open_holds: i64,
    /// Rows and upstream calls.
    pub captured: Option<(i64, i64)>,
    /// Of the budget, what was used, in percent.
    pub used_percent: i64,
    /// What is wrong.
    pub wrong: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// The table's head.
pub const HEAD: &str = "\
| part | what | overspend | lost rows | open holds | capture rate | budget used | verdict |
|---|---|---|---|---|---|---|---|";

impl Row {
    /// Adds what is wrong by the row's own numbers.
    #[must_use]
    pub fn judged(mut self, used_at_least: i64) -> Row {
        let Row { overspend, lost_rows, open_holds, used_percent, .. } = self;
        let mut wrong = |is: bool, why: String| {
            if is {
                self.wrong.push(why);
            }
        };
        wrong(overspend > 0, format!("{overspend} nano-dollars were spent beyond the limit"));
        wrong(lost_rows != 0, format!("{lost_rows} upstream calls are accounted for by nothing"));
        wrong(open_holds != 0, format!("{open_holds} holds are open though everybody has gone"));
        wrong(
            used_percent < used_at_least,
            format!("only {used_percent} % of the budget was used: it proves nothing"),
        );
        self
    }

    /// A line of the table, in Markdown.
    pub fn line(&self) -> String {
        let Row { part, what, overspend, lost_rows, open_holds, used_percent, wrong, took, .. } = self;
        let captured = match self.captured {
            Some((rows, calls)) => {
                format!("{:.2} % ({rows}/{calls})", rows as f64 * 100.0 / calls.max(1) as f64)
            }
            None => "-".to_owned(),
        };
        let mut line = format!(
            "| {part} | {what}, {:.1} s | {overspend} | {lost_rows} | {open_holds} | {captured} | {used_percent} % | ",
            took.as_secs_f64()
        );
        let _ = match wrong.is_empty() {
            true => write!(line, "green |"),
            false => write!(line, "RED: {} |", wrong.join("; ")),
        };
        line
    }
}
