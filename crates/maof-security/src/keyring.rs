//! All keys: who is behind one, and the file that keeps their hashes.

use std::collections::HashMap;
use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use maof_core::{Error, Principal, Result};
use serde::{Deserialize, Serialize};

use crate::key::{Hash, KEY_PREFIX, KeyEntry, hash_of};

/// Keys that one file may have.
const MOST: usize = 100_000;
/// A key is far shorter; more is not even hashed.
const LONGEST: usize = 512;

type Known = HashMap<Hash, Arc<Principal>, ahash::RandomState>;

/// Every key's hash and principal. Reading takes no lock; keys are replaced all at once.
///
/// A shown key is hashed and its hash looked up. What a comparison of hashes tells by its time is of no use:
/// who could choose a hash's prefix could break SHA-256, and the map is keyed at random besides.
pub struct Keyring {
    known: ArcSwap<Known>,
    entries: ArcSwap<Vec<KeyEntry>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    keys: Vec<KeyEntry>,
}

impl Keyring {
    /// A keyring of these keys.
    ///
    /// # Errors
    /// `invalid_request` naming the key whose entry is malformed, or that is there twice.
    pub fn from_entries(entries: Vec<KeyEntry>) -> Result<Keyring> {
        let known = Keyring::read(&entries)?;
        Ok(Keyring { known: ArcSwap::from_pointee(known), entries: ArcSwap::from_pointee(entries) })
    }

    fn read(entries: &[KeyEntry]) -> Result<Known> {
        if entries.len() > MOST {
            return Err(Error::too_large("a keyring has at most 100,000 keys").param("keys"));
        }
        let mut known = Known::default();
        for (i, entry) in entries.iter().enumerate() {
            let at = |e: Error| {
                let field = e.field().unwrap_or("name").to_owned();
                e.param(format!("keys[{i}].{field}"))
            };
            if entry.roles.is_empty() {
                let why = format!("the key `{}` has no role", entry.name);
                return Err(at(Error::invalid_request(why).param("roles")));
            }
            if entries[..i].iter().any(|other| other.name == entry.name) {
                return Err(at(Error::invalid_request(format!("another key is called `{}`", entry.name))));
            }
            if known.insert(entry.digest().map_err(at)?, entry.principal()).is_some() {
                let why = format!("the key `{}` is there twice", entry.name);
                return Err(at(Error::invalid_request(why).param("hash")));
            }
        }
        Ok(known)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// `not_found`, `unavailable` or `invalid_request` naming the file, and the field that is wrong.
    pub fn load(path: &Path) -> Result<Keyring> {
        let name = path.display();
        let text = std::fs::read_to_string(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::not_found(format!("there is no key file {name}")).because(e)
            }
            _ => Error::unavailable(format!("the key file {name} cannot be read: {e}")).because(e),
        })?;
        let file: File = serde_json::from_str(&text).map_err(|e| {
            Error::invalid_request(format!("{name} is no key file: {e}")).param("keys").because(e)
        })?;
        if file.version != 1 {
            let why = format!("{name} is a key file of version {}, not 1", file.version);
            return Err(Error::invalid_request(why).param("version"));
        }
        Keyring::from_entries(file.keys).map_err(|e| e.context(name))
    }

    /// Writes the hashes, readable by the owner only; the file is replaced whole or not at all.
    ///
    /// # Errors
    /// `unavailable` naming the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let file = File { version: 1, keys: (**self.entries.load()).clone() };
        let json = serde_json::to_string_pretty(&file)
            .map_err(|e| Error::internal("a key file could not be written as JSON").because(e))?;
        let told = |e: std::io::Error| {
            Error::unavailable(format!("the key file {} cannot be written: {e}", path.display())).because(e)
        };
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = Path::new(&beside);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut out = options.open(beside).map_err(told)?;
        out.write_all(json.as_bytes()).and_then(|()| out.sync_all()).map_err(told)?;
        std::fs::rename(beside, path).map_err(told)
    }

    /// Replaces every key at once; calls in flight keep the principal that they have.
    ///
    /// # Errors
    /// As [`Keyring::from_entries`]; then nothing is replaced.
    pub fn replace(&self, entries: Vec<KeyEntry>) -> Result<()> {
        self.known.store(Arc::new(Keyring::read(&entries)?));
        self.entries.store(Arc::new(entries));
        Ok(())
    }

    /// The principal behind a key.
    ///
    /// # Errors
    /// `unauthenticated`; the key is not in the message.
    pub fn authenticate(&self, key: &str) -> Result<Arc<Principal>> {
        let unknown =
            || Error::unauthenticated("the API key is not known; check that it is complete and current");
        if key.len() > LONGEST || !key.starts_with(KEY_PREFIX) {
            return Err(unknown());
        }
        self.known.load().get(&hash_of(key)).cloned().ok_or_else(unknown)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.entries.load().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
