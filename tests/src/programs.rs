//! Programs of ours that a test starts, each a process of its own: ready when its log says so.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use maof::SystemClock;
use maof_core::Clock as _;

/// How long a program may take to be ready, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program that is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Program(Child);

impl Program {
    /// One that was started.
    pub(crate) fn of(child: Child) -> Program {
        Program(child)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Stops it as an operator would, and waits until it has ended; where it does not, `words` are its last.
    pub(crate) async fn end(&mut self, words: &str) -> Result<()> {
        let id = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw);
        let id = id.context("the program has a process id")?;
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        let asked = SystemClock.instant();
        while self.0.try_wait()?.is_none() {
            ensure!(SystemClock.instant() - asked < PATIENCE, "a program does not stop: {words}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program of ours, which lies beside this one.
pub(crate) fn program(name: &str) -> Command {
    let beside = std::env::current_exe().ok().and_then(|me| Some(me.parent()?.join(name)));
    Command::new(beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name)))
}

pub(crate) fn log(path: &Path) -> Result<Stdio> {
    Ok(std::fs::File::create(path)?.into())
}

pub(crate) fn last_words(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

pub(crate) fn word_after<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_whitespace().next()
}

/// Waits until a log says something.
pub(crate) async fn said(path: &Path, find: impl Fn(&str) -> Option<String>) -> Result<String> {
    let since = SystemClock.instant();
    while SystemClock.instant() - since < PATIENCE {
        if let Some(found) = find(&std::fs::read_to_string(path).unwrap_or_default()) {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("{} is not ready: {}", path.display(), last_words(path))
}
