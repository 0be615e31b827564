//! Price files: a line of JSON that says where the prices are from, then one for each model.
//!
//! ```
//! use maof_budget::Catalogue;
//! use maof_core::{Timestamp, Unit};
//! let catalogue = Catalogue::bundled().map_err(|e| e.to_string())?;
//! let model = catalogue.find("openai", "gpt-4o-mini-2024-07-18").ok_or("not known")?;
//! assert_eq!(model.context, Some(128_000));
//! let prices = model.prices().map_err(|e| e.to_string())?;
//! assert_eq!(prices.tariff(Timestamp::from_micros(0), None, 1).price(Unit::Output), 600_000_000);
//! # Ok::<(), String>(())
//! ```

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::OnceLock;

use maof_core::{Error, Result, Tariff, Unit};
use serde::{Deserialize, Serialize};

use super::pattern;
use super::rate::{PriceConfig, RateConfig};
use super::schedule::Prices;

/// The format that is read and written.
const FORMAT: &str = "maof-prices/1";
/// The longest price file, in bytes.
pub const LONGEST_FILE: usize = 16 << 20;

/// Written by `scripts/prices`.
static BUNDLED: &str = include_str!("catalogue.jsonl");

/// Where a catalogue's prices are from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The file's format: `maof-prices/1`.
    pub format: String,
    /// Who collected the prices.
    pub source: String,
    /// Which edition of theirs.
    pub version: String,
    /// Under which licence.
    pub licence: String,
    /// The SHA-256 of the file that they were read from, in hexadecimal digits.
    pub sha256: String,
    /// How many models follow: a file that was cut is told by it.
    pub models: usize,
}

impl Source {
    /// Of `models` prices that `source` collected.
    pub fn new(source: &str, version: &str, licence: &str, sha256: &str) -> Source {
        let [source, version, licence, sha256] = [source, version, licence, sha256].map(str::to_owned);
        Source { format: FORMAT.to_owned(), source, version, licence, sha256, models: 0 }
    }
}

/// What is known of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Who sells it.
    pub provider: String,
    /// Its name.
    pub model: String,
    /// The names that it goes by: `*` stands for any characters, `#` for a digit, and `!` in front leaves out.
    #[serde(rename = "match", default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
    /// The most tokens, input and output, that it takes at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// Its rates, of which the first has no condition.
    pub prices: Vec<RateConfig>,
}

impl Model {
    /// What it charges when.
    ///
    /// # Errors
    /// As [`PriceConfig::prices`].
    pub fn prices(&self) -> Result<Prices> {
        PriceConfig(self.prices.clone()).prices()
    }

    fn check(&self) -> Result<()> {
        let empty = [(self.provider.is_empty(), "provider"), (self.model.is_empty(), "model")];
        if let Some((_, field)) = empty.iter().find(|(empty, _)| *empty) {
            return Err(Error::invalid_request(format!("`{field}` is empty")).param(*field));
        }
        if self.context == Some(0) {
            return Err(Error::invalid_request("`context` is at least 1").param("context"));
        }
        self.prices().map(drop)
    }
}

/// Models with their prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    source: Source,
    models: Vec<Model>,
}

impl Catalogue {
    /// The one that is built in; read when it is first needed.
    ///
    /// # Errors
    /// `internal` never, as a test reads it.
    pub fn bundled() -> Result<&'static Catalogue> {
        static READ: OnceLock<Result<Catalogue>> = OnceLock::new();
        let read = READ.get_or_init(|| Catalogue::read(BUNDLED));
        read.as_ref().map_err(|e| Error::internal(format!("the bundled prices: {}", e.message())))
    }

    /// Of these models.
    ///
    /// # Errors
    /// As [`Catalogue::read`].
    pub fn new(mut source: Source, models: Vec<Model>) -> Result<Catalogue> {
        source.models = models.len();
        let catalogue = Catalogue { source, models };
        catalogue.check().map(|()| catalogue)
    }

    /// Reads a price file.
    ///
    /// # Errors
    /// `invalid_request` naming the line and the field where it is not well formed, an amount is negative or too large, a
    /// price is missing (see [`PriceConfig::prices`]), a model is there twice, or fewer models are there than it says.
    pub fn read(text: &str) -> Result<Catalogue> {
        let wrong = |line: usize, why: &dyn std::fmt::Display| {
            Error::invalid_request(format!("line {line} of the price file: {why}"))
                .param(format!("line {line}"))
        };
        if text.len() > LONGEST_FILE {
            return Err(Error::too_large("a price file has at most 16 MiB"));
        }
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let (_, first) = lines.next().ok_or_else(|| wrong(1, &"it is empty"))?;
        let source: Source = serde_json::from_str(first).map_err(|e| wrong(1, &e))?;
        if source.format != FORMAT {
            return Err(wrong(1, &format_args!("`format` is `{}`, and `{FORMAT}` is read", source.format)));
        }
        let models = lines.map(|(at, line)| {
            let model: Model = serde_json::from_str(line).map_err(|e| wrong(at, &e))?;
            model.check().map_err(|e| wrong(at, &format_args!("{}: {}", model.model, e.message())))?;
            Ok(model)
        });
        let catalogue = Catalogue { models: models.collect::<Result<_>>()?, source };
        catalogue.check().map(|()| catalogue)
    }

    fn check(&self) -> Result<()> {
        let wrong = |field: &'static str, why: String| Error::invalid_request(why).param(field);
        if self.models.len() != self.source.models {
            let why = format!(
                "a gap: `models` says {} and {} are there; was the file cut?",
                self.source.models,
                self.models.len()
            );
            return Err(wrong("models", why));
        }
        let mut seen = HashSet::new();
        for model in &self.models {
            if !seen.insert((&model.provider, &model.model)) {
                let why = format!("`{}` of `{}` is there twice", model.model, model.provider);
                return Err(wrong("model", why));
            }
        }
        Ok(())
    }

    /// As [`Catalogue::read`] reads it.
    ///
    /// # Errors
    /// `internal` never: what was read can be written.
    pub fn write(&self) -> Result<String> {
        let mut text = String::new();
        let unwritten = |e: serde_json::Error| Error::internal("a price cannot be written").because(e);
        let mut line = |json: serde_json::Result<String>| -> Result<()> {
            let _ = writeln!(text, "{}", json.map_err(unwritten)?);
            Ok(())
        };
        line(serde_json::to_string(&self.source))?;
        self.models.iter().try_for_each(|model| line(serde_json::to_string(model)))?;
        Ok(text)
    }

    /// Where its prices are from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Every model.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// Whether anything is known of a provider's models.
    pub fn sells(&self, provider: &str) -> bool {
        self.models.iter().any(|model| model.provider == provider)
    }

    /// The model of a provider that a name means: the one that is called so, else the first of whose patterns one fits.
    pub fn find(&self, provider: &str, name: &str) -> Option<&Model> {
        let theirs = || self.models.iter().filter(|model| model.provider == provider);
        let called = |model: &&Model| {
            model.model.eq_ignore_ascii_case(name)
                || model.patterns.iter().any(|pattern| pattern.eq_ignore_ascii_case(name))
        };
        theirs().find(called).or_else(|| theirs().find(|model| pattern::fits(&model.patterns, name)))
    }

    /// The most that any model of a provider ever charges for each class; of all providers where nothing is known of
    /// that one.
    pub fn dearest(&self, provider: &str) -> Tariff {
        let known = self.sells(provider);
        let theirs = self.models.iter().filter(|model| !known || model.provider == provider);
        let rates = theirs.flat_map(|model| &model.prices);
        let tariffs = rates.filter(|rate| rate.service.is_none()).filter_map(|rate| rate.price.tariff().ok());
        tariffs.fold(Tariff::FREE, |most, tariff| {
            Unit::ALL.into_iter().fold(most, |most, unit| {
                let price = most.price(unit).max(tariff.price(unit));
                most.with(unit, price)
            })
        })
    }
}
