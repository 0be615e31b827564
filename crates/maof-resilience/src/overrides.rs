//! What is otherwise at one endpoint, or at those of one provider.

use maof_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::config::EndpointConfig;

/// Some settings of [`EndpointConfig`], each put over the one that holds otherwise; what is left out stays, and
/// `null` switches a limit off.
///
/// ```
/// use maof_resilience::{Config, Override};
/// let config: Config = serde_json::from_str(r#"{"retry": {"max_attempts": 5, "multiplier": 3.0}}"#)?;
/// let own: Override = serde_json::from_str(r#"{"retry": {"max_attempts": 1}}"#)?;
/// let endpoint = config.endpoint(&"openai".parse()?, Some(&own))?;
/// assert_eq!((endpoint.retry.max_attempts, endpoint.retry.multiplier), (1, 3.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Override(Map<String, Value>);

impl Override {
    /// These settings over others.
    ///
    /// # Errors
    /// `invalid_request` when they do not fit together.
    pub fn over(&self, config: &EndpointConfig) -> Result<EndpointConfig> {
        let unfit =
            |e: serde_json::Error| Error::invalid_request(format!("not settings of an endpoint: {e}"));
        let mut merged = serde_json::to_value(config).map_err(unfit)?;
        merge(&mut merged, &Value::Object(self.0.clone()));
        EndpointConfig::deserialize(merged).map_err(unfit)
    }
}

impl<'de> Deserialize<'de> for Override {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let said = Map::deserialize(deserializer)?;
        // A key that nobody knows is refused where it is written, not where it would be used.
        EndpointConfig::deserialize(Value::Object(said.clone())).map_err(serde::de::Error::custom)?;
        Ok(Override(said))
    }
}

impl JsonSchema for Override {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EndpointResilience".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.subschema_for::<EndpointConfig>()
    }
}

/// Puts `more` over `base`, objects key by key. Neither is deeper than the configuration itself.
fn merge(base: &mut Value, more: &Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            for (key, value) in more {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, more) => base.clone_from(more),
    }
}

#[cfg(test)]
mod tests {
    use maof_core::Name;

    use super::*;
    use crate::Config;

    fn endpoint(own: &str) -> Result<EndpointConfig> {
        let config = r#"{"timeout": {"attempt_ms": 1000, "first_token_ms": 500}, "retry": {"max_attempts": 5},
            "rate_limit": {"requests": 100}, "providers": {
                "p": {"retry": {"max_attempts": 2}, "timeout": {"attempt_ms": 2000}}, "q": {"rate_limit": null}}}"#;
        let config: Config = serde_json::from_str(config).unwrap();
        config.validate()?;
        let own: Override = serde_json::from_str(own).unwrap();
        config.endpoint(&Name::new("p")?, Some(&own))
    }

    #[test]
    fn an_endpoint_overrides_its_provider_which_overrides_all() {
        let found = endpoint(r#"{"timeout": {"attempt_ms": 3000}, "bulkhead": {"max_queue": 7}}"#).unwrap();
        assert_eq!((found.timeout.attempt_ms, found.timeout.first_token_ms), (3_000, 500));
        assert_eq!((found.retry.max_attempts, found.rate_limit.map(|r| r.requests)), (2, Some(100)));
        assert_eq!(found.bulkhead.map(|b| b.max_queue), Some(7), "what was off is on with its own defaults");
    }

    #[test]
    fn a_limit_is_switched_off_by_null() {
        assert_eq!(endpoint(r#"{"rate_limit": null}"#).unwrap().rate_limit, None);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let field = |own: &str| endpoint(own).unwrap_err().field().map(str::to_owned);
        assert_eq!(field(r#"{"timeout": {"attempt_ms": 600001}}"#).as_deref(), Some("timeout.attempt_ms"));
        assert_eq!(field(r#"{"retry": {"max_attempts": 0}}"#).as_deref(), Some("retry.max_attempts"));
        for unknown in [
            r#"{"retries": {}}"#,
            r#"{"retry": {"max_attempt": 1}}"#,
            r#"{"load_shed": {}}"#,
            r#"{"timeout": {"total_ms": 1}}"#,
        ] {
            let error = serde_json::from_str::<Override>(unknown).unwrap_err();
            assert!(error.to_string().contains("unknown field"), "{unknown}: {error}");
        }
    }

    #[test]
    fn what_is_said_of_a_provider_is_checked_with_the_rest() {
        let config = r#"{"providers": {"p": {"retry": {"max_attempts": 0}}}}"#;
        let config: Config = serde_json::from_str(config).unwrap();
        assert_eq!(config.validate().unwrap_err().field(), Some("providers.p.retry.max_attempts"));
    }
}
