//! Where what is spent is counted, and how holds are written down.

use maof_core::{Error, Name, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where what is spent is counted, and how.
///
/// ```
/// let config = maof::Config::parse("ledger: {holds: strict}")?;
/// assert!(config.ledger.postgres.is_none(), "it is counted in the store's file");
/// # Ok::<(), maof_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ledger {
    /// What has to be written down before a call goes on. Default `auto`.
    pub holds: maof_budget::Holds,
    /// The PostgreSQL database in which several processes count together. Default: none, the store's file counts for this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres: Option<maof_store::postgres::Config>,
    /// The Redis by which these processes share what they have ready for their calls. Default: none, each has its own. Needs
    /// `ledger.postgres`, which stays the truth; all processes name the same Redis, or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<maof_store::redis::Config>,
    /// This process's name in that database; processes that live at the same time need names of their own, and one that
    /// starts again keeps its name. Default: the machine's name and the port of `server.listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub node: Option<Name>,
}

impl Ledger {
    pub(super) fn check(&self) -> Result<()> {
        let within = |name: &str, e: Error| {
            let field = format!("{name}.{}", e.field().unwrap_or_default());
            e.param(field)
        };
        if let Some(postgres) = &self.postgres {
            postgres.validate().map_err(|e| within("postgres", e))?;
        }
        if let Some(redis) = &self.redis {
            redis.validate().map_err(|e| within("redis", e))?;
            if self.postgres.is_none() {
                let why =
                    "needs ledger.postgres, where what is spent is kept: name a database, or leave redis out";
                return Err(Error::invalid_request(why).param("redis"));
            }
        }
        Ok(())
    }

    /// The process's name, which listens there.
    ///
    /// # Errors
    /// `invalid_request` naming `ledger.node` where it has to be said.
    pub(crate) fn node(&self, listen: &str) -> Result<Name> {
        if let Some(node) = &self.node {
            return Ok(node.clone());
        }
        let machine = rustix::system::uname();
        let port = listen.rsplit_once(':').map_or(listen, |(_, port)| port);
        let name =
            machine.nodename().to_str().ok().and_then(|machine| Name::new(&format!("{machine}:{port}")).ok());
        let why = "the machine's name is no name for a node: say one";
        name.ok_or_else(|| Error::invalid_request(why).param("ledger.node"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_the_machines_name_and_port_unless_it_is_said() {
        let default = Ledger::default().node("0.0.0.0:8123").unwrap();
        assert!(default.as_str().ends_with(":8123") && default.as_str().len() > 5, "{default}");
        let said = Ledger { node: Some(Name::new("blue").unwrap()), ..Ledger::default() };
        assert_eq!(said.node("0.0.0.0:1").unwrap(), "blue");
    }

    #[test]
    fn a_wrong_address_is_named_and_not_shown() {
        let check = |text: &str, field: &str| {
            let error = crate::Config::parse(text).unwrap_err();
            assert_eq!(error.field(), Some(field), "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        };
        check("ledger: {postgres: {url: mysql://u:secret@h/d}}", "ledger.postgres.url");
        check("ledger: {redis: {url: 'redis://:secret@h'}}", "ledger.redis");
        let both =
            |redis: &str| format!("ledger: {{postgres: {{url: 'postgres://h/d'}}, redis: {{{redis}}}}}");
        check(&both("url: 'http://:secret@h'"), "ledger.redis.url");
        check(&both("url: 'redis://:secret@h', timeout_ms: 0"), "ledger.redis.timeout_ms");
        crate::Config::parse(&both("url: 'rediss://:secret@h/1'")).unwrap();
    }
}
