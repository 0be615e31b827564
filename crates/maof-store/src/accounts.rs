//! The account machine: holds, charges and balances. Pure; both stores keep one.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use maof_core::{
    Account, Attempt, AttemptId, Balance, Balances, Charge, Error, HoldMode, Measure, Result, Retry,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

mod closed;
mod promise;
mod windows;

use closed::Closed;
use promise::Wait;
use windows::{Entry, Windows};
pub(crate) use windows::{HashMap, Number, Window};

/// Of the unused part of an account, what is promised beyond need.
pub(crate) const SPARE: i64 = 32;
/// The same of an account without a limit, as a multiple of what is needed.
const SPARE_UNLIMITED: i64 = 64;
/// When who is refused for the calls under way may try again.
const CALL_ENDS: Duration = Duration::from_secs(1);

/// A window as it is to be written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) number: Number,
    pub(crate) window: Arc<Window>,
    pub(crate) spent: i64,
    /// What batched holds may spend beyond that.
    pub(crate) promised: i64,
    /// What was moved from held to spent just now.
    pub(crate) moved: i64,
}

/// The windows that an attempt counted in.
pub(crate) type Spent = SmallVec<[Written; 4]>;

/// What a hold has come to.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) standing: Balances,
    /// Of its charges.
    pub(crate) windows: SmallVec<[Number; 4]>,
    /// Whether something has to be written for it.
    pub(crate) written: bool,
    /// Promises that have to be written before it is sure.
    pub(crate) waits: SmallVec<[(Number, i128); 4]>,
}

/// A window whose promise does not cover a hold.
#[derive(Clone, Debug)]
pub(crate) struct Lacking {
    pub(crate) number: Number,
    pub(crate) window: Arc<Window>,
    /// What batched holds have with it.
    pub(crate) needed: i64,
    /// What has to be granted for that.
    pub(crate) up_to: i128,
    pub(crate) limit: Option<i64>,
}

/// What a hold has in a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldLine {
    pub(crate) account: Account,
    pub(crate) start: Timestamp,
    pub(crate) held: i64,
}

#[derive(Debug, Default)]
struct Hold {
    mode: HoldMode,
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
    pub(crate) fn load(&mut self, (account, start): &Window, spent: i64) -> Number {
        let number = self.windows.number(account, *start);
        if let Some(entry) = self.windows.get_mut(number) {
            entry.balance = Balance { spent, held: 0 };
        }
        number
    }

    /// Makes `key` hold at least these amounts, all or none.
    ///
    /// Gives what it came to, and windows that promise more than they did, to be written.
    ///
    /// A key that was closed begins anew, in the windows of `now`: a step that is asked again tomorrow is
    /// tomorrow's spending. The attempts that it was charged for are remembered.
    pub(crate) fn hold(
        &mut self,
        key: &Arc<str>,
        charges: &[Charge],
        mode: HoldMode,
        now: Timestamp,
    ) -> Result<(Held, Spent)> {
        self.windows.sweep(now);
        let raises = self.raises(key, charges, now)?;
        let hold = match self.holds.get_mut(key) {
            Some(hold) => hold,
            None => self.holds.entry(Arc::clone(key)).or_insert(Hold {
                mode,
                lines: SmallVec::new(),
                charged: self.closed.take(key).map(|closed| closed.charged).unwrap_or_default(),
            }),
        };
        let (mut held, mut promised) = (Held::default(), Spent::new());
        for Raise { charge, start, window, by } in raises {
            let number = window.unwrap_or_else(|| self.windows.number(&charge.account, start));
            let Some(entry) = self.windows.get_mut(number) else { continue };
            entry.balance.held = entry.balance.held.saturating_add(by);
            match hold.lines.iter_mut().find(|line| line.window == number) {
                Some(line) => line.held = line.held.saturating_add(by),
                None => hold.lines.push(Line { window: number, held: by }),
            }
            held.windows.push(number);
            let balance = self.windows.sum(&charge.account, start, Some(number));
            held.standing.push(balance);
            if by <= 0 {
                continue;
            }
            if hold.mode == HoldMode::Strict {
                held.written = true;
                continue;
            }
            let Some(entry) = self.windows.get_mut(number) else { continue };
            let wait = entry.promise.raise(by, spare(charge, balance, by));
            match wait {
                Wait::None => {}
                Wait::Commit(up_to) => held.waits.push((number, up_to)),
                Wait::Write(up_to) => {
                    held.written = true;
                    held.waits.push((number, up_to));
                    promised.push(entry.written(number));
                }
            }
        }
        Ok((held, promised))
    }

    /// Windows whose promise does not cover what batched charges would hold.
    ///
    /// # Errors
    /// As [`Accounts::hold`].
    pub(crate) fn lacking(
        &mut self,
        key: &Arc<str>,
        charges: &[Charge],
        now: Timestamp,
    ) -> Result<SmallVec<[Lacking; 4]>> {
        let raises = self.raises(key, charges, now)?;
        // One account may come twice, with two limits: it grows by both parts, within the lower.
        let mut grown: SmallVec<[(Number, i64, Option<i64>); 4]> = SmallVec::new();
        for Raise { charge, start, window, by } in raises {
            let number = window.unwrap_or_else(|| self.windows.number(&charge.account, start));
            match grown.iter_mut().find(|(other, ..)| *other == number) {
                Some((_, sum, limit)) => {
                    *sum = sum.saturating_add(by);
                    *limit = limit.iter().chain(&charge.limit).min().copied();
                }
                None => grown.push((number, by, charge.limit)),
            }
        }
        let mut lacking: SmallVec<[Lacking; 4]> = SmallVec::new();
        for (number, by, limit) in grown {
            let Some(entry) = self.windows.get(number) else { continue };
            if let Some((needed, up_to)) = entry.promise.lacks(by) {
                let window = Arc::clone(&entry.window);
                lacking.push(Lacking { number, window, needed, up_to, limit });
            }
        }
        Ok(lacking)
    }

    /// Whether something is or was held under this key, as far as is remembered.
    pub(crate) fn knows(&mut self, key: &str) -> bool {
        self.holds.contains_key(key) || self.closed.get_mut(key).is_some()
    }

    /// What batched holds have of a window, and what is promised to them beyond that.
    pub(crate) fn batched(&self, account: &Account, start: Timestamp) -> (i64, i64) {
        let entry = self.windows.find(account, start).and_then(|number| self.windows.get(number));
        entry.map(|entry| entry.promise.held_and_slack()).unwrap_or_default()
    }

    /// The same of all that counts with it.
    pub(crate) fn batched_beside(&self, account: &Account, start: Timestamp) -> (i64, i64) {
        let parts = self.windows.beside(account, start).map(|(_, entry)| entry.promise.held_and_slack());
        parts.fold((0, 0), |(held, slack): (i64, i64), (h, s)| {
            (held.saturating_add(h), slack.saturating_add(s))
        })
    }

    /// Windows of which nobody has held or asked for anything since the last time: what is promised of them is given back.
    pub(crate) fn idle(&mut self) -> HashSet<Number> {
        let entries = self.windows.iter_mut();
        entries.filter_map(|(number, entry)| entry.promise.give_back_idle().then_some(number)).collect()
    }

    /// Whether a window is still known.
    pub(crate) fn has(&self, number: Number) -> bool {
        self.windows.get(number).is_some()
    }

    /// What was waited for is written.
    pub(crate) fn grant(&mut self, waits: &[(Number, i128)]) {
        for (number, up_to) in waits {
            if let Some(entry) = self.windows.get_mut(*number) {
                entry.promise.grant(*up_to);
            }
        }
    }

    /// What is held under `key`, if it is to be written as it is: a strict hold that is open.
    pub(crate) fn strict(&self, key: &str) -> Option<Vec<HeldLine>> {
        let hold = self.holds.get(key).filter(|hold| hold.mode == HoldMode::Strict)?;
        let line = |line: &Line| {
            let (account, start) = &*self.windows.get(line.window)?.window;
            (line.held > 0).then(|| HeldLine { account: account.clone(), start: *start, held: line.held })
        };
        Some(hold.lines.iter().filter_map(line).collect())
    }

    /// Nobody holds anything any more: windows whose promise is more than what is held.
    pub(crate) fn settle(&mut self) -> Vec<Written> {
        let settled = |(number, entry): (Number, &mut Entry)| {
            let changed = entry.promise.settle();
            changed.then(|| entry.written(number))
        };
        self.windows.iter_mut().filter_map(settled).collect()
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
                let Balance { spent, held } = self.windows.sum(&charge.account, start, window);
                let taken = spent.saturating_add(held);
                #[cfg(feature = "planted")]
                let taken = crate::planted::stale(&charge.account, taken);
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
        #[cfg(feature = "planted")]
        crate::planted::forget(&mut hold.charged);
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
            let used = attempt.used(account.measure);
            let moved = used.min(line.held);
            line.held -= moved;
            entry.balance.held -= moved;
            entry.balance.spent = entry.balance.spent.saturating_add(used);
            if hold.mode == HoldMode::Batched {
                entry.promise.spend(moved);
            }
            changed.push(Written { moved, ..entry.written(line.window) });
        }
        changed
    }

    /// Gives back what is still held under `key`. Tells how it was held; none if it was not.
    pub(crate) fn close(&mut self, key: &Arc<str>) -> Option<HoldMode> {
        let mut hold = self.holds.remove(key)?;
        let mode = hold.mode;
        for line in &mut hold.lines {
            if let Some(entry) = self.windows.get_mut(line.window) {
                entry.balance.held -= line.held;
                if mode == HoldMode::Batched {
                    entry.promise.give_back(line.held);
                }
            }
            line.held = 0;
        }
        self.closed.insert(key, hold);
        Some(mode)
    }

    /// What an account has in the window that holds `now`.
    pub(crate) fn balance(&self, account: &Account, now: Timestamp) -> Balance {
        let start = account.window.start(now);
        self.windows.sum(account, start, self.windows.find(account, start))
    }
}

impl Entry {
    fn written(&self, number: Number) -> Written {
        let (spent, promised) = (self.balance.spent, self.promise.left());
        Written { number, window: Arc::clone(&self.window), spent, promised, moved: 0 }
    }
}

/// How much more than is needed an account promises: a part of what is left of it, so that less is at stake the nearer
/// the limit is.
fn spare(charge: &Charge, balance: Balance, need: i64) -> i64 {
    let taken = balance.spent.saturating_add(balance.held);
    match charge.limit {
        Some(limit) => limit.saturating_sub(taken).max(0) / SPARE,
        None => need.saturating_mul(SPARE_UNLIMITED),
    }
}

pub(crate) fn refusal(charge: &Charge, limit: i64, taken: i64, needed: i64, start: Timestamp) -> Error {
    let Account { name, measure, window, .. } = &charge.account;
    let left = limit.saturating_sub(taken).max(0);
    if *measure == Measure::Concurrency {
        let why = format!(
            "the account {name} has {taken} calls under way and may have {limit}; try again when one has ended"
        );
        return Error::rate_limited(why).retry_is(Retry::After(CALL_ENDS)).param(name.to_string());
    }
    let resets = match window.end(start) {
        Some(end) if window.reach().is_zero() => format!("it resets at {end}"),
        Some(end) => format!("what is spent by now counts until {end} at most"),
        None => "it does not reset by itself".to_owned(),
    };
    Error::budget_exceeded(format!(
        "the account {} has {} of {} left and the call may need {}; {resets}",
        charge.account,
        measure.show(left),
        measure.show(limit),
        measure.show(needed),
    ))
    .param(name.to_string())
}

#[cfg(test)]
mod tests;
