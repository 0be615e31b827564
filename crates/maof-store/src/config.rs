//! What can be set of the store.

use std::path::PathBuf;

use maof_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where everything is remembered.
///
/// ```
/// let config: maof_store::Config = serde_json::from_str(r#"{"path": "data/maof.db"}"#)?;
/// config.validate()?;
/// assert_eq!(config.keep_days, 90);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The SQLite file, relative to the working directory. Default `maof.db`. Beside it lie its write-ahead
    /// log and a lock file: one process at a time works with it.
    pub path: PathBuf,
    /// What a finished step survives. Default `process_crash`. An accepted task always survives both.
    pub durability: Durability,
    /// For how many days finished runs with their journals, attempts and audit lines are kept. Default 90;
    /// 0 keeps them for ever. What was spent in a window that has not ended is kept whatever this says.
    pub keep_days: u32,
}

/// What a finished step survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The end of the process, however sudden. After a power loss the last steps may run again.
    #[default]
    ProcessCrash,
    /// A power loss too: every commit is synced to disk.
    OsCrash,
}

impl Default for Config {
    fn default() -> Self {
        Config { path: "maof.db".into(), durability: Durability::default(), keep_days: 90 }
    }
}

impl Config {
    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        match self.path.file_name() {
            Some(_) => Ok(()),
            None => Err(Error::invalid_request("must name a file").param("path")),
        }
    }
}
