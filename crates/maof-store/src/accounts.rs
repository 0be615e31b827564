//! The account machine: holds, charges and balances. Pure; both stores keep one.

use std::sync::Arc;

use maof_core::{Account, Attempt, AttemptId, Balance, Charge, Error, Measure, Money, Result, Timestamp};
use smallvec::SmallVec;

mod closed;
mod windows;

use closed::Closed;
use windows::Windows;
pub(crate) use windows::{HashMap, Number, Window};

/// What is spent now in the windows that an attempt counted in.
pub(crate) type Spent = SmallVec<[(Number, Arc<Window>, i64); 4]>;

#[derive(Debug, Default)]
struct Hold {
    lines: SmallVec<[Line; 4]>,
    /// The attempts that it was charged for: one or two, mostly.
    charged: SmallVec<[AttemptId; 2]>,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    window: Number,
    held: i64,
}

/// By how much the hold of a window grows.
struct Raise<'a> {
    charge: &'a Charge,
    start: Timestamp,
    /// None if nothing was ever held or spent there.
    window: Option<Number>,
    by: i64,
}

/// Every account, and every hold that is open.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    windows: Windows,
    holds: HashMap<Arc<str>, Hold>,
    closed: Closed<Hold>,
}

impl Accounts {
    /// What was spent before this process began.
    pub(crate) fn load(&mut self, (account, start): Window, spent: i64) -> Number {
        let number = self.windows.number(&account, start);
        if let Some(entry) = self.windows.get_mut(number) {
            entry.balance = Balance { spent, held: 0 };
        }
        number
    }

    /// Makes `key` hold at least these amounts, all or none.
    ///
    /// A key that was closed begins anew, in the windows of `now`: a step that is asked again tomorrow is
    /// tomorrow's spending. The attempts that it was charged for are remembered.
    pub(crate) fn hold(&mut self, key: &Arc<str>, charges: &[Charge], now: Timestamp) -> Result<()> {
        self.windows.sweep(now);
        let raises = self.raises(key, charges, now)?;
        let hold = match self.holds.get_mut(key) {
            Some(hold) => hold,
            None => self.holds.entry(Arc::clone(key)).or_insert(Hold {
                lines: SmallVec::new(),
                charged: self.closed.take(key).map(|closed| closed.charged).unwrap_or_default(),
            }),
        };
        for Raise { charge, start, window, by } in raises {
            let window = window.unwrap_or_else(|| self.windows.number(&charge.account, start));
            if let Some(entry) = self.windows.get_mut(window) {
                entry.balance.held = entry.balance.held.saturating_add(by);
            }
            match hold.lines.iter_mut().find(|line| line.window == window) {
                Some(line) => line.held = line.held.saturating_add(by),
                None => hold.lines.push(Line { window, held: by }),
            }
        }
        Ok(())
    }

    /// By how much each window's hold grows, if all of them may.
    fn raises<'a>(
        &self,
        key: &Arc<str>,
        charges: &'a [Charge],
        now: Timestamp,
    ) -> Result<SmallVec<[Raise<'a>; 8]>> {
        let open = self.holds.get(key);
        let mut raises: SmallVec<[Raise<'a>; 8]> = SmallVec::new();
        for charge in charges {
            let (start, line) = self.begun(open, charge, now);
            let window = line.map(|line| line.window).or_else(|| self.windows.find(&charge.account, start));
            // One account may come twice, with two limits: it holds the larger amount, within both.
            let again = |raise: &&Raise<'_>| raise.start == start && raise.charge.account == charge.account;
            let before: i64 = raises.iter().filter(again).map(|raise| raise.by).sum();
            let grows = charge.amount.saturating_sub(line.map_or(0, |line| line.held)).max(before);
            if let Some(limit) = charge.limit.filter(|_| grows > 0) {
                let entry = window.and_then(|number| self.windows.get(number));
                let Balance { spent, held } = entry.map(|entry| entry.balance).unwrap_or_default();
                let taken = spent.saturating_add(held);
                if taken.saturating_add(grows) > limit {
                    return Err(refusal(charge, limit, taken, grows, start));
                }
            }
            raises.push(Raise { charge, start, window, by: grows - before });
        }
        Ok(raises)
    }

    /// When the window begins that a charge counts in, and what the open hold has there: the window in which it began.
    fn begun(&self, open: Option<&Hold>, charge: &Charge, now: Timestamp) -> (Timestamp, Option<Line>) {
        let lines = open.map(|hold| hold.lines.as_slice()).unwrap_or_default();
        let of_account = lines.iter().find_map(|line| {
            let (account, start) = &*self.windows.get(line.window)?.window;
            (*account == charge.account).then_some((*start, Some(*line)))
        });
        of_account.unwrap_or_else(|| (charge.account.window.start(now), None))
    }

    /// Moves what an attempt used from held to spent; gives the windows and what is spent in them now. What
    /// exceeds the hold is spent all the same: the provider bills it.
    pub(crate) fn charge(&mut self, key: &Arc<str>, attempt: &Attempt) -> Spent {
        let mut changed = Spent::new();
        let Some(hold) = self.holds.get_mut(key).or_else(|| self.closed.get_mut(key)) else {
            return changed;
        };
        if hold.charged.contains(&attempt.id) {
            return changed;
        }
        hold.charged.push(attempt.id);
        for line in &mut hold.lines {
            let Some(entry) = self.windows.get_mut(line.window) else { continue };
            let (account, _) = &*entry.window;
            // The hold of an agent that was passed over is not spent by the one that stands in for it.
            let of_agent = account.name.as_str().strip_prefix("agent:");
            if of_agent.is_some_and(|agent| agent != attempt.agent.as_str()) {
                continue;
            }
            let used = used(account.measure, attempt);
            let moved = used.min(line.held);
            line.held -= moved;
            entry.balance.held -= moved;
            entry.balance.spent = entry.balance.spent.saturating_add(used);
            changed.push((line.window, Arc::clone(&entry.window), entry.balance.spent));
        }
        changed
    }

    /// Gives back what is still held under `key`.
    pub(crate) fn close(&mut self, key: &Arc<str>) {
        let Some(mut hold) = self.holds.remove(key) else { return };
        for line in &mut hold.lines {
            if let Some(entry) = self.windows.get_mut(line.window) {
                entry.balance.held -= line.held;
            }
            line.held = 0;
        }
        self.closed.insert(key, hold);
    }

    /// What an account has in the window that holds `now`.
    pub(crate) fn balance(&self, account: &Account, now: Timestamp) -> Balance {
        let window = self.windows.find(account, account.window.start(now));
        let entry = window.and_then(|number| self.windows.get(number));
        entry.map(|entry| entry.balance).unwrap_or_default()
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

pub(crate) fn refusal(charge: &Charge, limit: i64, taken: i64, needed: i64, start: Timestamp) -> Error {
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
