//! Spending by dimensions as a statement, for both databases: one pass over a tenant's attempts.

use std::fmt::Write as _;
use std::sync::Arc;

use maof_core::{Dimension, Group, Money, Spending, SpendingQuery, Spent, Timestamp, Unit, Usage};
use sqlx::Row;

/// Whose words a statement is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sql {
    Sqlite,
    #[cfg(feature = "postgres")]
    Postgres,
}

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
/// Costs are summed in two parts, so that no sum of them overflows: whole dollars, and what is left in nano-dollars.
const DOLLAR: i64 = maof_core::money::NANOS_PER_DOLLAR;

/// The statement, and the texts that are bound to it after tenant, `since`, `until`, `at_least` and `limit`. Its columns:
/// one for each dimension, those of [`columns`] as they are summed, how many groups the row is of, and its place.
pub(crate) fn select(sql: Sql, query: &SpendingQuery) -> (String, Vec<String>) {
    let mut texts = Texts { sql, bound: Vec::new() };
    let mut rows = "SELECT usage, began, micros, cost, failure, asked".to_owned();
    let (mut names, mut sorted, mut kept) = (String::new(), String::new(), String::new());
    let mut values = Vec::with_capacity(query.by.len());
    for (i, by) in query.by.iter().enumerate() {
        let value = texts.dimension(by);
        // Writing to a String cannot fail.
        let _ = write!(rows, ", {value} AS d{i}");
        let _ = write!(names, "d{i}, ");
        let _ = write!(sorted, ", d{i}{} NULLS LAST", sql.bytewise());
        // Of the rest, which is summed, no value is looked at.
        let _ = write!(kept, "min(d{i}), ");
        values.push(value);
    }
    let (tenant, since, until) = (sql.bound(1), sql.bound(2), sql.bound(3));
    let (few, limit) = (sql.bound(4), sql.bound(5));
    let mut asked = format!("tenant = {tenant} AND began >= {since} AND began < {until}");
    for (by, value) in &query.only {
        let (column, value) = (texts.dimension(by), texts.bind(value.to_string()));
        let _ = write!(asked, " AND {column} = {value}");
    }
    let _ = write!(rows, " FROM attempt WHERE {asked}");
    if query.at_least > 1 && !values.is_empty() {
        // Found first, by what costs little to read: mostly they are few of many.
        let places: Vec<String> = (1..=values.len()).map(|place| place.to_string()).collect();
        let (values, places) = (values.join(", "), places.join(", "));
        let _ = write!(
            rows,
            " AND ({values}) IN (SELECT {values} FROM attempt WHERE {asked} GROUP BY {places} HAVING count(*) >= {few})"
        );
    }
    let columns = columns(sql);
    let each: Vec<String> = columns.iter().map(|(name, sum, _)| format!("{sum} AS {name}")).collect();
    let again: Vec<String> =
        columns.iter().map(|(name, _, fold)| sql.whole(&format!("{fold}({name})"))).collect();
    let group = match names.is_empty() {
        true => String::new(),
        false => format!(" GROUP BY {}", names.trim_end_matches(", ")),
    };
    let statement = format!(
        "WITH mine AS ({rows}), \
         sums AS (SELECT {names}{each} FROM mine{group} HAVING count(*) >= {few}), \
         ranked AS (SELECT *, row_number() OVER (ORDER BY dollars + nanos / {DOLLAR} DESC, \
         nanos % {DOLLAR} DESC{sorted}) AS place FROM sums), \
         placed AS (SELECT *, CASE WHEN place > {limit} THEN {limit} + 1 ELSE place END AS spot FROM ranked) \
         SELECT {kept}{again}, count(*), spot FROM placed GROUP BY spot ORDER BY spot",
        each = each.join(", "),
        again = again.join(", "),
    );
    (statement, texts.bound)
}

/// The columns of what attempts come to: names, how they are summed over attempts, and over groups.
fn columns(sql: Sql) -> Vec<(String, String, &'static str)> {
    let most = Spent::MOST;
    let least = sql.least();
    let bounded = "asked IS NOT NULL AND failure IS NULL";
    let unit = |unit: Unit| sql.units(unit);
    let output: Vec<String> = Unit::OUTPUT.into_iter().map(unit).collect();
    let output = output.join(" + ");
    let mut columns = vec![
        ("n".to_owned(), "count(*)".to_owned(), "sum"),
        ("failed".to_owned(), "count(failure)".to_owned(), "sum"),
        ("estimated".to_owned(), format!("count(*) FILTER (WHERE {})", sql.estimated()), "sum"),
        ("dollars".to_owned(), sql.whole(&format!("sum(cost / {DOLLAR})")), "sum"),
        ("nanos".to_owned(), sql.whole(&format!("sum(cost % {DOLLAR})")), "sum"),
        ("took".to_owned(), sql.whole(&format!("sum({least}(micros, {most}))")), "sum"),
        ("bounded".to_owned(), format!("count(*) FILTER (WHERE {bounded})"), "sum"),
        (
            "bounds".to_owned(),
            sql.whole(&format!("sum(CASE WHEN {bounded} THEN {least}(asked, {most}) ELSE 0 END)")),
            "sum",
        ),
        ("given".to_owned(), sql.whole(&format!("sum(CASE WHEN {bounded} THEN {output} ELSE 0 END)")), "sum"),
        (
            "longest".to_owned(),
            sql.whole(&format!("max(CASE WHEN {bounded} THEN {output} ELSE 0 END)")),
            "max",
        ),
        ("largest".to_owned(), sql.whole(&format!("max({})", sql.input())), "max"),
        ("began_first".to_owned(), "min(began)".to_owned(), "min"),
        ("began_last".to_owned(), "max(began)".to_owned(), "max"),
    ];
    for unit in Unit::ALL {
        columns.push((format!("u_{unit}"), sql.whole(&format!("sum({})", sql.units(unit))), "sum"));
    }
    columns
}

impl Sql {
    /// The parameter of this number, from 1.
    fn bound(self, number: usize) -> String {
        match self {
            Sql::Sqlite => format!("?{number}"),
            #[cfg(feature = "postgres")]
            Sql::Postgres => format!("${number}"),
        }
    }

    /// The least of two values.
    fn least(self) -> &'static str {
        match self {
            Sql::Sqlite => "min",
            #[cfg(feature = "postgres")]
            Sql::Postgres => "least",
        }
    }

    /// Units of a class, at most as many as count.
    fn units(self, unit: Unit) -> String {
        let most = Spent::MOST;
        match self {
            Sql::Sqlite => {
                format!("CAST(min(coalesce(json_extract(usage, '$.{unit}'), 0), {most}) AS INTEGER)")
            }
            #[cfg(feature = "postgres")]
            Sql::Postgres => format!("least(coalesce((usage ->> '{unit}')::NUMERIC, 0), {most})"),
        }
    }

    /// All input tokens.
    fn input(self) -> String {
        let input: Vec<String> = Unit::INPUT.into_iter().map(|unit| self.units(unit)).collect();
        input.join(" + ")
    }

    /// Whether usage is estimated.
    fn estimated(self) -> &'static str {
        match self {
            Sql::Sqlite => "json_extract(usage, '$.estimated')",
            #[cfg(feature = "postgres")]
            Sql::Postgres => "(usage ->> 'estimated')::BOOLEAN",
        }
    }

    /// A sum as a whole number of 64 bits.
    fn whole(self, sum: &str) -> String {
        match self {
            Sql::Sqlite => sum.to_owned(),
            #[cfg(feature = "postgres")]
            Sql::Postgres => format!("{sum}::BIGINT"),
        }
    }

    /// What sorts texts by their bytes.
    fn bytewise(self) -> &'static str {
        match self {
            Sql::Sqlite => "",
            #[cfg(feature = "postgres")]
            Sql::Postgres => " COLLATE \"C\"",
        }
    }
}

/// Texts that are bound, and the expressions that need them.
struct Texts {
    sql: Sql,
    bound: Vec<String>,
}

impl Texts {
    fn bind(&mut self, text: String) -> String {
        self.bound.push(text);
        // After the five that every statement has.
        self.sql.bound(self.bound.len() + 5)
    }

    /// What an attempt has in a dimension, as text.
    fn dimension(&mut self, by: &Dimension) -> String {
        let sql = self.sql;
        let text = match by {
            Dimension::Agent => "agent",
            Dimension::Endpoint => "endpoint",
            Dimension::Model => "model",
            Dimension::User => "\"user\"",
            Dimension::Key => "key",
            Dimension::Team => "team",
            Dimension::Tier => "tier",
            Dimension::TaskType => "type",
            Dimension::Purpose => "coalesce(purpose, 'answer')",
            Dimension::Price => "price",
            Dimension::Question => "CAST(question AS TEXT)",
            Dimension::Opening => "CAST(opening AS TEXT)",
            Dimension::Day => return format!("CAST(began / {DAY} AS TEXT)"),
            Dimension::Tag(tag) => {
                return match sql {
                    // A name has no quotes.
                    Sql::Sqlite => format!("json_extract(tags, {})", self.bind(format!("$.\"{tag}\""))),
                    #[cfg(feature = "postgres")]
                    Sql::Postgres => format!("(tags ->> {}::TEXT)", self.bind(tag.to_string())),
                };
            }
            Dimension::InputSize => {
                let input = sql.input();
                let sizes =
                    Dimension::SIZES.iter().map(|size| format!(" WHEN {input} <= {size} THEN '{size}'"));
                return format!("CASE{} END", sizes.collect::<String>());
            }
        };
        text.to_owned()
    }
}

/// What the statement's rows say.
pub(crate) fn read<R>(query: &SpendingQuery, rows: &[R]) -> sqlx::Result<Spending>
where
    R: Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> i64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    for<'r> String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    for<'r> Option<String>: sqlx::Decode<'r, R::Database>,
{
    let mut spending = Spending::default();
    for row in rows {
        let dimensions = query.by.len();
        let values: Vec<i64> =
            (dimensions..row.len()).map(|i| row.try_get(i)).collect::<sqlx::Result<_>>()?;
        let Some((spent, of, spot)) = spent(&values) else {
            return Err(sqlx::Error::ColumnNotFound("spot".to_owned()));
        };
        if spot > i64::from(query.limit) {
            (spending.others, spending.rest) = (of, spent);
            continue;
        }
        let value = |(i, by): (usize, &Dimension)| {
            let text: Option<String> = row.try_get(i)?;
            Ok(text.map(|text| match by {
                Dimension::Day => day(&text),
                _ => Arc::from(text),
            }))
        };
        let values = query.by.iter().enumerate().map(value).collect::<sqlx::Result<_>>()?;
        spending.groups.push(Group { values, spent });
    }
    Ok(spending)
}

/// What attempts come to, how many groups they are, and their place.
fn spent(values: &[i64]) -> Option<(Spent, u64, i64)> {
    let (head, rest) = values.split_first_chunk::<13>()?;
    let (units, rest) = rest.split_first_chunk::<{ Unit::COUNT }>()?;
    let &[of, spot] = rest else { return None };
    let [n, failed, estimated, dollars, nanos, took, bounded, asked, given, longest, largest, first, last] =
        *head;
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    let mut usage = Usage::default();
    for (unit, units) in Unit::ALL.into_iter().zip(units) {
        usage = usage.with(unit, count(*units));
    }
    usage.estimated = estimated > 0;
    let cost = i128::from(dollars) * i128::from(DOLLAR) + i128::from(nanos);
    let spent = Spent {
        attempts: count(n),
        failed: count(failed),
        estimated: count(estimated),
        cost: Money::from_nanos(i64::try_from(cost).unwrap_or(i64::MAX)),
        usage,
        micros: count(took),
        bounded: count(bounded),
        asked: count(asked),
        given: count(given),
        longest: count(longest),
        largest: count(largest),
        first: Some(Timestamp::from_micros(first)),
        last: Some(Timestamp::from_micros(last)),
    };
    Some((spent, count(of), spot))
}

/// The day of this number since 1970, as people write it.
fn day(number: &str) -> Arc<str> {
    let day = number.parse::<i64>().unwrap_or(0).saturating_mul(DAY);
    let text = Timestamp::from_micros(day).to_string();
    text.get(..10).unwrap_or(&text).into()
}
