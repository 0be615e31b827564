//! What can be set of the ledger in PostgreSQL.

use maof_core::{Error, Result, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the ledger is that several processes share.
///
/// ```
/// use maof_store::postgres::Config;
/// let config: Config = serde_json::from_str(r#"{"url": "postgres://maof:secret@db/maof"}"#)?;
/// config.validate()?;
/// assert_eq!(config.node_timeout_seconds, 30);
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The database, such as `postgres://user:password@host:5432/name?sslmode=verify-full`; write it as
    /// `${DATABASE_URL}`. Never shown. It must be there; its tables are made. PostgreSQL 14 or newer.
    #[serde(skip_serializing)]
    #[schemars(with = "String")]
    pub url: Secret,
    /// Connections for reading, beside the one that writes. Default 4, at least 1.
    pub connections: u32,
    /// Seconds without a sign of life after which a node is taken for dead, and what it holds for spent. Default 30,
    /// at least 3. A node that lives after all gets its holds back.
    pub node_timeout_seconds: u32,
    /// For how many days attempts, lost holds and windows that have ended are kept. Default 90; 0 keeps them for ever.
    pub keep_days: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config { url: Secret::new(""), connections: 4, node_timeout_seconds: 30, keep_days: 90 }
    }
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        let plain = |c: &Config| (c.connections, c.node_timeout_seconds, c.keep_days);
        self.url.expose() == other.url.expose() && plain(self) == plain(other)
    }
}

impl Eq for Config {}

impl Config {
    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field: &'static str, why: &'static str| Err(Error::invalid_request(why).param(field));
        if self.url.expose().is_empty() {
            return wrong("url", "is missing: write it as ${DATABASE_URL}");
        }
        self.options()?;
        if self.connections == 0 {
            return wrong("connections", "must be at least 1");
        }
        if self.node_timeout_seconds < 3 {
            return wrong("node_timeout_seconds", "must be at least 3");
        }
        Ok(())
    }

    /// The address as the driver takes it. What the driver says of one it cannot read may quote it, and is not passed on.
    pub(super) fn options(&self) -> Result<sqlx::postgres::PgConnectOptions> {
        let known =
            ["postgres://", "postgresql://"].iter().any(|scheme| self.url.expose().starts_with(scheme));
        let read = self.url.expose().parse().ok().filter(|_| known);
        let why =
            "is no address of a PostgreSQL database; write it as postgres://user:password@host:5432/name";
        read.ok_or_else(|| Error::invalid_request(why).param("url"))
    }
}
