//! Lets in and keeps out: API keys, roles, and which agents a caller may use.
//!
//! ```
//! use maof_core::{Name, Role};
//! use maof_security::{KeyEntry, Keyring};
//! let (key, entry) = KeyEntry::generate("ci".parse()?, "acme".parse()?, "build".parse()?, vec![Role::User])?;
//! let keyring = Keyring::from_entries(vec![entry])?;
//! assert_eq!(keyring.authenticate(key.expose())?.tenant.as_str(), "acme");
//! assert!(keyring.authenticate("maof_nonsense").is_err());
//! # Ok::<(), maof_core::Error>(())
//! ```

pub mod authorise;
mod key;
mod keyring;

pub use key::{KEY_PREFIX, KeyEntry, Tiers};
pub use keyring::Keyring;
