//! Circles: files of a crate that import one another in a ring.
//!
//! An arrow runs from a file to the file that *defines* what it names, through any `pub use` in between, so
//! a `mod.rs` that only re-exports is no part of a circle. Code under `#[cfg(test)]` does not count.

mod arrows;
mod modules;
mod resolve;
mod rings;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::Result;

use self::arrows::{Arrows, arrows};
use self::modules::Modules;
use self::rings::rings;
use super::finding::Finding;
use super::workspace::Workspace;

/// The most files that may import one another in a ring.
const FILES: usize = 5;

/// Every circle of more than five files, and every circle across folders, in the libraries and binaries of
/// the workspace.
pub fn circles(root: &Path) -> Result<Vec<Finding>> {
    let root = root.canonicalize()?;
    let mut findings = Vec::new();
    for package in &Workspace::load(&root)?.packages {
        for target in package.targets.iter().filter(|t| t.kind.iter().any(|k| k == "lib" || k == "bin")) {
            findings.extend(circles_of(&root, &target.src_path)?);
        }
    }
    Ok(findings)
}

/// The forbidden circles of the crate whose code begins in the file `start`.
fn circles_of(root: &Path, start: &Path) -> Result<Vec<Finding>> {
    let modules = Modules::load(start)?;
    let arrows = arrows(&modules);
    let name = |file: usize| modules.files[file].path.strip_prefix(root).unwrap_or(start).to_path_buf();
    let mut findings = Vec::new();
    for ring in rings(modules.files.len(), &arrows) {
        let across = ring.iter().any(|file| name(*file).parent() != name(ring[0]).parent());
        let wrong = match (ring.len() > FILES, across) {
            (true, _) => format!("a circle of {} files; at most {FILES}", ring.len()),
            (false, true) => format!("a circle across folders, of {} files", ring.len()),
            (false, false) => continue,
        };
        let what = format!("{wrong}: {}", told(&ring, &arrows, name));
        findings.push(Finding::new(&name(ring[0]), what));
    }
    Ok(findings)
}

/// The arrows of a ring, each with the line that draws it.
fn told(ring: &[usize], arrows: &Arrows, name: impl Fn(usize) -> PathBuf) -> String {
    let inside = arrows.iter().filter(|((from, to), _)| ring.contains(from) && ring.contains(to));
    let told = inside.map(|((from, to), line)| {
        let to = name(*to);
        format!("{}:{line} -> {}", name(*from).display(), to.display())
    });
    told.collect::<Vec<_>>().join(", ")
}
