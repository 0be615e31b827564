//! All keys: who is behind one, and the file that keeps their hashes.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use maof_core::{Error, Name, Principal, Result};
use serde::{Deserialize, Serialize};

use crate::key::{Hash, KEY_PREFIX, KeyEntry, Tiers};

/// Keys that one file may have.
const MOST: usize = 100_000;
/// Bytes that a key file may have: room for as many keys with some agents each.
const LARGEST: u64 = 64 << 20;
/// A key is far shorter; more is not even hashed.
const LONGEST: usize = 512;

/// Every key's hash and principal. Reading takes no lock; keys are replaced all at once.
///
/// A shown key is hashed, and its hash looked up in a map that is keyed at random and compares hashes in
/// constant time. So the time of a look-up says nothing of a key that is known, and who could learn a
/// hash from it would still have to invert SHA-256.
pub struct Keyring {
    keys: ArcSwap<Keys>,
    tiers: Tiers,
}

struct Keys {
    known: HashMap<Hash, Arc<Principal>, ahash::RandomState>,
    entries: Vec<KeyEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    keys: Vec<KeyEntry>,
}

impl Keys {
    fn read(entries: Vec<KeyEntry>, tiers: &Tiers) -> Result<Keys> {
        if entries.len() > MOST {
            return Err(Error::too_large("a keyring has at most 100,000 keys").param("keys"));
        }
        let mut known = HashMap::default();
        let mut names: HashSet<&Name> = HashSet::new();
        for (i, entry) in entries.iter().enumerate() {
            let wrong = |field: &str, why: String| {
                Err(Error::invalid_request(why).param(format!("keys[{i}].{field}")))
            };
            if entry.roles.is_empty() {
                return wrong("roles", format!("the key `{}` has no role", entry.name));
            }
            if !names.insert(&entry.name) {
                return wrong("name", format!("another key is called `{}`", entry.name));
            }
            let hash = entry.digest().map_err(|e| e.param(format!("keys[{i}].hash")))?;
            if known.insert(hash, entry.principal(tiers)).is_some() {
                return wrong("hash", format!("the key `{}` is there twice", entry.name));
            }
        }
        Ok(Keys { known, entries })
    }
}

impl Keyring {
    /// A keyring of these keys.
    ///
    /// # Errors
    /// `invalid_request` naming the key whose entry is malformed, or that is there twice; `too_large` when
    /// there are more than 100,000.
    pub fn from_entries(entries: Vec<KeyEntry>) -> Result<Keyring> {
        let tiers = Tiers::default();
        Ok(Keyring { keys: ArcSwap::from_pointee(Keys::read(entries, &tiers)?), tiers })
    }

    /// Holds the callers of tiers to the agents that these name. Default: all may ask all.
    ///
    /// # Errors
    /// As [`Keyring::from_entries`].
    pub fn with_tiers(self, tiers: Tiers) -> Result<Keyring> {
        let entries = self.keys.load().entries.clone();
        Ok(Keyring { keys: ArcSwap::from_pointee(Keys::read(entries, &tiers)?), tiers })
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// `not_found`, `unavailable`, `too_large` or `invalid_request` naming the file, and the field that is wrong.
    pub fn load(path: &Path) -> Result<Keyring> {
        let name = path.display();
        let told = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::not_found(format!("there is no key file {name}")).because(e)
            }
            _ => Error::unavailable(format!("the key file {name} cannot be read: {e}")).because(e),
        };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(told)?;
        file.take(LARGEST + 1).read_to_string(&mut text).map_err(told)?;
        if text.len() as u64 > LARGEST {
            let why = format!("the key file {name} is larger than {} MiB", LARGEST >> 20);
            return Err(Error::too_large(why).param("keys"));
        }
        let file: File = serde_json::from_str(&text).map_err(|e| {
            Error::invalid_request(format!("{name} is no key file: {e}")).param("keys").because(e)
        })?;
        if file.version != 1 {
            let why = format!("{name} is a key file of version {}, not 1", file.version);
            return Err(Error::invalid_request(why).param("version"));
        }
        Keyring::from_entries(file.keys).map_err(|e| e.context(name))
    }

    /// Writes the hashes, readable by the owner only; the file is replaced whole or not at all, also if the
    /// machine dies.
    ///
    /// # Errors
    /// `unavailable` naming the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let file = File { version: 1, keys: self.keys.load().entries.clone() };
        let json = serde_json::to_string_pretty(&file)
            .map_err(|e| Error::internal("a key file could not be written as JSON").because(e))?;
        let told = |e: std::io::Error| {
            Error::unavailable(format!("the key file {} cannot be written: {e}", path.display())).because(e)
        };
        replace(path, json.as_bytes()).map_err(told)
    }

    /// Replaces every key at once; calls in flight keep the principal that they have.
    ///
    /// # Errors
    /// As [`Keyring::from_entries`]; then nothing is replaced.
    pub fn replace(&self, entries: Vec<KeyEntry>) -> Result<()> {
        self.keys.store(Arc::new(Keys::read(entries, &self.tiers)?));
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
        self.keys.load().known.get(&Hash::of(key)).cloned().ok_or_else(unknown)
    }
}

/// Writes `bytes` beside `path`, and puts them in its place when they are on the disk.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    // What an earlier death left behind may be readable by others, or a link to somewhere else.
    match std::fs::remove_file(beside) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(beside)?;
    out.write_all(bytes).and_then(|()| out.sync_all())?;
    std::fs::rename(beside, path)?;
    // The new name is on the disk once its folder is. Only Unix opens folders.
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.keys.load().entries.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
