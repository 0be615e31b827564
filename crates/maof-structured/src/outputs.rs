//! What is known before a call comes: the policy, the validators, and what agents declare.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use maof_core::{Body, Call, Error, Name, Operation, OutputFormat, Result};

use crate::cache::Cache;
use crate::config::{Config, Invalid, OutputConfig};
use crate::schema::Schema;

/// The name under which a provider is told a declared schema.
const NAME: &str = "answer";

/// The policy, the validators and what agents declare; one for all endpoints.
#[derive(Debug)]
pub struct Outputs {
    pub(crate) invalid: Invalid,
    cache: Cache,
    declared: HashMap<Name, Declared>,
}

/// What an agent declares of its answers.
#[derive(Debug)]
struct Declared {
    schema: Arc<Schema>,
    /// How the agent is asked for it.
    format: OutputFormat,
    fields: Arc<BTreeMap<String, String>>,
}

/// How the answer to one call is judged.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) schema: Arc<Schema>,
    pub(crate) invalid: Invalid,
    /// Where the fields of the answer are, if its agent answers in a shape of its own.
    pub(crate) fields: Option<Arc<BTreeMap<String, String>>>,
    /// The schema, if the call itself does not ask for it yet.
    ask: Option<OutputFormat>,
}

impl Outputs {
    /// By this configuration, and what the agents of these names declare.
    ///
    /// # Errors
    /// `invalid_request` naming the field of the configuration (`max_schema_bytes`), or that of an agent
    /// (`output.schema` or `output.fields.NAME`) whose name stands before the message.
    pub fn new(config: &Config, agents: impl IntoIterator<Item = (Name, OutputConfig)>) -> Result<Self> {
        config.validate()?;
        let declare = |(name, output): (Name, OutputConfig)| {
            let declared = Declared::new(output, config.max_schema_bytes);
            let inside = |e: Error| {
                let field = format!("output.{}", e.field().unwrap_or("schema"));
                e.context(format_args!("agent {name}")).param(field)
            };
            Ok((name.clone(), declared.map_err(inside)?))
        };
        Ok(Outputs {
            invalid: config.invalid,
            cache: Cache::new(config.cache_bytes, config.max_schema_bytes),
            declared: agents.into_iter().map(declare).collect::<Result<_>>()?,
        })
    }

    /// How the answer to this call is judged; none where it need not be.
    ///
    /// # Errors
    /// `invalid_request` naming the field of the request whose schema cannot be used.
    pub(crate) fn plan(&self, call: &Call) -> Result<Option<Plan>> {
        if let Some(OutputFormat::JsonSchema { schema, .. }) = call.body.output() {
            let schema = self.cache.get(schema).map_err(|e| e.param(schema_field(&call.body)))?;
            return Ok(Some(Plan { schema, invalid: self.invalid, fields: None, ask: None }));
        }
        let Some(chosen) = call.chosen.as_ref().filter(|_| !self.declared.is_empty()) else {
            return Ok(None);
        };
        let declared = self.declared.get(&chosen.agent).filter(|_| call.operation() == Operation::Chat);
        Ok(declared.map(|declared| {
            let (schema, own) = (Arc::clone(&declared.schema), !declared.fields.is_empty());
            Plan {
                schema,
                invalid: self.invalid,
                fields: own.then(|| Arc::clone(&declared.fields)),
                ask: (!own).then(|| declared.format.clone()),
            }
        }))
    }
}

impl Declared {
    fn new(output: OutputConfig, most: u64) -> Result<Self> {
        output.validate()?;
        let OutputConfig { schema, strict, fields } = output;
        let compiled = Schema::compile(&schema, most).map_err(|e| e.param("schema"))?;
        let format =
            OutputFormat::JsonSchema { name: NAME.to_owned(), schema, strict: strict.then_some(true) };
        Ok(Declared { schema: Arc::new(compiled), format, fields: Arc::new(fields) })
    }
}

impl Plan {
    /// The call as it is put to the endpoint.
    ///
    /// # Errors
    /// `invalid_request` where the conversation cannot be read.
    pub(crate) fn ask(&mut self, mut call: Call) -> Result<Call> {
        // What is put into another shape has to be there as a whole.
        call.stream &= self.fields.is_none();
        if let Some(format) = self.ask.take() {
            let mut chat = (*call.body.chat()?).clone();
            chat.output = Some(format);
            call.body = call.body.with_chat(chat)?;
        }
        Ok(call)
    }
}

/// The field that holds the schema, in the words of whoever asks.
fn schema_field(body: &Body) -> &'static str {
    match body {
        Body::Wire(wire) => wire.dialect.schema_field(),
        _ => "output",
    }
}
