//! Judges a case by what the caller saw, what the upstream counted, and what the ledger says.

use maof_core::Attempt;
use maof_testkit::ModelStats;

use super::case::{Bill, Case, Check, Line};
use super::seen::Seen;

/// What no caller may see: what the scripted upstream says of its keys and hosts.
const SECRETS: [&str; 3] = ["sk-upstream-secret", "10.0.0.7", "sk-of-the-wall"];

/// Everything that is known of a case that was played.
#[derive(Clone, Debug)]
pub struct Played {
    /// What each caller saw, in the order of their asking.
    pub calls: Vec<Seen>,
    /// What each upstream counted.
    pub ups: Vec<ModelStats>,
    /// The ledger's rows of each upstream.
    pub rows: Vec<Vec<Attempt>>,
    /// The names of the upstreams.
    pub names: Vec<String>,
    /// Whether the server was well afterwards.
    pub healthy: bool,
    /// Whether the upstream had no open request of it five seconds afterwards.
    pub settled: bool,
    /// By how many KiB the server's memory grew while it was played.
    pub grown_kib: u64,
}

/// What is wrong; nothing where all is well.
pub fn judge(case: &Case, played: &Played) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut note = |found: Result<(), String>| wrong.extend(found.err());
    for check in &case.checks {
        note(holds(case, played, *check));
    }
    for seen in &played.calls {
        if let Some(garbage) = &seen.garbage {
            note(Err(format!("the caller received garbage: {garbage:?}")));
        }
        let text = seen.raw.text();
        for secret in SECRETS.into_iter().filter(|secret| text.contains(secret)) {
            note(Err(format!("the caller saw `{secret}`")));
        }
    }
    if !played.healthy {
        note(Err("the server is not ready afterwards".to_owned()));
    }
    if !played.settled {
        note(Err("a request to the upstream was left open".to_owned()));
    }
    for (at, up) in case.ups.iter().enumerate() {
        note(billed(case, played, at, up.bill));
    }
    wrong.dedup();
    wrong
}

fn holds(case: &Case, played: &Played, check: Check) -> Result<(), String> {
    let answer = case.answer();
    let all = |is: &dyn Fn(&Seen) -> Result<(), String>| {
        let of = played.calls.len();
        played.calls.iter().enumerate().try_for_each(|(n, seen)| {
            is(seen).map_err(|why| if of == 1 { why } else { format!("call {} of {of}: {why}", n + 1) })
        })
    };
    match check {
        Check::Answer => all(&|seen| seen.is_answer(&answer)),
        Check::Refused(statuses) => all(&|seen| {
            let told = seen.is_refused()?;
            demand(statuses.contains(&seen.raw.status), || {
                format!("refused with {} {}, not one of {statuses:?}", seen.raw.status, told.code)
            })
        }),
        Check::AnswerOrRefused => {
            all(&|seen| seen.is_answer(&answer).or_else(|why| seen.is_refused().map(drop).map_err(|_| why)))
        }
        Check::RescuedOrTold => all(&|seen| {
            answer_or_told(seen, &answer)?;
            demand(seen.raw.status == 200, || format!("status {}", seen.raw.status))
        }),
        Check::AnswerOrTold => {
            all(&|seen| seen.is_refused().map(drop).or_else(|_| answer_or_told(seen, &answer)))
        }
        Check::Told => all(&|seen| {
            seen.is_told(&answer)?;
            demand(!seen.text.is_empty() && seen.raw.status == 200, || "nothing was said before".to_owned())
        }),
        Check::SaysWhen => all(&|seen| {
            demand(says_when(seen), || format!("retry-after is {:?}", seen.raw.header("retry-after")))
        }),
        Check::Says(words) => all(&|seen| {
            let told = seen.is_refused()?;
            let said = told.code.contains(words) || told.message.contains(words);
            demand(said, || format!("`{}: {}` does not say {words}", told.code, told.message))
        }),
        Check::Within(ms) => all(&|seen| in_time("the answer", seen.raw.took.as_millis(), ms)),
        Check::FirstWithin(ms) => all(&|seen| in_time("the first byte", seen.raw.first.as_millis(), ms)),
        Check::Costs => all(&|seen| {
            let told = seen.raw.header("x-maof-cost-usd").unwrap_or("nothing");
            let nanos = told.parse::<f64>().map_or(-1, |dollars| (dollars * 1e9).round() as i64);
            demand(nanos == case.full_cost(), || format!("the header says that it cost {told} US dollars"))
        }),
        Check::Header(name, value) => all(&|seen| {
            let told = seen.raw.header(name).unwrap_or("nothing");
            demand(told == value, || format!("{name} says {told}, not {value}"))
        }),
        Check::AnsweredBy(at) => all(&|seen| answered_by(seen, &played.names[at])),
        _ => counts(played, check),
    }
}

/// The checks that look at the upstreams' counters, or at all calls together.
fn counts(played: &Played, check: Check) -> Result<(), String> {
    match check {
        Check::Attempts(at, least, most) => {
            let asked = played.ups[at].at_ms.len();
            let name = &played.names[at];
            demand((least..=most).contains(&asked), || {
                format!("{name} was asked {asked} times, not {least} to {most}")
            })
        }
        Check::AttemptsIn(most, ms) => {
            let mut times: Vec<u64> = played.ups.iter().flat_map(|up| up.at_ms.iter().copied()).collect();
            times.sort_unstable();
            let found = most_within(&times, ms);
            demand(found <= most, || format!("{found} attempts within {ms} ms, more than {most}"))
        }
        Check::Gap(ms) => {
            let gap = match played.ups[0].at_ms.as_slice() {
                [first, second, ..] => second - first,
                _ => ms,
            };
            demand(gap >= ms, || format!("asked again after {gap} ms, not {ms}"))
        }
        Check::ReturnsTo(at, last) => {
            let calls = &played.calls[played.calls.len().saturating_sub(last)..];
            let away = calls.iter().filter(|seen| answered_by(seen, &played.names[at]).is_err()).count();
            demand(away == 0, || {
                format!("of the last {last} calls {away} were not answered by {}", played.names[at])
            })
        }
        Check::Spared(at, percent) => {
            let (asked, calls) = (played.ups[at].at_ms.len(), played.calls.len());
            demand(asked * 100 <= calls * percent, || {
                format!("{} was asked {asked} times for {calls} calls", played.names[at])
            })
        }
        Check::AtOnce(at, most) => {
            let (open, name) = (played.ups[at].max_open, &played.names[at]);
            demand(open == most, || format!("{name} was asked by {open} at once, not by {most}"))
        }
        Check::Sheds(ms) => {
            let refused = played.calls.iter().filter(|seen| seen.raw.status != 200);
            let mut took: Vec<u128> = refused.map(|seen| seen.raw.took.as_millis()).collect();
            took.sort_unstable();
            let of = played.calls.len();
            demand((1..of).contains(&took.len()), || format!("{} of {of} calls were refused", took.len()))?;
            in_time("half of the refusals", took[took.len() / 2], ms)?;
            let waits = played.calls.iter().filter(|seen| seen.raw.status != 200).all(says_when);
            demand(waits, || "a refusal does not say when to come back".to_owned())
        }
        Check::Memory(mib) => {
            let grown = played.grown_kib / 1024;
            demand(grown <= mib, || format!("the server grew by {grown} MiB, more than {mib}"))
        }
        _ => Ok(()),
    }
}

/// Where it is neither, the reason is about what it claims to be.
fn answer_or_told(seen: &Seen, answer: &str) -> Result<(), String> {
    match seen.error {
        Some(_) => seen.is_told(answer).map(drop),
        None => seen.is_answer(answer),
    }
}

/// Whether a refusal says when to come back, in at most 120 seconds.
fn says_when(seen: &Seen) -> bool {
    let wait = seen.raw.header("retry-after").and_then(|text| text.parse::<u64>().ok());
    wait.is_some_and(|seconds| (1..=120).contains(&seconds))
}

fn demand(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

fn in_time(what: &str, took: u128, ms: u64) -> Result<(), String> {
    demand(took <= u128::from(ms), || format!("{what} took {took} ms, more than {ms}"))
}

/// By the header that names the endpoint, and by the model that the body names.
fn answered_by(seen: &Seen, name: &str) -> Result<(), String> {
    let endpoint = seen.raw.header("x-maof-endpoint").unwrap_or("nobody");
    demand(endpoint == name, || format!("answered by {endpoint}, not {name}"))?;
    let model = seen.model.as_deref().unwrap_or("none");
    demand(model == name, || format!("the body names the model {model}, not {name}"))
}

/// The most times within any `ms` milliseconds.
pub fn most_within(times: &[u64], ms: u64) -> usize {
    let mut begin = 0;
    let ends = times.iter().enumerate().map(|(end, time)| {
        while time - times[begin] >= ms {
            begin += 1;
        }
        end + 1 - begin
    });
    ends.max().unwrap_or(0)
}

/// One row for each request that the upstream received, each at what it cost.
fn billed(case: &Case, played: &Played, at: usize, bill: Bill) -> Result<(), String> {
    let (rows, asked, name) = (&played.rows[at], played.ups[at].at_ms.len(), &played.names[at]);
    if case.ups[at].line == Line::Deaf {
        let free = rows.iter().all(|row| row.failure.is_some() && row.cost.nanos() == 0);
        return demand(free && asked == 0, || format!("{name}, which was never reached, has a bill"));
    }
    demand(rows.len() == asked, || format!("{name} was asked {asked} times and has {} rows", rows.len()))?;
    let full = case.full_cost();
    rows.iter().try_for_each(|row| {
        let cost = row.cost.nanos();
        // Where no usage came, it is estimated, by another way of counting than the upstream's.
        let most = full.saturating_mul(10);
        let right = match (&row.failure, bill) {
            (None, _) if row.usage.estimated => (1..=most).contains(&cost),
            (None, _) => cost == full,
            (Some(_), Bill::Nothing) => cost == 0,
            (Some(_), Bill::Perhaps) => (0..=most).contains(&cost),
            (Some(_), Bill::Part) => (1..=most).contains(&cost),
        };
        demand(right, || match &row.failure {
            None => format!("an answer of {name} cost {cost} nano-dollars, not {full}"),
            Some(failure) => format!("{name} failed ({}) and cost {cost} nano-dollars", failure.kind),
        })
    })
}
