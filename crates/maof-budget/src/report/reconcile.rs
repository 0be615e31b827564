//! What a provider says it was asked, against what the ledger says: model by model.
//!
//! ```
//! use maof_budget::report::{Billed, Columns};
//! let export = serde_json::json!({"data": [{"model": "m", "input_tokens": 7, "output_tokens": "2", "cost": 0.5}]});
//! let billed = Billed::read(&export, &Columns::default())?;
//! assert_eq!((billed[0].input, billed[0].cost.map(|c| c.to_string())), (Some(7), Some("$0.50".to_owned())));
//! # Ok::<(), maof_core::Error>(())
//! ```

use std::collections::BTreeMap;

use maof_core::{Error, Money, Result, Spending, Spent};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// How deep rows may lie in a provider's JSON.
const DEEPEST: usize = 8;

/// What the columns of an export are called. Of several names all that a row has are summed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The model's.
    pub model: String,
    /// Those of input tokens, cached ones included.
    pub input: Vec<String>,
    /// Those of output tokens.
    pub output: Vec<String>,
    /// Those of the cost in US dollars.
    pub cost: Vec<String>,
}

impl Default for Columns {
    /// `model`, `input_tokens`, `output_tokens`, `cost` or `cost_usd`.
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Columns {
            model: "model".to_owned(),
            input: names(&["input_tokens"]),
            output: names(&["output_tokens"]),
            cost: names(&["cost", "cost_usd"]),
        }
    }
}

/// What a provider says of one model, or a row of its export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Billed {
    /// The model, as the provider calls it.
    pub model: String,
    /// Input tokens, cached ones included; none where it does not say.
    pub input: Option<u64>,
    /// Output tokens.
    pub output: Option<u64>,
    /// What it charged.
    pub cost: Option<Money>,
}

impl Billed {
    /// The rows of an export: objects with the model's column, in lists and objects however deep up to eight levels.
    ///
    /// # Errors
    /// `invalid_request` naming the column: no row has the model's, or a value is no number of tokens or dollars.
    pub fn read(export: &Value, columns: &Columns) -> Result<Vec<Billed>> {
        let mut rows = Vec::new();
        gather(export, &columns.model, DEEPEST, &mut rows);
        if rows.is_empty() {
            let why = format!("no row has a column `{}`; say what it is called", columns.model);
            return Err(Error::invalid_request(why).param("model"));
        }
        rows.into_iter().map(|row| one(row, columns)).collect()
    }
}

fn gather<'a>(value: &'a Value, model: &str, deep: usize, rows: &mut Vec<&'a Map<String, Value>>) {
    match value {
        Value::Object(row) if row.get(model).is_some_and(Value::is_string) => rows.push(row),
        Value::Object(fields) if deep > 0 => {
            fields.values().for_each(|value| gather(value, model, deep - 1, rows));
        }
        Value::Array(items) if deep > 0 => items.iter().for_each(|item| gather(item, model, deep - 1, rows)),
        _ => {}
    }
}

fn one(row: &Map<String, Value>, columns: &Columns) -> Result<Billed> {
    let tokens = |text: &str| text.parse::<u64>().ok();
    Ok(Billed {
        model: row.get(&columns.model).and_then(Value::as_str).unwrap_or_default().to_owned(),
        input: sum(row, &columns.input, tokens, u64::saturating_add)?,
        output: sum(row, &columns.output, tokens, u64::saturating_add)?,
        cost: sum(row, &columns.cost, dollars, Money::plus)?,
    })
}

fn sum<T>(
    row: &Map<String, Value>,
    names: &[String],
    read: impl Fn(&str) -> Option<T>,
    add: impl Fn(T, T) -> T,
) -> Result<Option<T>> {
    let mut all = None;
    for name in names {
        let text = match row.get(name) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) if text.trim().is_empty() => continue,
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(other) => other.to_string(),
        };
        let value = read(&text).ok_or_else(|| {
            let why = format!("`{text}` in the column `{name}` is no number of tokens or dollars");
            Error::invalid_request(why).param(name.clone())
        })?;
        all = Some(match all {
            Some(so_far) => add(so_far, value),
            None => value,
        });
    }
    Ok(all)
}

/// Dollars with any number of decimals: what is less than a nano-dollar is left out.
fn dollars(text: &str) -> Option<Money> {
    let plain = match text.contains(['e', 'E']) {
        // The shortest text without an exponent that reads back as this number.
        true => text.parse::<f64>().ok().filter(|number| number.is_finite())?.to_string(),
        false => text.to_owned(),
    };
    let cut = plain.find('.').and_then(|point| plain.get(..point + 10)).unwrap_or(&plain);
    cut.parse().ok()
}

/// One model on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// The model, as the provider calls it, or as we do where it does not know of it.
    pub model: String,
    /// What the ledger says.
    pub ours: Side,
    /// What the provider says.
    pub theirs: Side,
}

/// What one side says of a model; none where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u64>,
    /// Of these, how many have an estimated usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated: Option<u64>,
    /// Input tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Output tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// The cost.
    #[serde(rename = "cost_usd", skip_serializing_if = "Option::is_none", serialize_with = "written")]
    pub cost: Option<Money>,
}

fn written<S: Serializer>(money: &Option<Money>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    money.map(|money| money.amount(&mut [0; Money::WIDEST]).to_owned()).serialize(serializer)
}

impl Compared {
    /// Whether both sides say the same of whatever the provider says, but for so many millionths of it.
    pub fn agrees(&self, millionths: u32) -> bool {
        let near = |ours: i128, theirs: i128| {
            (ours - theirs).abs() * 1_000_000 <= ours.abs().max(theirs.abs()) * i128::from(millionths)
        };
        let tokens = |ours: Option<u64>, theirs: Option<u64>| {
            theirs.is_none_or(|theirs| near(i128::from(ours.unwrap_or(0)), i128::from(theirs)))
        };
        let cost = |money: Option<Money>| money.map(|money| i128::from(money.nanos()));
        let unknown = self.theirs == Side::default();
        !unknown
            && tokens(self.ours.input_tokens, self.theirs.input_tokens)
            && tokens(self.ours.output_tokens, self.theirs.output_tokens)
            && cost(self.theirs.cost).is_none_or(|theirs| near(cost(self.ours.cost).unwrap_or(0), theirs))
    }
}

/// Compares what the ledger says, by [`maof_core::Dimension::Model`], with what a provider says. A provider's `gpt-4o-2024-08-06` is
/// our `gpt-4o` where there is no nearer one: the longest name that it begins with before a sign.
pub fn reconcile(ours: &Spending, theirs: &[Billed]) -> Vec<Compared> {
    let mut own: BTreeMap<&str, Spent> = BTreeMap::new();
    for group in &ours.groups {
        if let [Some(model)] = &group.values[..] {
            *own.entry(model).or_default() += group.spent;
        }
    }
    let known: Vec<&str> = own.keys().copied().collect();
    let mut all: BTreeMap<String, Compared> = BTreeMap::new();
    for row in theirs {
        let name = ours_of(&row.model, &known).unwrap_or(&row.model);
        let fresh = || Compared { model: name.to_owned(), ours: Side::default(), theirs: Side::default() };
        let side = &mut all.entry(name.to_owned()).or_insert_with(fresh).theirs;
        let more = |so_far: Option<u64>, more: Option<u64>| match (so_far, more) {
            (Some(so_far), Some(more)) => Some(so_far.saturating_add(more)),
            (one, other) => one.or(other),
        };
        side.input_tokens = more(side.input_tokens, row.input);
        side.output_tokens = more(side.output_tokens, row.output);
        side.cost = side.cost.map_or(row.cost, |so_far| Some(so_far.plus(row.cost.unwrap_or_default())));
    }
    for (model, spent) in own {
        let fresh = || Compared { model: model.to_owned(), ours: Side::default(), theirs: Side::default() };
        all.entry(model.to_owned()).or_insert_with(fresh).ours = Side {
            attempts: Some(spent.attempts),
            estimated: Some(spent.estimated),
            input_tokens: Some(spent.usage.input_tokens()),
            output_tokens: Some(spent.usage.output_tokens()),
            cost: Some(spent.cost),
        };
    }
    all.into_values().collect()
}

fn ours_of<'a>(theirs: &str, ours: &[&'a str]) -> Option<&'a str> {
    let begins = |name: &&&str| {
        theirs
            .strip_prefix(**name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '@', ':', '.']))
    };
    ours.iter().filter(begins).max_by_key(|name| name.len()).copied()
}
