//! One API key: how it is made, and what is kept of it.
//!
//! A key is `maof_` and 256 random bits in URL-safe base64. Only its SHA-256 is kept. A fast hash is right
//! here: slow ones protect secrets that can be guessed, and nobody guesses 256 bits.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use maof_core::{Error, Grant, Name, Principal, Result, Role, Secret};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

/// What every key begins with, so that leaks can be searched for.
pub const KEY_PREFIX: &str = "maof_";

const HASH_PREFIX: &str = "sha256:";

/// The SHA-256 of a key. Two are compared in the same time wherever they differ.
#[derive(Clone, Copy)]
pub(crate) struct Hash([u8; 32]);

impl Hash {
    pub(crate) fn of(key: &str) -> Hash {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
        Hash(hash)
    }
}

impl PartialEq for Hash {
    fn eq(&self, other: &Hash) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Hash {}

impl hash::Hash for Hash {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// What is kept of a key: its hash, and whom it stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// The key's name, for logs and budgets.
    pub name: Name,
    /// `sha256:` and 64 hexadecimal digits.
    pub hash: String,
    /// Whose data and money.
    pub tenant: Name,
    /// The person or program.
    pub user: Name,
    /// The team that the person or program belongs to, for reports. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<Name>,
    /// The service level. Default `default`.
    #[serde(default = "default_tier")]
    pub tier: Name,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Which agents it may use. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<Name>>,
}

/// The agents that tiers are held to, by every name of a tier.
pub type Tiers = HashMap<Name, Vec<Name>>;

fn default_tier() -> Name {
    // `unwrap_or_else` never runs: the literal is a name.
    Name::new("default").unwrap_or_else(|_| Principal::local().tier.clone())
}

impl KeyEntry {
    /// Makes a key. It is given once; the entry keeps its hash.
    ///
    /// # Errors
    /// `internal` when the operating system gives no randomness.
    pub fn generate(name: Name, tenant: Name, user: Name, roles: Vec<Role>) -> Result<(Secret, KeyEntry)> {
        let mut random = [0_u8; 32];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| Error::internal("the operating system gave no randomness for a key"))?;
        let key = format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        let mut hash = HASH_PREFIX.to_owned();
        for byte in Hash::of(&key).0 {
            let _ = write!(hash, "{byte:02x}");
        }
        let entry =
            KeyEntry { name, hash, tenant, user, team: None, tier: default_tier(), roles, agents: None };
        Ok((Secret::new(key), entry))
    }

    /// The hash's bytes.
    ///
    /// # Errors
    /// `invalid_request` when it is not written as it should be.
    pub(crate) fn digest(&self) -> Result<Hash> {
        let wrong = || {
            let why =
                format!("the key `{}` has no hash of the form sha256:<64 hexadecimal digits>", self.name);
            Error::invalid_request(why).param("hash")
        };
        // Digits are checked first: a number may also be written with a sign.
        let hex = self
            .hash
            .strip_prefix(HASH_PREFIX)
            .filter(|h| h.len() == 64 && h.bytes().all(|b| b.is_ascii_hexdigit()))
            .ok_or_else(wrong)?;
        let mut hash = [0; 32];
        for (byte, place) in hash.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&hex[place..place + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Hash(hash))
    }

    /// Whom it stands for; who is of a tier may ask only whom the tier names.
    pub(crate) fn principal(&self, tiers: &Tiers) -> Arc<Principal> {
        let agents = match (self.agents.as_ref(), tiers.get(&self.tier)) {
            (Some(own), Some(tier)) => {
                Some(own.iter().filter(|agent| tier.contains(agent)).cloned().collect())
            }
            (own, tier) => own.or(tier).cloned(),
        };
        Arc::new(Principal {
            tenant: self.tenant.clone(),
            user: self.user.clone(),
            key: Some(self.name.clone()),
            team: self.team.clone(),
            tier: self.tier.clone(),
            roles: self.roles.clone(),
            grant: agents.map_or(Grant::Any, Grant::Only),
        })
    }
}
