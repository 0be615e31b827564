//! What can be set of structured output: what becomes of an answer that breaks its schema, and what an agent's answers are to look like.

use std::collections::BTreeMap;

use maof_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema::Schema;

/// What becomes of an answer that breaks the schema that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Invalid {
    /// It is refused; the next candidate is asked, if there is one.
    #[default]
    Refuse,
    /// It is sent back once with what is wrong with it, and refused if that does not help. Both turns are billed. A
    /// stream, of which the caller has seen the beginning, is refused.
    Repair,
    /// It is passed on, and the reply says that it is invalid.
    Pass,
}

/// How answers are held against the JSON schema that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What becomes of an answer that breaks its schema: `refuse`, `repair` (sent back once, then refused) or `pass`.
    /// Default `refuse`.
    pub invalid: Invalid,
    /// Bytes that a schema may have, written as JSON; 1 to 1,048,576. Default 65,536.
    pub max_schema_bytes: u64,
    /// Bytes of schemas whose validators are kept for the next call, at most. Default 1,048,576.
    pub cache_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config { invalid: Invalid::Refuse, max_schema_bytes: 64 << 10, cache_bytes: 1 << 20 }
    }
}

impl Config {
    /// Checks the numbers.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        match self.max_schema_bytes {
            1..=1_048_576 => Ok(()),
            _ => Err(Error::invalid_request("must be 1 to 1,048,576 bytes").param("max_schema_bytes")),
        }
    }

    /// Checks a schema that will be asked for later.
    ///
    /// # Errors
    /// `invalid_request` saying where it is wrong.
    pub fn check(&self, schema: &Value) -> Result<()> {
        Schema::compile(schema, self.max_schema_bytes).map(drop)
    }
}

/// What every answer of an agent looks like. It applies to calls that bring no schema of their own.
///
/// Without `fields` the agent is asked for the schema; with them it answers in a shape of its own, and its answer is
/// put into this one.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputConfig {
    /// The JSON schema of the answer.
    pub schema: Value,
    /// Whether the provider shall keep to the schema strictly, which some do for a part of JSON schema only (OpenAI: every
    /// property required, none beside them). Default false: as well as it can.
    #[serde(default)]
    pub strict: bool,
    /// The answer's fields, each by a JSON pointer (RFC 6901) into what the agent answers, such as `{answer: /label,
    /// confidence: /score}`; an empty pointer is the whole answer. What a pointer does not find is left out. Default: the
    /// agent answers by the schema itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

impl OutputConfig {
    /// Checks the pointers; the schema is checked when it is compiled.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        match self.fields.iter().find(|(_, pointer)| !pointer.is_empty() && !pointer.starts_with('/')) {
            Some((name, _)) => {
                let why = "a JSON pointer begins with a slash, or is empty for the whole answer";
                Err(Error::invalid_request(why).param(format!("fields.{name}")))
            }
            None => Ok(()),
        }
    }
}
