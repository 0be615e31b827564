//! The file itself: who may have it, who may read it, and what to say when it is not what it should be.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use maof_core::{Error, Origin, Result};

/// How every SQLite file begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Makes folder and file where they are not there, and takes the lock.
pub(super) fn prepare(path: &Path) -> Result<File> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).map_err(|e| told(path, e))?;
    }
    if path.is_dir() {
        return Err(unfit(path, "is a folder; name a file"));
    }
    // Before the lock: beside a file that is no database, no lock file is left.
    begins_as_one(path)?;
    let lock = lock(path)?;
    private().open(path).map_err(|e| told(path, e))?;
    Ok(lock)
}

/// Checks that the file is there and may be a database.
pub(super) fn known(path: &Path) -> Result<()> {
    if !path.is_file() {
        let why = format!("there is no database {}", path.display());
        return Err(Error::not_found(why).param("store.path"));
    }
    begins_as_one(path)
}

/// SQLite itself takes a short file for an empty database, and writes over it.
fn begins_as_one(path: &Path) -> Result<()> {
    let mut start = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(16).read_to_end(&mut start).map_err(|e| told(path, e))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(told(path, error)),
    };
    match start.is_empty() || start == MAGIC {
        true => Ok(()),
        false => Err(no_database(path)),
    }
}

/// Takes the lock file; it is let go when the process ends, however it ends.
fn lock(path: &Path) -> Result<File> {
    let mut file = private().open(beside(path, ".lock")).map_err(|e| told(path, e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let read = file.read_to_string(&mut owner).is_ok() && !owner.trim().is_empty();
            let who = if read { format!(" (process {})", owner.trim()) } else { String::new() };
            let why = format!(
                "the database {} is in use by another process{who}; stop it, or use another with --db",
                path.display()
            );
            return Err(Error::conflict(why).param("store.path"));
        }
        Err(TryLockError::Error(e)) => return Err(told(path, e)),
    }
    let written = file.set_len(0).and_then(|()| file.rewind());
    written.and_then(|()| writeln!(file, "{}", std::process::id())).map_err(|e| told(path, e))?;
    Ok(file)
}

/// A file that is made is the owner's only: it holds what tasks say. What SQLite makes beside it is as it is.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The error of a file that is something else.
pub(super) fn no_database(path: &Path) -> Error {
    unfit(path, "is no database of MAOF; name another file")
}

/// The error of a file whose schema we do not know yet.
pub(super) fn newer(path: &Path) -> Error {
    unfit(path, "was written by a newer version of MAOF; use that one, or name another file")
}

fn unfit(path: &Path, what: &str) -> Error {
    Error::invalid_request(format!("{} {what}", path.display())).origin_is(Origin::Store).param("store.path")
}

/// What an error of the file or the database means to who configured it.
pub(super) fn told(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let error = error.into();
    let text = error.to_string();
    let name = path.display();
    let made = if text.contains("not a database") || text.contains("no such table") {
        return no_database(path).because(error);
    } else if text.contains("malformed") {
        Error::internal(format!("the database {name} is damaged; restore a copy, or name another file"))
    } else if text.contains("readonly") {
        Error::unavailable(format!("the database {name} cannot be written; check its permissions"))
    } else {
        Error::unavailable(format!("the database {name} cannot be opened: {text}"))
    };
    made.origin_is(Origin::Store).param("store.path").because(error)
}
