//! Options of every command, and the configuration that they lead to.

use std::path::{Path, PathBuf};

use maof::{Config, Result};

/// Options of every command.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Common {
    /// The configuration file [default: maof.yaml here, or beside the workflow; else built-in local agents]
    #[arg(long, short, global = true, env = "MAOF_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The SQLite file to use instead of the configured one
    #[arg(long, global = true, env = "MAOF_DB", value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print no progress
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

impl Common {
    /// The configuration's file: the one named, else `maof.yaml` here, else beside `near`.
    pub(crate) fn find(&self, near: Option<&Path>) -> Option<PathBuf> {
        let here = PathBuf::from("maof.yaml");
        let beside = near.and_then(Path::parent).map(|dir| dir.join("maof.yaml"));
        let found = [Some(here), beside].into_iter().flatten().find(|path| path.is_file());
        self.config.clone().or(found)
    }

    /// Reads the configuration, or takes the built-in one; `--db` wins over it.
    pub(crate) fn load(&self, near: Option<&Path>) -> Result<Config> {
        let mut config = match self.find(near) {
            Some(path) => Config::load(&path)?,
            None => Config::default(),
        };
        if let Some(db) = &self.db {
            config.store.path.clone_from(db);
        }
        Ok(config)
    }
}
