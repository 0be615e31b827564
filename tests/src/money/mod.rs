//! Spends in every way that could overspend, at real servers and at each ledger, and lets the upstream's own counters judge.
//!
//! docs/money.md says how to run it and what the rows mean.

pub mod asked;
pub mod books;
pub mod callers;
pub mod interleaved;
pub mod jumps;
pub mod planted;
pub mod report;
pub mod servers;
pub mod stage;

use anyhow::Result;

use report::Row;

/// The names of all parts.
pub fn parts() -> Vec<&'static str> {
    let servers = servers::PARTS.iter().map(|part| part.name);
    let interleaved = interleaved::PARTS.iter().map(|(name, _)| *name);
    servers.chain(interleaved).chain(jumps::PARTS.iter().map(|(name, _)| *name)).collect()
}

/// Plays the part of this name.
///
/// # Errors
/// When there is no such part, or its programs cannot be started or read; a red row is no error.
pub async fn play(name: &str) -> Result<Row> {
    if let Some(part) = servers::PARTS.iter().find(|part| part.name == name) {
        return part.play().await;
    }
    if let Some((part, mode)) = interleaved::PARTS.iter().find(|(part, _)| *part == name) {
        return interleaved::play(part, *mode).await;
    }
    match jumps::PARTS.iter().find(|(part, _)| *part == name) {
        Some((part, holds)) => jumps::play(part, holds).await,
        None => anyhow::bail!("there is no part `{name}`; there are {}", parts().join(", ")),
    }
}
