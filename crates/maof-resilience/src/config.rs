//! What can be set of surviving failure, room by room.

use maof_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{circuit_breaker, retry, timeout};

/// How calls survive failure. Every endpoint has its own retries and its own circuit breaker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long to wait for answers.
    pub timeout: timeout::Config,
    /// How often, and after which pauses, to ask the same endpoint again.
    pub retry: retry::Config,
    /// When to rest an endpoint that keeps failing.
    pub circuit_breaker: circuit_breaker::Config,
}

impl Config {
    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field, such as `retry.max_attempts`.
    pub fn validate(&self) -> Result<()> {
        self.timeout.validate().map_err(|e| inside("timeout", e))?;
        self.retry.validate().map_err(|e| inside("retry", e))?;
        self.circuit_breaker.validate().map_err(|e| inside("circuit_breaker", e))
    }
}

/// Puts the room's name before the field that an error names.
fn inside(room: &str, error: Error) -> Error {
    let field = format!("{room}.{}", error.field().unwrap_or_default());
    error.param(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml_like: &str, expect: Result<(), &str>) {
        let config: Config = serde_json::from_str(yaml_like).unwrap();
        let found = config.validate();
        assert_eq!(found.as_ref().map_err(|e| e.field().unwrap()), expect.as_ref().map_err(|f| *f));
    }

    #[test]
    fn a_setting_out_of_range_is_refused_by_name() {
        check("{}", Ok(()));
        check(r#"{"timeout":{"attempt_ms":0}}"#, Err("timeout.attempt_ms"));
        check(r#"{"timeout":{"total_ms":86400001}}"#, Err("timeout.total_ms"));
        check(r#"{"timeout":{"attempt_ms":2000,"total_ms":1000}}"#, Err("timeout.total_ms"));
        check(r#"{"retry":{"max_attempts":0}}"#, Err("retry.max_attempts"));
        check(r#"{"retry":{"max_attempts":21}}"#, Err("retry.max_attempts"));
        check(r#"{"retry":{"max_attempts":1}}"#, Ok(()));
        check(r#"{"retry":{"initial_interval_ms":0}}"#, Err("retry.initial_interval_ms"));
        check(r#"{"retry":{"max_interval_ms":249}}"#, Err("retry.max_interval_ms"));
        check(r#"{"retry":{"multiplier":0.5}}"#, Err("retry.multiplier"));
        check(r#"{"retry":{"max_wait_ms":3600001}}"#, Err("retry.max_wait_ms"));
        check(r#"{"circuit_breaker":{"failure_threshold":0}}"#, Err("circuit_breaker.failure_threshold"));
        check(r#"{"circuit_breaker":{"success_threshold":0}}"#, Err("circuit_breaker.success_threshold"));
        check(r#"{"circuit_breaker":{"half_open_max":0}}"#, Err("circuit_breaker.half_open_max"));
        check(r#"{"circuit_breaker":{"open_ms":0}}"#, Err("circuit_breaker.open_ms"));
    }

    #[test]
    fn a_number_that_is_none_is_no_multiplier() {
        let mut config = retry::Config::default();
        for multiplier in [f64::NAN, f64::INFINITY, 10.5] {
            config.multiplier = multiplier;
            assert_eq!(config.validate().unwrap_err().field(), Some("multiplier"));
        }
    }

    #[test]
    fn an_unknown_field_is_refused_and_no_field_is_the_default() {
        assert!(serde_json::from_str::<Config>(r#"{"retry":{"max_attempt":3}}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"timeouts":{}}"#).is_err());
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
    }
}
