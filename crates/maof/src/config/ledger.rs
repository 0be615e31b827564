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
    /// This process's name in that database; processes that live at the same time need names of their own, and one that
    /// starts again keeps its name. Default: the machine's name and the port of `server.listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub node: Option<Name>,
}

impl Ledger {
    pub(super) fn check(&self) -> Result<()> {
        if let Some(postgres) = &self.postgres {
            postgres.validate().map_err(|e| {
                let field = format!("postgres.{}", e.field().unwrap_or_default());
                e.param(field)
            })?;
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
        let text = "ledger: {postgres: {url: mysql://u:secret@h/d}}";
        let error = crate::Config::parse(text).unwrap_err();
        assert_eq!(error.field(), Some("ledger.postgres.url"));
        assert!(!error.to_string().contains("secret"));
    }
}
