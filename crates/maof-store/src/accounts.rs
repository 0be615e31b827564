//! The account machine: holds, charges and balances. Pure; both stores keep one.

use std::collections::BTreeMap;
use std::sync::Arc;

use maof_core::{Account, Attempt, AttemptId, Balance, Charge, Error, Measure, Money, Result, Timestamp};
use smallvec::SmallVec;

/// Closed holds that are remembered for charges that come late; the oldest are forgotten first. A charge
/// that comes later still is written down as an attempt, but counts on no account.
const REMEMBERED: usize = 10_000;
/// Windows that are kept before those that have ended are swept.
const SWEEP_AT: usize = 10_000;

/// An account in one window, by the window's start.
pub(crate) type Window = (Account, Timestamp);
/// A map whose hashes are quick, and keyed at random: names and keys are given by callers.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, ahash::RandomState>;

/// Ten thousand of these are kept, and one is forgotten with each call: what is not inside would be freed from memory
/// that nobody has touched for long.
#[derive(Debug, Default)]
struct Hold {
    lines: SmallVec<[Line; 4]>,
    /// The attempts that it was charged for: one or two, mostly.
    charged: SmallVec<[AttemptId; 2]>,
}

#[derive(Debug)]
struct Line {
    window: Window,
    held: i64,
}

/// Every account, and every hold that is open.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    balances: HashMap<Window, Balance>,
    holds: HashMap<Arc<str>, Hold>,
    closed: Closed,
    sweep_at: usize,
}

impl Accounts {
    /// What was spent before this process began.
    pub(crate) fn load(&mut self, window: Window, spent: i64) {
        self.balances.insert(window, Balance { spent, held: 0 });
    }

    /// Makes `key` hold at least these amounts, all or none.
    ///
    /// A key that was closed begins anew, in the windows of `now`: a step that is asked again tomorrow is
    /// tomorrow's spending. The attempts that it was charged for are remembered.
    pub(crate) fn hold(&mut self, key: &Arc<str>, charges: &[Charge], now: Timestamp) -> Result<()> {
        self.sweep(now);
        let raises = self.raises(key, charges, now)?;
        let hold = self.holds.entry(Arc::clone(key)).or_insert_with(|| Hold {
            lines: SmallVec::new(),
            charged: self.closed.take(key).map(|closed| closed.charged).unwrap_or_default(),
        });
        for (window, raise) in raises {
            // An endpoint as dear as the cheapest raises nothing.
            if raise == 0 && hold.lines.iter().any(|line| line.window == window) {
                continue;
            }
            let balance = self.balances.entry(window.clone()).or_default();
            balance.held = balance.held.saturating_add(raise);
            match hold.lines.iter_mut().find(|line| line.window == window) {
                Some(line) => line.held = line.held.saturating_add(raise),
                None => hold.lines.push(Line { window, held: raise }),
            }
        }
        Ok(())
    }

    /// By how much each window's hold grows, if all of them may.
    fn raises(&self, key: &Arc<str>, charges: &[Charge], now: Timestamp) -> Result<Vec<(Window, i64)>> {
        let open = self.holds.get(key);
        let mut raises: Vec<(Window, i64)> = Vec::with_capacity(charges.len());
        for charge in charges {
            let line = open.and_then(|hold| hold.lines.iter().find(|l| l.window.0 == charge.account));
            let (window, held) = match line {
                Some(line) => (line.window.clone(), line.held),
                None => ((charge.account.clone(), charge.account.window.start(now)), 0),
            };
            // One account may come twice, with two limits: it holds the larger amount, within both.
            let before: i64 = raises.iter().filter(|(w, _)| *w == window).map(|(_, raise)| *raise).sum();
            let grows = charge.amount.saturating_sub(held).max(before);
            if let Some(limit) = charge.limit.filter(|_| grows > 0) {
                let balance = self.balances.get(&window).copied().unwrap_or_default();
                let taken = balance.spent.saturating_add(balance.held);
                if taken.saturating_add(grows) > limit {
                    return Err(refusal(charge, limit, taken, grows, window.1));
                }
            }
            raises.push((window, grows - before));
        }
        Ok(raises)
    }

    /// Moves what an attempt used from held to spent; gives the windows and what is spent in them now. What
    /// exceeds the hold is spent all the same: the provider bills it.
    pub(crate) fn charge(&mut self, key: &Arc<str>, attempt: &Attempt) -> Vec<(Window, i64)> {
        let Some(hold) = self.holds.get_mut(key).or_else(|| self.closed.get_mut(key)) else {
            return Vec::new();
        };
        if hold.charged.contains(&attempt.id) {
            return Vec::new();
        }
        hold.charged.push(attempt.id);
        let mut changed = Vec::with_capacity(hold.lines.len());
        for line in &mut hold.lines {
            // The hold of an agent that was passed over is not spent by the one that stands in for it.
            let of_agent = line.window.0.name.as_str().strip_prefix("agent:");
            if of_agent.is_some_and(|agent| agent != attempt.agent.as_str()) {
                continue;
            }
            let used = used(line.window.0.measure, attempt);
            let moved = used.min(line.held);
            line.held -= moved;
            let balance = match self.balances.get_mut(&line.window) {
                Some(balance) => balance,
                None => self.balances.entry(line.window.clone()).or_default(),
            };
            balance.held -= moved;
            balance.spent = balance.spent.saturating_add(used);
            changed.push((line.window.clone(), balance.spent));
        }
        changed
    }

    /// Gives back what is still held under `key`.
    pub(crate) fn close(&mut self, key: &Arc<str>) {
        let Some(mut hold) = self.holds.remove(key) else { return };
        for line in &mut hold.lines {
            if let Some(balance) = self.balances.get_mut(&line.window) {
                balance.held -= line.held;
            }
            line.held = 0;
        }
        self.closed.insert(Arc::clone(key), hold);
    }

    /// What an account has in the window that holds `now`.
    pub(crate) fn balance(&self, account: &Account, now: Timestamp) -> Balance {
        let window = (account.clone(), account.window.start(now));
        self.balances.get(&window).copied().unwrap_or_default()
    }

    /// Forgets windows that have ended and hold nothing, now and then.
    fn sweep(&mut self, now: Timestamp) {
        if self.balances.len() < self.sweep_at.max(SWEEP_AT) {
            return;
        }
        self.balances.retain(|(account, start), balance| {
            balance.held > 0 || account.window.end(*start).is_none_or(|end| end > now)
        });
        self.sweep_at = self.balances.len() * 2;
    }
}

/// Holds that were closed, as many as are remembered, oldest first.
#[derive(Debug, Default)]
struct Closed {
    holds: HashMap<Arc<str>, (u64, Hold)>,
    order: BTreeMap<u64, Arc<str>>,
    next: u64,
}

impl Closed {
    fn insert(&mut self, key: Arc<str>, hold: Hold) {
        self.order.insert(self.next, Arc::clone(&key));
        self.holds.insert(key, (self.next, hold));
        self.next += 1;
        if self.order.len() > REMEMBERED
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.holds.remove(&oldest);
        }
    }

    fn take(&mut self, key: &Arc<str>) -> Option<Hold> {
        let (number, hold) = self.holds.remove(key)?;
        self.order.remove(&number);
        Some(hold)
    }

    fn get_mut(&mut self, key: &Arc<str>) -> Option<&mut Hold> {
        self.holds.get_mut(key).map(|(_, hold)| hold)
    }
}

/// How much of a measure an attempt used; never negative.
fn used(measure: Measure, attempt: &Attempt) -> i64 {
    match measure {
        Measure::Money => attempt.cost.nanos().max(0),
        Measure::Tokens => i64::try_from(attempt.usage.total_tokens()).unwrap_or(i64::MAX),
        Measure::Requests => 1,
    }
}

fn refusal(charge: &Charge, limit: i64, taken: i64, needed: i64, start: Timestamp) -> Error {
    let show = |amount: i64| match charge.account.measure {
        Measure::Money => Money::from_nanos(amount).to_string(),
        Measure::Tokens => format!("{amount} tokens"),
        Measure::Requests => format!("{amount} requests"),
    };
    let left = limit.saturating_sub(taken).max(0);
    let resets = match charge.account.window.end(start) {
        Some(end) => format!("it resets at {end}"),
        None => "it does not reset by itself".to_owned(),
    };
    Error::budget_exceeded(format!(
        "the account {} has {} of {} left and the call may need {}; {resets}",
        charge.account,
        show(left),
        show(limit),
        show(needed),
    ))
    .param(charge.account.name.to_string())
}

#[cfg(test)]
mod tests;
