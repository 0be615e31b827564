//! What a process that died still held: it counts as spent, since nobody knows whether it was, and is written down.

use maof_core::{Account, Measure, Name, Timestamp};
use rusqlite::{Connection, Row, params};

use super::rows::text;
use crate::accounts::{HeldLine, Window};

/// Lost holds that are told one by one; the table has all.
const TOLD: usize = 100;

/// Moves what is held and promised in the file to spent, and to the table `lost_hold`.
pub(super) fn resolve(c: &Connection) -> rusqlite::Result<()> {
    c.execute_batch("BEGIN IMMEDIATE")?;
    let done = strict(c).and_then(|holds| Ok((holds, promised(c)?))).and_then(|counts| {
        c.execute_batch("COMMIT")?;
        Ok(counts)
    });
    match done {
        Ok((0, 0)) => {}
        Ok((holds, accounts)) => tracing::warn!(
            holds,
            accounts,
            "the last process ended without a word: what it still held counts as spent; see the table lost_hold"
        ),
        Err(error) => {
            let _ = c.execute_batch("ROLLBACK");
            return Err(error);
        }
    }
    Ok(())
}

/// Holds that were waited for; gives their number.
fn strict(c: &Connection) -> rusqlite::Result<usize> {
    let mut statement = c.prepare("SELECT key, lines FROM hold ORDER BY key")?;
    let holds = statement.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let holds: Vec<(String, String)> = holds.collect::<rusqlite::Result<_>>()?;
    for (number, (key, lines)) in holds.iter().enumerate() {
        let Ok(lines) = serde_json::from_str::<Vec<HeldLine>>(lines) else {
            tracing::error!(key, lines, "a hold in the database is damaged, and counts nowhere");
            continue;
        };
        for line in lines {
            if number < TOLD {
                let line = text(&line).unwrap_or_default();
                tracing::warn!(key, line, "the last process ended with an open hold; it counts as spent");
            }
            spend(c, Some(key), &line)?;
        }
    }
    c.execute("DELETE FROM hold", ())?;
    Ok(holds.len())
}

/// What was promised to holds that were not; gives the number of accounts.
fn promised(c: &Connection) -> rusqlite::Result<usize> {
    let mut statement =
        c.prepare("SELECT tenant, name, measure, period, start, promised FROM account WHERE promised > 0")?;
    let mut rows = statement.query(())?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some((account, start)) = window(row)? {
            lines.push(HeldLine { account, start, held: row.get(5)? });
        }
    }
    lines.iter().try_for_each(|line| spend(c, None, line))?;
    c.execute("UPDATE account SET promised = 0 WHERE promised > 0", ())?;
    Ok(lines.len())
}

fn spend(c: &Connection, key: Option<&str>, line: &HeldLine) -> rusqlite::Result<()> {
    let Account { tenant, name, measure, window } = &line.account;
    // Whose call it was is not under way any more.
    if *measure == Measure::Concurrency {
        return Ok(());
    }
    let (tenant, name, measure, window) = (tenant.as_str(), name.as_str(), measure.as_str(), window.name());
    // The sum of two is a real number where it is beyond the range of integers.
    c.prepare_cached(
        "INSERT INTO account (tenant, name, measure, period, start, spent, promised) VALUES (?,?,?,?,?,?,0) \
         ON CONFLICT DO UPDATE SET spent = CASE WHEN spent > 9223372036854775807 - excluded.spent \
         THEN 9223372036854775807 ELSE spent + excluded.spent END",
    )?
    .execute(params![tenant, name, measure, window, line.start.micros(), line.held])?;
    c.prepare_cached(
        "INSERT INTO lost_hold (at, key, tenant, name, measure, period, start, amount) \
         VALUES (unixepoch() * 1000000,?,?,?,?,?,?,?)",
    )?
    .execute(params![key, tenant, name, measure, window, line.start.micros(), line.held])?;
    Ok(())
}

/// The window that a row's first five columns name; none where it is of no version of MAOF that is known.
pub(super) fn window(row: &Row<'_>) -> rusqlite::Result<Option<Window>> {
    let text = |i| row.get::<_, String>(i);
    let (measure, over) = (text(2)?.parse(), text(3)?.parse());
    Ok(match (Name::new(&text(0)?), Name::new(&text(1)?), measure, over) {
        (Ok(tenant), Ok(name), Ok(measure), Ok(window)) => {
            Some((Account { tenant, name, measure, window }, Timestamp::from_micros(row.get(4)?)))
        }
        _ => None,
    })
}
