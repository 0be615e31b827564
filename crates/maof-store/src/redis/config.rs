//! What can be set of the Redis before the ledger.

use maof_core::{Error, Result, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Redis by which processes share what they have ready for their calls. All of them name the same one.
///
/// ```
/// use maof_store::redis::Config;
/// let config: Config = serde_json::from_str(r#"{"url": "redis://:secret@cache:6379"}"#)?;
/// config.validate()?;
/// assert_eq!(config.timeout_ms, 250);
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The server, such as `redis://user:password@host:6379/0`, or `rediss://…` with TLS; write it as `${REDIS_URL}`. Never
    /// shown. Redis 6 or newer. Nothing in it has to be kept.
    #[serde(skip_serializing)]
    #[schemars(with = "String")]
    pub url: Secret,
    /// How long a hold waits for Redis before it goes to PostgreSQL, in milliseconds. Default 250, at least 1.
    pub timeout_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config { url: Secret::new(""), timeout_ms: 250 }
    }
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.url.expose() == other.url.expose() && self.timeout_ms == other.timeout_ms
    }
}

impl Eq for Config {}

impl Config {
    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        if self.url.expose().is_empty() {
            return Err(wrong("url", "is missing: write it as ${REDIS_URL}"));
        }
        self.pool()?;
        if self.timeout_ms == 0 {
            return Err(wrong("timeout_ms", "must be at least 1"));
        }
        Ok(())
    }

    /// Where connections come from. What the driver says of an address that it cannot read may quote it, and is not passed on.
    pub(super) fn pool(&self) -> Result<deadpool_redis::Pool> {
        let url = self.url.expose();
        let known = ["redis://", "rediss://"].iter().any(|scheme| url.starts_with(scheme));
        let pool = deadpool_redis::Config::from_url(url).create_pool(Some(deadpool_redis::Runtime::Tokio1));
        let why = "is no address of a Redis server; write it as redis://user:password@host:6379";
        pool.ok().filter(|_| known).ok_or_else(|| wrong("url", why))
    }
}

fn wrong(field: &'static str, why: &'static str) -> Error {
    Error::invalid_request(why).param(field)
}
