//! The Rust files that the rules are about.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folders of a checkout that hold our Rust code.
pub const FOLDERS: [&str; 5] = ["crates", "bins", "examples", "benches", "tests"];

/// One Rust file, read and parsed.
pub(super) struct Source {
    /// Relative to the root of the checkout.
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) syntax: syn::File,
}

/// Every Rust file under `root`'s [`FOLDERS`], in the order of their paths.
pub(super) fn sources(root: &Path) -> Result<Vec<Source>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        find(&root.join(folder), &mut files)?;
    }
    files.sort();
    files.into_iter().map(|file| read(root, &file)).collect()
}

/// Parses one file; the error names it and the line.
pub(super) fn parse(file: &Path, text: &str) -> Result<syn::File> {
    syn::parse_file(text).map_err(|error| {
        anyhow::anyhow!("{}:{}: does not parse: {error}", file.display(), error.span().start().line)
    })
}

fn read(root: &Path, file: &Path) -> Result<Source> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let path = file.strip_prefix(root).unwrap_or(file).to_path_buf();
    let syntax = parse(&path, &text)?;
    Ok(Source { path, text, syntax })
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
