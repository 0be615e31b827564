//! Rooms are small and say what they are: lines of a file, lines of a function, `//!` at the top.

use std::path::Path;

use anyhow::Result;

use super::finding::Finding;
use super::functions::functions;
use super::sources::sources;

/// The most lines a file may have.
const FILE_LINES: usize = 600;
/// The most lines a function may have, from `fn` to its closing brace.
const FUNCTION_LINES: usize = 80;

/// Every file that is too long or does not begin with `//!`, and every function that is too long.
pub fn rooms(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for source in sources(root)? {
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            let what = format!("the file has {lines} lines; at most {FILE_LINES}");
            findings.push(Finding::at(&source.path, lines, what));
        }
        if !source.text.starts_with("//!") {
            findings.push(Finding::at(
                &source.path,
                1,
                "the file does not begin with `//!`: say what it is for",
            ));
        }
        for long in functions(&source.syntax).iter().filter(|function| function.lines > FUNCTION_LINES) {
            let what = format!("`{}` has {} lines; at most {FUNCTION_LINES}", long.name, long.lines);
            findings.push(Finding::at(&source.path, long.line, what));
        }
    }
    Ok(findings)
}
