//! The account machine: holds, charges and balances. Pure; both stores keep one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use maof_core::{Account, Attempt, AttemptId, Balance, Charge, Error, Measure, Money, Result, Timestamp};

/// Closed holds whose accounts are remembered for charges that come late.
const REMEMBERED: usize = 10_000;
/// Windows that are kept before those that have ended are swept.
const SWEEP_AT: usize = 10_000;

/// An account in one window.
pub(crate) type Window = (Account, Timestamp);

#[derive(Debug, Default)]
struct Hold {
    lines: Vec<Line>,
    charged: Vec<AttemptId>,
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
    closed: HashMap<Arc<str>, Hold>,
    closed_order: VecDeque<Arc<str>>,
    sweep_at: usize,
}

impl Accounts {
    /// What was spent before this process began.
    pub(crate) fn load(&mut self, window: Window, spent: i64) {
        self.balances.insert(window, Balance { spent, held: 0 });
    }

    /// Makes `key` hold at least these amounts, all or none.
    pub(crate) fn hold(&mut self, key: &Arc<str>, charges: &[Charge], now: Timestamp) -> Result<()> {
        self.sweep(now);
        let open = self.holds.get(key);
        let mut raises: Vec<(Window, i64)> = Vec::with_capacity(charges.len());
        for charge in charges {
            let line = open.and_then(|h| h.lines.iter().find(|l| l.window.0 == charge.account));
            let (window, held) = match line {
                Some(line) => (line.window.clone(), line.held),
                None => ((charge.account.clone(), charge.account.window.start(now)), 0),
            };
            let raise = charge.amount.saturating_sub(held).max(0);
            // Two charges to one account in one call are held together.
            let before: i64 = raises.iter().filter(|(w, _)| *w == window).map(|(_, r)| *r).sum();
            let balance = self.balances.get(&window).copied().unwrap_or_default();
            let taken = balance.spent.saturating_add(balance.held).saturating_add(before);
            if let Some(limit) = charge.limit
                && raise > 0
                && taken.saturating_add(raise) > limit
            {
                return Err(refusal(charge, limit, taken, raise, now));
            }
            raises.push((window, raise));
        }
        let hold = match self.closed.remove(key) {
            // A step that is asked again, under its old key.
            Some(closed) => self.holds.entry(Arc::clone(key)).or_insert(closed),
            None => self.holds.entry(Arc::clone(key)).or_default(),
        };
        for (window, raise) in raises {
            let balance = self.balances.entry(window.clone()).or_default();
            balance.held = balance.held.saturating_add(raise);
            match hold.lines.iter_mut().find(|l| l.window == window) {
                Some(line) => line.held = line.held.saturating_add(raise),
                None => hold.lines.push(Line { window, held: raise }),
            }
        }
        Ok(())
    }

    /// Moves what an attempt used from held to spent; gives the windows and by how much they grew.
    pub(crate) fn charge(&mut self, key: &Arc<str>, attempt: &Attempt) -> Vec<(Window, i64)> {
        let Some(hold) = self.holds.get_mut(key).or_else(|| self.closed.get_mut(key)) else {
            return Vec::new();
        };
        if hold.charged.contains(&attempt.id) {
            return Vec::new();
        }
        hold.charged.push(attempt.id);
        let mut grown = Vec::with_capacity(hold.lines.len());
        for line in &mut hold.lines {
            let used = match line.window.0.measure {
                Measure::Money => attempt.cost.nanos(),
                Measure::Tokens => i64::try_from(attempt.usage.total_tokens()).unwrap_or(i64::MAX),
                Measure::Requests => 1,
            };
            let moved = used.clamp(0, line.held);
            line.held -= moved;
            let balance = self.balances.entry(line.window.clone()).or_default();
            balance.held -= moved;
            balance.spent = balance.spent.saturating_add(used.max(0));
            grown.push((line.window.clone(), used.max(0)));
        }
        grown
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
        if self.closed.insert(Arc::clone(key), hold).is_none() {
            self.closed_order.push_back(Arc::clone(key));
        }
        if self.closed_order.len() > REMEMBERED
            && let Some(oldest) = self.closed_order.pop_front()
        {
            self.closed.remove(&oldest);
        }
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

fn refusal(charge: &Charge, limit: i64, taken: i64, needed: i64, now: Timestamp) -> Error {
    let show = |amount: i64| match charge.account.measure {
        Measure::Money => Money::from_nanos(amount).to_string(),
        Measure::Tokens => format!("{amount} tokens"),
        Measure::Requests => format!("{amount} requests"),
    };
    let left = limit.saturating_sub(taken).max(0);
    let resets = match charge.account.window.end(now) {
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
#[path = "accounts/tests.rs"]
mod tests;
