//! One file a command, and what they share: finding the configuration.

pub(crate) mod agents;
pub(crate) mod config;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod tasks;

use std::path::{Path, PathBuf};

use maof::{Config, Result};

use crate::Common;

/// The configuration's file: the one named, else `maof.yaml` here, else beside `near`.
pub(crate) fn find(common: &Common, near: Option<&Path>) -> Option<PathBuf> {
    let here = PathBuf::from("maof.yaml");
    let beside = near.and_then(Path::parent).map(|dir| dir.join("maof.yaml"));
    let found = [Some(here), beside].into_iter().flatten().find(|path| path.is_file());
    common.config.clone().or(found)
}

/// Reads the configuration, or takes the built-in one; `--db` wins over it.
pub(crate) fn load(common: &Common, near: Option<&Path>) -> Result<Config> {
    let mut config = match find(common, near) {
        Some(path) => Config::load(&path)?,
        None => Config::default(),
    };
    if let Some(db) = &common.db {
        config.store.path.clone_from(db);
    }
    Ok(config)
}
