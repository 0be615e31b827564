//! What can be set of surviving failure, room by room.

use std::collections::BTreeMap;

use maof_core::{Error, Name, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::overrides::Override;
use crate::{bulkhead, circuit_breaker, hedge, load_shed, rate_limit, retry, single_flight, timeout};

/// How calls survive failure. Every endpoint has its own of what protects an endpoint; what is off costs nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long to wait for answers.
    pub timeout: timeout::Config,
    /// How often, and after which pauses, to ask the same endpoint again.
    pub retry: retry::Config,
    /// How many requests all retries together may add to those of callers. Default: a fifth, and 10 a second;
    /// `null` for no bound.
    pub retry_budget: Option<retry::BudgetConfig>,
    /// When to rest an endpoint that keeps failing.
    pub circuit_breaker: circuit_breaker::Config,
    /// How many requests an endpoint gets in time. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<rate_limit::Config>,
    /// How many requests an endpoint gets at once. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bulkhead: Option<bulkhead::Config>,
    /// How many calls may be under way at once. Default: as many as go on being answered as fast as few are;
    /// `null` for no limit.
    pub load_shed: Option<load_shed::Config>,
    /// When to ask a second endpoint beside a slow one. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hedge: Option<hedge::Config>,
    /// Which calls that are under way at the same time are made once. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub single_flight: Option<single_flight::Config>,
    /// What becomes of a stream that dies after its first byte. Default `error`.
    pub after_first_byte: AfterFirstByte,
    /// What is otherwise at the endpoints of a provider, by the provider's name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Override>")]
    pub providers: BTreeMap<Name, Override>,
}

/// What becomes of a stream that dies (cut, stalled, failed) when the caller has seen its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AfterFirstByte {
    /// It ends in an error, in the words of the caller's dialect.
    #[default]
    Error,
    /// The next candidate is told what was said and goes on, where the answer is one plain text; both are paid for, and the
    /// second may say it in another manner. What cannot be continued (a tool call, an answer by a schema, stop texts,
    /// several choices) ends in an error.
    Rescue,
}

/// What protects one endpoint. The keys are those of [`Config`], which says what they mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EndpointConfig {
    /// How long to wait for one reply.
    pub timeout: timeout::AttemptConfig,
    /// How often, and after which pauses, to ask again.
    pub retry: retry::Config,
    /// When to rest it.
    pub circuit_breaker: circuit_breaker::Config,
    /// How many requests it gets in time; `null` for no limit.
    pub rate_limit: Option<rate_limit::Config>,
    /// How many requests it gets at once; `null` for no limit.
    pub bulkhead: Option<bulkhead::Config>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            timeout: timeout::Config::default(),
            retry: retry::Config::default(),
            retry_budget: Some(retry::BudgetConfig::default()),
            circuit_breaker: circuit_breaker::Config::default(),
            rate_limit: None,
            bulkhead: None,
            load_shed: Some(load_shed::Config::default()),
            hedge: None,
            single_flight: None,
            after_first_byte: AfterFirstByte::Error,
            providers: BTreeMap::new(),
        }
    }
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Config::default().every_endpoint()
    }
}

impl Config {
    /// What protects an endpoint of this provider: what holds for all, then what is said of the provider, then
    /// `own`, what is said of the endpoint itself.
    ///
    /// # Errors
    /// `invalid_request` naming the field whose value is out of range once everything is put together.
    pub fn endpoint(&self, provider: &Name, own: Option<&Override>) -> Result<EndpointConfig> {
        let mut config = self.every_endpoint();
        for said in [self.providers.get(provider), own].into_iter().flatten() {
            config = said.over(&config)?;
        }
        config.validate(self.timeout.total_ms)?;
        Ok(config)
    }

    fn every_endpoint(&self) -> EndpointConfig {
        EndpointConfig {
            timeout: self.timeout.each_attempt(),
            retry: self.retry.clone(),
            circuit_breaker: self.circuit_breaker.clone(),
            rate_limit: self.rate_limit.clone(),
            bulkhead: self.bulkhead.clone(),
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field, such as `retry.max_attempts`.
    pub fn validate(&self) -> Result<()> {
        self.timeout.validate().map_err(|e| inside("timeout", e))?;
        self.every_endpoint().validate(self.timeout.total_ms)?;
        each(&self.retry_budget, "retry_budget", retry::BudgetConfig::validate)?;
        each(&self.load_shed, "load_shed", load_shed::Config::validate)?;
        each(&self.hedge, "hedge", hedge::Config::validate)?;
        for provider in self.providers.keys() {
            self.endpoint(provider, None).map_err(|e| inside(&format!("providers.{provider}"), e))?;
        }
        Ok(())
    }
}

impl EndpointConfig {
    fn validate(&self, total_ms: u64) -> Result<()> {
        self.timeout.validate(total_ms).map_err(|e| inside("timeout", e))?;
        self.retry.validate().map_err(|e| inside("retry", e))?;
        self.circuit_breaker.validate().map_err(|e| inside("circuit_breaker", e))?;
        each(&self.rate_limit, "rate_limit", rate_limit::Config::validate)?;
        each(&self.bulkhead, "bulkhead", bulkhead::Config::validate)
    }
}

/// Checks a room that may be off.
fn each<T>(room: &Option<T>, name: &str, check: impl Fn(&T) -> Result<()>) -> Result<()> {
    room.as_ref().map_or(Ok(()), check).map_err(|e| inside(name, e))
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
        check(r#"{"timeout":{"first_token_ms":0}}"#, Err("timeout.first_token_ms"));
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
        check(r#"{"circuit_breaker":{"failure_threshold":0,"rate":{}}}"#, Ok(()));
        check(r#"{"circuit_breaker":{"rate":{"window_ms":9}}}"#, Err("circuit_breaker.rate.window_ms"));
        check(
            r#"{"circuit_breaker":{"rate":{"minimum_calls":0}}}"#,
            Err("circuit_breaker.rate.minimum_calls"),
        );
        check(
            r#"{"circuit_breaker":{"rate":{"slow_percent":101}}}"#,
            Err("circuit_breaker.rate.slow_percent"),
        );
    }

    #[test]
    fn what_is_off_by_default_is_checked_once_it_is_on() {
        check(r#"{"retry_budget":null,"load_shed":null}"#, Ok(()));
        check(r#"{"retry_budget":{"percent":1001}}"#, Err("retry_budget.percent"));
        check(r#"{"rate_limit":{"requests":0}}"#, Err("rate_limit.requests"));
        check(r#"{"rate_limit":{"requests":10,"burst":11}}"#, Err("rate_limit.burst"));
        check(r#"{"rate_limit":{"max_wait_ms":120001}}"#, Err("rate_limit.max_wait_ms"));
        check(r#"{"bulkhead":{"max_concurrent":0}}"#, Err("bulkhead.max_concurrent"));
        check(r#"{"bulkhead":{"max_queue":100001}}"#, Err("bulkhead.max_queue"));
        check(r#"{"load_shed":{"min_calls":0}}"#, Err("load_shed.min_calls"));
        check(r#"{"load_shed":{"max_calls":1}}"#, Err("load_shed.max_calls"));
        check(r#"{"load_shed":{"tolerance":0.9}}"#, Err("load_shed.tolerance"));
        check(r#"{"hedge":{"percent":51}}"#, Err("hedge.percent"));
        check(r#"{"hedge":{"least_ms":0}}"#, Err("hedge.least_ms"));
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
