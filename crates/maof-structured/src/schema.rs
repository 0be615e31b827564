//! A compiled schema, and whether a text follows it. Pure.

use jsonschema::{PatternOptions, Validator};
use maof_core::{Error, Result, Retry};
use serde_json::Value;

use crate::graph::{Graph, is_shallow, refused};

/// Bytes of the schema times bytes of the answer, at most: about a tenth of a second at the worst that was found.
const MOST_WORK: u64 = 1 << 30;
/// Bytes that an answer may have, whatever its schema.
const MOST_ANSWER: u64 = 4 << 20;
/// Levels that an answer may be nested: together with the bound of the schema, what fits on a thread's stack.
const NESTED: usize = 64;
/// Judgements that are made again to tell what is wrong. Beyond them only that something is wrong is told.
const MOST_TELLING: u64 = 100_000;
/// Complaints that are told of one answer, and how long each may be.
const COMPLAINTS: (usize, usize) = (8, 300);
/// Bytes that a compiled regular expression may take, and its cache.
const PATTERN: usize = 128 << 10;

/// A schema that answers are held against.
#[derive(Debug)]
pub(crate) struct Schema {
    validator: Validator,
    graph: Graph,
    /// Its size, written as JSON.
    pub(crate) bytes: u64,
}

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// For the caller: what is broken, without a word of the answer.
    pub(crate) why: String,
    /// For the one who answered.
    pub(crate) complaints: Vec<String>,
}

impl Schema {
    /// Compiles a schema of at most `most` bytes. Nothing outside of it is looked at; regular expressions are those of
    /// a linear engine, without look-around and back-references.
    ///
    /// # Errors
    /// `invalid_request` saying where it is wrong.
    pub(crate) fn compile(schema: &Value, most: u64) -> Result<Schema> {
        // What is nested too deeply could not even be written.
        let graph = Graph::of(schema)?;
        let bytes = schema.to_string().len() as u64;
        if bytes > most {
            return Err(refused("", &format!("it has {bytes} bytes, and may have {most}")));
        }
        let patterns = PatternOptions::regex().size_limit(PATTERN).dfa_size_limit(PATTERN);
        let built = jsonschema::options().offline().with_pattern_options(patterns).build(schema);
        let validator = built.map_err(|error| {
            let mut why = shortened(&error.to_string());
            if error.instance_path().as_str().ends_with("/pattern") {
                why += " of the linear kind, which knows no look-around and no back-references";
            }
            refused(error.instance_path().as_str(), &why)
        })?;
        Ok(Schema { validator, graph, bytes })
    }

    /// Bytes that an answer may have to be judged.
    pub(crate) fn most_answer(&self) -> u64 {
        (MOST_WORK / self.bytes.max(1)).min(MOST_ANSWER)
    }

    /// The answer as JSON, if it follows the schema.
    pub(crate) fn judge(&self, text: &str) -> Result<Value, Broken> {
        if text.trim().is_empty() {
            return Err(Broken::plainly("it is empty"));
        }
        if text.len() as u64 > self.most_answer() {
            return Err(self.too_long());
        }
        // The message of the parser tells places and its own words, none of the text.
        let value = serde_json::from_str(text).map_err(|error| {
            let complaint = format!("it is no JSON: {error}");
            Broken { why: "it is no JSON".to_owned(), complaints: vec![complaint] }
        })?;
        self.judge_value(value)
    }

    /// The value, if it follows the schema.
    pub(crate) fn judge_value(&self, value: Value) -> Result<Value, Broken> {
        if !is_shallow(&value, NESTED) {
            return Err(Broken::plainly("it is nested deeper than 64 levels"));
        }
        match self.validator.is_valid(&value) {
            true => Ok(value),
            false => Err(self.broken(&value)),
        }
    }

    /// What is told of an answer that is too long to be judged.
    pub(crate) fn too_long(&self) -> Broken {
        Broken::plainly(&format!("it has more than the {} bytes that are judged by it", self.most_answer()))
    }

    /// Says what is broken. The validator remembers what it has judged while it only says yes or no; to tell what is
    /// wrong it judges again and again, which for a schema that holds itself grows with a power of the levels.
    fn broken(&self, value: &Value) -> Broken {
        let (values, levels) = size(value);
        if self.graph.effort(levels).saturating_mul(values) > MOST_TELLING {
            return Broken::plainly("it breaks it");
        }
        let (most, _) = COMPLAINTS;
        let (mut why, mut complaints) = (None, Vec::new());
        for error in self.validator.iter_errors(value).take(most) {
            why.get_or_insert_with(|| format!("it breaks `{}`", shortened(error.schema_path().as_str())));
            let place = match error.instance_path().as_str() {
                "" => "at the top".to_owned(),
                place => format!("at `{}`", shortened(place)),
            };
            complaints.push(format!("{place}: {}", shortened(&error.to_string())));
        }
        Broken { why: why.unwrap_or_else(|| "it breaks it".to_owned()), complaints }
    }
}

impl Broken {
    fn plainly(why: &str) -> Broken {
        Broken { why: why.to_owned(), complaints: vec![why.to_owned()] }
    }

    /// The refusal of the answer. Another endpoint may do better.
    pub(crate) fn refusal(&self) -> Error {
        let why = format!("the answer does not follow the JSON schema that was asked for: {}", self.why);
        Error::protocol(why).retry_is(Retry::Elsewhere)
    }
}

fn shortened(text: &str) -> String {
    let (_, most) = COMPLAINTS;
    text.chars().take(most).collect()
}

/// How many values there are, and how many levels.
fn size(value: &Value) -> (u64, usize) {
    let inside: Vec<(u64, usize)> = match value {
        Value::Array(items) => items.iter().map(size).collect(),
        Value::Object(fields) => fields.values().map(size).collect(),
        _ => return (1, 0),
    };
    let values = inside.iter().map(|(values, _)| values).sum::<u64>();
    (values + 1, inside.iter().map(|(_, levels)| levels + 1).max().unwrap_or_default())
}

#[cfg(test)]
mod tests;
