//! Who makes a call, and secrets.
//!
//! ```
//! use maof_core::{Grant, Principal, Secret};
//! let principal = Principal::local();
//! assert!(principal.grant.allows("any-agent"));
//! assert!(!Grant::Only(vec!["a".parse()?]).allows("b"));
//! assert_eq!(format!("{:?}", Secret::new("sk-123")), "Secret(***)");
//! # Ok::<(), maof_core::Error>(())
//! ```

use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use crate::ids::Name;

/// Something that must not be shown: no clear `Debug`, no `Serialize`, wiped when dropped.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Keeps `text` secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(text.into())))
    }

    /// The secret itself; the only way to it, so that its uses can be found.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// For telling whether a configuration changed, by its owner. Not for what a caller shows: how long it takes tells where two
/// differ.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

/// What a principal may do beside using agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything in the tenant.
    Admin,
    /// Submit and see tasks, make calls.
    User,
    /// See only.
    Readonly,
    /// As a user, on behalf of a program.
    Service,
}

/// Which agents a principal may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// Every agent.
    #[default]
    Any,
    /// Only these.
    Only(Vec<Name>),
}

impl Grant {
    /// Whether it covers the agent called `agent`.
    pub fn allows(&self, agent: &str) -> bool {
        match self {
            Grant::Any => true,
            Grant::Only(agents) => agents.iter().any(|a| a == agent),
        }
    }
}

/// Who makes a call. Every look-up, cache key and row carries its tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Whose data and money; another tenant's things do not exist for this one.
    pub tenant: Name,
    /// The person or program within the tenant.
    pub user: Name,
    /// The name (never the value) of the key that was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Name>,
    /// The team that it belongs to, for reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<Name>,
    /// The service level, which selects budgets and limits.
    pub tier: Name,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Which agents it may use.
    #[serde(default)]
    pub grant: Grant,
}

impl Principal {
    /// The one who runs MAOF in process or from the command line: tenant, user and tier are `local`, with
    /// every right.
    pub fn local() -> Arc<Principal> {
        static LOCAL: LazyLock<Arc<Principal>> = LazyLock::new(|| {
            let local = || Name::literal("local");
            Arc::new(Principal {
                tenant: local(),
                user: local(),
                key: None,
                team: None,
                tier: local(),
                roles: vec![Role::Admin],
                grant: Grant::Any,
            })
        });
        Arc::clone(&LOCAL)
    }

    /// Whether it has `role`; an admin has every one.
    pub fn is(&self, role: Role) -> bool {
        self.roles.iter().any(|r| *r == role || *r == Role::Admin)
    }

    /// Whether it may make calls and submit tasks.
    pub fn may_call(&self) -> bool {
        self.is(Role::User) || self.is(Role::Service)
    }
}
