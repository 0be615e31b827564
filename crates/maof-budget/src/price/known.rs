//! Where an endpoint's prices come from, and what becomes of a model whose prices nobody knows.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use maof_core::{Error, Result, Tariff};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogue, LONGEST_FILE};
use super::schedule::Prices;

/// Prices of models whose endpoints do not say them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The price file, as `maof prices update` writes it, relative to this file. Default: the built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// What becomes of a model at a provider that neither its endpoint nor the file prices. Default `zero_and_alert`.
    pub unknown: Unknown,
}

/// What becomes of a model at a provider whose prices nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// The configuration is refused, naming the endpoint.
    Deny,
    /// Each class costs what the dearest model of the provider charges for it; of any provider where none of that one is known.
    /// Its requests are counted.
    AssumeMax,
    /// It costs nothing, which is said in the log at the start, and its requests are counted.
    #[default]
    ZeroAndAlert,
}

impl Unknown {
    /// Its name in configuration and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unknown::Deny => "deny",
            Unknown::AssumeMax => "assume_max",
            Unknown::ZeroAndAlert => "zero_and_alert",
        }
    }
}

impl Config {
    /// The catalogue that is gone by.
    ///
    /// # Errors
    /// `invalid_request` naming `prices.file` when it cannot be read, and as [`Catalogue::read`].
    pub fn catalogue(&self) -> Result<Cow<'static, Catalogue>> {
        match &self.file {
            None => Catalogue::bundled().map(Cow::Borrowed),
            Some(path) => {
                read(path).map(Cow::Owned).map_err(|e| e.context(path.display()).param("prices.file"))
            }
        }
    }

    /// What a model costs that neither its endpoint nor the catalogue prices.
    ///
    /// # Errors
    /// `invalid_request` naming `price` where that is denied.
    pub fn unknown(&self, catalogue: &Catalogue, provider: &str, model: &str) -> Result<Prices> {
        match self.unknown {
            Unknown::Deny => {
                let why = format!(
                    "the price of `{model}` is not known, and `prices.unknown` is `deny`: say it here (`price: {{}}` if it costs \
                     nothing), or in a price file"
                );
                Err(Error::invalid_request(why).param("price"))
            }
            Unknown::AssumeMax => Ok(Prices::from(catalogue.dearest(provider))),
            Unknown::ZeroAndAlert => Ok(Prices::from(Tariff::FREE)),
        }
    }
}

fn read(path: &Path) -> Result<Catalogue> {
    use std::io::Read as _;
    let wrong = |e: std::io::Error| Error::invalid_request(format!("it cannot be read: {e}"));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(wrong)?;
    file.take(LONGEST_FILE as u64 + 1).read_to_string(&mut text).map_err(wrong)?;
    Catalogue::read(&text)
}
