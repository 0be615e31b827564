//! What came of the wall: a table for people, JSON for programs.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::case::Row;
use super::judge::Played;
use super::stage::Named;

/// A case that was judged.
#[derive(Clone, Debug)]
pub struct Line {
    /// The row's code.
    pub code: &'static str,
    /// How it was played.
    pub way: String,
    /// What the caller saw.
    pub saw: String,
    /// What the upstreams received.
    pub received: String,
    /// What was billed.
    pub billed: String,
    /// What is wrong.
    pub wrong: Vec<String>,
}

impl Line {
    /// The line of a case.
    pub fn of(code: &'static str, named: &Named, played: &Played, wrong: Vec<String>) -> Line {
        let case = &named.case;
        let note = if case.note.is_empty() { String::new() } else { format!(" ({})", case.note) };
        let saw = match played.calls.as_slice() {
            [only] => only.in_short(&case.answer()),
            calls => {
                let well = calls.iter().filter(|seen| seen.is_answer(&case.answer()).is_ok()).count();
                format!("{well} of {} calls answered", calls.len())
            }
        };
        let grown = match case.alone() {
            true => format!(", server +{} MiB", played.grown_kib / 1024),
            false => String::new(),
        };
        let asked: Vec<String> = played.ups.iter().map(|up| up.at_ms.len().to_string()).collect();
        let billed = played.rows.iter().flatten();
        let (rows, nanos) = billed.fold((0, 0), |(n, sum), row| (n + 1, sum + row.cost.nanos()));
        Line {
            code,
            way: format!("{}{note}", case.way),
            saw: saw + &grown,
            received: asked.join(" + "),
            billed: format!("{rows} rows, {:.1} u$", nanos as f64 / 1_000.0),
            wrong,
        }
    }
}

/// Everything that came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The rows, with their lines.
    pub rows: Vec<(Row, Vec<Line>)>,
    /// Layers that were taken away.
    pub without: Vec<&'static str>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Report {
    /// How many rows are red.
    pub fn red(&self) -> usize {
        self.rows.iter().filter(|(_, lines)| is_red(lines)).count()
    }

    /// The codes of the red rows.
    pub fn red_codes(&self) -> Vec<&'static str> {
        self.rows.iter().filter(|(_, lines)| is_red(lines)).map(|(row, _)| row.code).collect()
    }

    /// The table, in Markdown.
    pub fn table(&self) -> String {
        let mut out = String::new();
        for (row, lines) in &self.rows {
            let verdict = if is_red(lines) { "RED" } else { "green" };
            out += &format!("\n### {} {}: {verdict}\n\n{}.\n\n", row.code, row.fault, row.must);
            out += "| way | the caller saw | requests | billed | verdict |\n|---|---|---|---|---|\n";
            for line in lines {
                let verdict = if line.wrong.is_empty() {
                    "ok".to_owned()
                } else {
                    format!("RED: {}", line.wrong.join("; "))
                };
                let Line { way, saw, received, billed, .. } = line;
                out += &format!("| {way} | {saw} | {received} | {billed} | {verdict} |\n");
            }
        }
        out + &format!("\n{}\n", self.verdict())
    }

    /// Puts the table into a page, between the lines `<!-- measured -->` and `<!-- /measured -->`.
    ///
    /// # Errors
    /// When the page has no such lines.
    pub fn put_into(&self, page: &str) -> Result<String> {
        let (begin, end) = ("<!-- measured -->\n", "<!-- /measured -->");
        let (before, rest) = page.split_once(begin).context("the page has no `<!-- measured -->`")?;
        let (_, after) = rest.split_once(end).context("the page has no `<!-- /measured -->`")?;
        Ok(format!("{before}{begin}{}{end}{after}", self.table()))
    }

    /// One sentence.
    pub fn verdict(&self) -> String {
        let (red, rows) = (self.red(), self.rows.len());
        let cases: usize = self.rows.iter().map(|(_, lines)| lines.len()).sum();
        let without = match self.without.as_slice() {
            [] => String::new(),
            names => format!("Without {}: ", names.join(", ")),
        };
        let named = if red == 0 { String::new() } else { format!(" Red: {}.", self.red_codes().join(", ")) };
        format!("{without}{} of {rows} rows green ({cases} cases, {:.0} s).{named}", rows - red, self.seconds)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let line = |line: &Line| {
            json!({
                "way": line.way, "saw": line.saw, "received": line.received, "billed": line.billed, "wrong": line.wrong,
            })
        };
        let rows = self.rows.iter().map(|(row, lines)| {
            let green = !is_red(lines);
            let lines: Vec<Value> = lines.iter().map(line).collect();
            json!({"code": row.code, "fault": row.fault, "must": row.must, "green": green, "cases": lines})
        });
        json!({
            "rows": rows.collect::<Vec<_>>(), "red": self.red(), "without": self.without, "seconds": self.seconds,
        })
    }
}

fn is_red(lines: &[Line]) -> bool {
    lines.iter().any(|line| !line.wrong.is_empty())
}
