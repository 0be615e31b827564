//! The floors rule: a crate imports only from lower floors, and what touches the world is behind one wall.

use std::path::Path;

use anyhow::Result;

use super::finding::Finding;
use super::workspace::{Package, Workspace};

/// The floors, from the ground. Who adds a crate places it here.
const FLOORS: [&[&str]; 5] = [
    &["maof-core"],
    &[
        "maof-providers",
        "maof-local",
        "maof-tools",
        "maof-store",
        "maof-resilience",
        "maof-budget",
        "maof-security",
        "maof-cache",
        "maof-structured",
        "maof-telemetry",
        "maof-router",
        "maof-aggregate",
        "maof-engine",
    ],
    &["maof"],
    &["maof-http"],
    &["maof-cli", "maof-server"],
];

/// Beside the floors: for tests only, stands on the ground.
const BESIDE: &str = "maof-testkit";

/// All that the ground may depend on: no runtime, no HTTP, no SQL, no metrics.
const GROUND: [&str; 8] =
    ["async-trait", "bytes", "futures-core", "jiff", "serde", "serde_json", "uuid", "zeroize"];

/// What stays behind one wall, and whose.
const WALLS: [(&str, &[&str]); 7] = [
    ("axum", &["maof-http", BESIDE]),
    ("reqwest", &["maof-providers", "maof-cli"]),
    ("sqlx", &["maof-store"]),
    ("rusqlite", &["maof-store"]),
    ("metrics", &["maof-telemetry"]),
    ("backoff", &["maof-resilience"]),
    ("clap", &["maof-cli", "maof-server"]),
];

/// Every dependency that runs up or sideways, every crate that has no floor, and every dependency on
/// something of the world outside the wall it belongs behind. A dev-dependency may also name the test kit or a
/// sibling, so that a crate can be tested against a real neighbour, but nothing above; walls do not bind it.
pub fn floors(root: &Path) -> Result<Vec<Finding>> {
    let root = root.canonicalize()?;
    let workspace = Workspace::load(&root)?;
    let ours: Vec<&str> = workspace.packages.iter().map(|package| package.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in &workspace.packages {
        let folder = package.folder(&root);
        if !(folder.starts_with("crates") || folder.starts_with("bins")) {
            continue;
        }
        let mut report = |what: String| findings.push(Finding::new(&folder.join("Cargo.toml"), what));
        if package.name != BESIDE && floor(&package.name).is_none() {
            report(format!("`{}` stands on no floor; place it in tests/src/house/floors.rs", package.name));
            continue;
        }
        imports(package, &ours).into_iter().for_each(&mut report);
        walls(package).into_iter().for_each(&mut report);
    }
    Ok(findings)
}

/// The floor that a crate of ours stands on.
fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|crates| crates.contains(&name))
}

/// What is wrong with a package's dependencies on packages of ours.
fn imports(package: &Package, ours: &[&str]) -> Vec<String> {
    // The kit stands as if on floor 1: it sees the ground only.
    let own = floor(&package.name).unwrap_or(1);
    let mut wrong = Vec::new();
    for dependency in
        package.dependencies.iter().filter(|dependency| ours.contains(&dependency.name.as_str()))
    {
        let (name, dev) = (&dependency.name, dependency.kind.as_deref() == Some("dev"));
        match floor(name) {
            _ if name == BESIDE && dev => {}
            _ if name == BESIDE => wrong.push(format!("`{name}` may only be a dev-dependency")),
            Some(other) if other < own || dev && other == own => {}
            Some(other) if other == own => {
                wrong.push(format!("imports its sibling `{name}`; what they share belongs in maof-core"));
            }
            Some(other) => wrong.push(format!("floor {own} imports `{name}` of floor {other}")),
            None => wrong.push(format!("imports `{name}`, which stands on no floor")),
        }
    }
    wrong
}

/// What a package depends on that belongs behind another wall.
fn walls(package: &Package) -> Vec<String> {
    let mut wrong = Vec::new();
    for dependency in package.dependencies.iter().filter(|d| d.kind.as_deref() != Some("dev")) {
        let name = dependency.name.as_str();
        if floor(&package.name) == Some(0) && !GROUND.contains(&name) {
            wrong.push(format!("the ground may not depend on `{name}`"));
        }
        if let Some((_, owners)) = WALLS.iter().find(|(walled, _)| *walled == name)
            && !owners.contains(&package.name.as_str())
        {
            wrong.push(format!("`{name}` belongs behind the wall of {}", owners.join(" and ")));
        }
    }
    wrong
}
