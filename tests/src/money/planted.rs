//! Five bugs, planted into the code that ships by the feature `planted`: each must turn a row red.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

/// A bug, and a part that must find it.
const BUGS: [(&str, &str); 5] = [
    ("settle_twice", "interleaved.memory"),
    ("stale_counter", "interleaved.sqlite.strict"),
    ("check_then_record", "interleaved.sqlite.batched"),
    ("lost_release", "sqlite.strict"),
    ("float_money", "sqlite.batched"),
];

/// Plays each part without its bug, then with it; gives the number of bugs that nobody found. Prints a table.
///
/// # Errors
/// When this program cannot be started again.
#[allow(clippy::print_stdout, reason = "it is the program's output")]
pub fn find_all() -> Result<usize> {
    println!("| planted | part | what it says | verdict |\n|---|---|---|---|");
    let mut missed = 0;
    for (bug, part) in BUGS {
        let (healthy, _) = plays(part, "")?;
        let (red, line) = plays(part, bug)?;
        let verdict = match (healthy, red) {
            (0, 1..=100) => "found",
            (0, _) => "RED: not found",
            _ => "RED: the part is red without it",
        };
        missed += usize::from(verdict != "found");
        let said = line.split_once("RED: ").map_or("green", |(_, why)| why).trim_end_matches([' ', '|']);
        println!("| {bug} | {part} | {said} | {verdict} |");
    }
    Ok(missed)
}

/// The number of red rows, and the last line that was printed.
fn plays(part: &str, bug: &str) -> Result<(i32, String)> {
    let me = std::env::current_exe().context("this program's own path")?;
    let mut me = Command::new(me);
    let said = me.args(["--only", part]).env("MAOF_PLANTED", bug).stderr(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    Ok((said.status.code().unwrap_or(101), text.lines().last().unwrap_or_default().to_owned()))
}
