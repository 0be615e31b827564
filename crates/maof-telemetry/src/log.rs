//! Logging to stderr: text for people, JSON for collectors.
//!
//! ```
//! use maof_telemetry::LogConfig;
//! let config = LogConfig { filter: "info,maof_engine=debug".to_owned(), ..LogConfig::default() };
//! config.validate()?;
//! # Ok::<(), maof_core::Error>(())
//! ```

use maof_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// How lines look: `text` or `json`. Default `text`.
    pub format: LogFormat,
    /// What is logged: a level, or levels by module as `warn,maof_engine=debug`. Default `warn`.
    pub filter: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig { format: LogFormat::Text, filter: "warn".to_owned() }
    }
}

impl LogConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        self.parsed().map(drop)
    }

    fn parsed(&self) -> Result<EnvFilter> {
        EnvFilter::try_new(&self.filter).map_err(|e| {
            let why = format!("`{}` is no filter: write a level, or module=level,…", self.filter);
            Error::invalid_request(why).param("filter").because(e)
        })
    }
}

/// Starts logging to stderr. Idempotent: where somebody logs already, nothing changes.
///
/// # Errors
/// `invalid_request` when the filter is malformed.
pub fn start_logging(config: &LogConfig) -> Result<()> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(config.parsed()?)
        .with_writer(std::io::stderr)
        .with_target(true);
    // An error says that a subscriber is set already, which is the host's right.
    let _ = match config.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_filter_is_refused_by_name() {
        let check = |filter: &str, ok: bool| {
            let config = LogConfig { filter: filter.to_owned(), ..LogConfig::default() };
            let said = config.validate();
            assert_eq!(said.is_ok(), ok, "{filter}");
            assert!(ok || said.unwrap_err().field() == Some("filter"));
        };
        check("warn", true);
        check("info,maof_engine=debug", true);
        check("maof=loud", false);
    }

    #[test]
    fn logging_starts_once_and_a_second_start_changes_nothing() {
        let json = LogConfig { format: LogFormat::Json, filter: "off".to_owned() };
        assert!(start_logging(&json).is_ok());
        assert!(start_logging(&LogConfig::default()).is_ok());
        assert!(!tracing::enabled!(tracing::Level::ERROR), "the first start's filter stands");
        let malformed = LogConfig { filter: "maof=loud".to_owned(), ..json };
        assert_eq!(start_logging(&malformed).unwrap_err().field(), Some("filter"));
    }
}
