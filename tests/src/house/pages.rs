//! Pages that must keep up with the code: one for each error kind, and the invariants with their tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Result;

use super::finding::Finding;
use super::functions::functions;
use super::sources::sources;

/// What a page about an error answers, in this order.
const HEADINGS: [&str; 3] = ["## What it means", "## Who caused it", "## What to do"];

/// Every one of `kinds` without a full page `docs/errors/<kind>.md`, and every page that is of no kind.
pub fn error_pages(root: &Path, kinds: &[&str]) -> Result<Vec<Finding>> {
    let folder = Path::new("docs/errors");
    let mut findings = Vec::new();
    for kind in kinds {
        let page = folder.join(format!("{kind}.md"));
        let Ok(text) = fs::read_to_string(root.join(&page)) else {
            findings.push(Finding::new(&page, format!("missing: the page of error kind `{kind}`")));
            continue;
        };
        for heading in HEADINGS.iter().filter(|heading| !text.lines().any(|line| line == **heading)) {
            findings.push(Finding::new(&page, format!("lacks the heading `{heading}`")));
        }
    }
    for entry in fs::read_dir(root.join(folder)).into_iter().flatten() {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let stem = name.strip_suffix(".md").unwrap_or(&name);
        if stem != "README" && !kinds.contains(&stem) {
            findings.push(Finding::new(&folder.join(&name), "is the page of no error kind"));
        }
    }
    Ok(findings)
}

/// Every numbered invariant of `ARCHITECTURE.md` that does not end in ``Test: `name` `` (or ``Tests: `a`, `b` ``),
/// or names a test function that is not in the tree. Finds fault with a page that is absent or has none.
pub fn invariants(root: &Path) -> Result<Vec<Finding>> {
    let page = Path::new("ARCHITECTURE.md");
    let Ok(text) = fs::read_to_string(root.join(page)) else {
        return Ok(vec![Finding::new(page, "missing: it states the invariants and the test of each")]);
    };
    let invariants = numbered(&text);
    if invariants.is_empty() {
        return Ok(vec![Finding::new(page, "has no heading `Invariants` with a numbered list under it")]);
    }
    let tests = tests(root)?;
    let mut findings = Vec::new();
    for (line, invariant) in invariants {
        let named = invariant.split_once("Test: ").or_else(|| invariant.split_once("Tests: "));
        let names: Vec<&str> = named.map(|(_, names)| quoted(names)).unwrap_or_default();
        if names.is_empty() {
            findings.push(Finding::at(page, line, "the invariant names no test; end it in Test: `name`"));
        }
        for name in names {
            if !tests.contains(name.rsplit("::").next().unwrap_or(name)) {
                findings.push(Finding::at(page, line, format!("there is no test `{name}`")));
            }
        }
    }
    Ok(findings)
}

/// The items of the numbered list under the heading that says `Invariants`, each with its first line.
fn numbered(text: &str) -> Vec<(usize, String)> {
    let mut items: Vec<(usize, String)> = Vec::new();
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    let section = lines
        .skip_while(|(_, line)| !(line.starts_with('#') && line.to_lowercase().contains("invariants")))
        .skip(1)
        .take_while(|(_, line)| !line.starts_with('#'));
    for (at, line) in section {
        let number = line.split_once(". ").map_or("", |(number, _)| number);
        if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
            items.push((at, line.to_owned()));
        } else if let Some((_, item)) = items.last_mut() {
            item.push(' ');
            item.push_str(line.trim());
        }
    }
    items
}

/// The words between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The names of all test functions in the tree.
fn tests(root: &Path) -> Result<BTreeSet<String>> {
    let sources = sources(root)?;
    let all = sources.iter().flat_map(|source| functions(&source.syntax));
    Ok(all.filter(|function| function.test).map(|function| function.name).collect())
}
