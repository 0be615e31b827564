//! Spending as people and programs read it.

use std::borrow::Cow;
use std::fmt::Write as _;

use maof_core::{Money, Spending, SpendingQuery, Spent, Unit};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// What was asked of the ledger, and what it answered.
#[derive(Clone, Copy, Debug)]
pub struct Breakdown<'a> {
    /// What was asked.
    pub query: &'a SpendingQuery,
    /// What was answered.
    pub spending: &'a Spending,
}

/// What stands in CSV for groups that are summed; no name has such signs.
const OTHER: &str = "(other)";

/// The columns of CSV behind the dimensions.
const COLUMNS: [&str; 8] = [
    "attempts",
    "failed",
    "estimated",
    "cost_usd",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
];

impl Breakdown<'_> {
    /// As CSV (RFC 4180, but with line feeds): a line for each group, the dearest first, and one for the groups that are
    /// summed, if there are any. A value that attempts do not have is empty.
    pub fn csv(&self) -> String {
        let dimensions: Vec<_> = self.query.by.iter().map(|by| by.as_str()).collect();
        let mut out = String::new();
        let header = dimensions.iter().map(|by| field(by)).chain(COLUMNS.into_iter().map(Cow::Borrowed));
        line(&mut out, header);
        for group in &self.spending.groups {
            let values = group.values.iter().map(|value| field(value.as_deref().unwrap_or_default()));
            line(&mut out, values.chain(numbers(&group.spent)));
        }
        if self.spending.others > 0 {
            let values = dimensions.iter().map(|_| Cow::Borrowed(OTHER));
            line(&mut out, values.chain(numbers(&self.spending.rest)));
        }
        out
    }
}

fn line<'a>(out: &mut String, fields: impl Iterator<Item = Cow<'a, str>>) {
    for (i, field) in fields.enumerate() {
        let comma = if i == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(out, "{comma}{field}");
    }
    out.push('\n');
}

/// A field, in quotes where it must be. What a spreadsheet would take for a formula begins with an apostrophe.
fn field(text: &str) -> Cow<'_, str> {
    let text = match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    };
    match text.contains([',', '"', '\n', '\r']) {
        true => Cow::Owned(format!("\"{}\"", text.replace('"', "\"\""))),
        false => text,
    }
}

fn numbers<'a>(spent: &Spent) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
    let Spent { attempts, failed, estimated, cost, usage, .. } = spent;
    let cached = usage.get(Unit::CachedInput) + usage.get(Unit::CachedAudio);
    let written = usage.get(Unit::CacheWrite) + usage.get(Unit::CacheWriteLong);
    let text = |number: &u64| number.to_string();
    let (input, output) = (usage.input_tokens(), usage.output_tokens());
    let dollars = cost.amount(&mut [0; Money::WIDEST]).to_owned();
    let fields = [text(attempts), text(failed), text(estimated), dollars];
    fields.into_iter().chain([input, cached, written, output].map(|n| n.to_string())).map(Cow::Owned)
}

impl Serialize for Breakdown<'_> {
    /// `by`, `since`, `until`, `rows` (the dimensions' values by their names, and what the group comes to), `other` (how
    /// many further `groups`, and what they come to; left out where there are none) and `total`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Spending { groups, others, rest } = self.spending;
        let by: Vec<_> = self.query.by.iter().map(|by| by.as_str()).collect();
        let row = |group: &maof_core::Group| {
            let values = by.iter().cloned().zip(group.values.iter().cloned());
            Row { values: values.collect(), groups: None, spent: group.spent }
        };
        let rows: Vec<Row<'_>> = groups.iter().map(row).collect();
        let sum = |spent, groups| Row { values: Vec::new(), groups, spent };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("by", &by)?;
        map.serialize_entry("since", &self.query.since.to_string())?;
        map.serialize_entry("until", &self.query.until.to_string())?;
        map.serialize_entry("rows", &rows)?;
        if *others > 0 {
            map.serialize_entry("other", &sum(*rest, Some(*others)))?;
        }
        map.serialize_entry("total", &sum(self.spending.total(), None))?;
        map.end()
    }
}

/// What one group comes to, or several.
struct Row<'a> {
    values: Vec<(Cow<'a, str>, Option<std::sync::Arc<str>>)>,
    groups: Option<u64>,
    spent: Spent,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Spent { attempts, failed, estimated, cost, usage, .. } = &self.spent;
        let mut map = serializer.serialize_map(None)?;
        for (by, value) in &self.values {
            map.serialize_entry(by, &value.as_deref())?;
        }
        if let Some(groups) = self.groups {
            map.serialize_entry("groups", &groups)?;
        }
        map.serialize_entry("attempts", attempts)?;
        map.serialize_entry("failed", failed)?;
        map.serialize_entry("estimated", estimated)?;
        // As text: JSON numbers are floats to many.
        map.serialize_entry("cost_usd", cost.amount(&mut [0; Money::WIDEST]))?;
        map.serialize_entry("input_tokens", &usage.input_tokens())?;
        map.serialize_entry("output_tokens", &usage.output_tokens())?;
        // Whether it is estimated is said above, by its number.
        let mut exact = *usage;
        exact.estimated = false;
        map.serialize_entry("usage", &exact)?;
        map.end()
    }
}
