//! What a node's calls hold of its slices, and what these grow by. No waiting here.

use std::collections::HashSet;
use std::sync::Arc;

use maof_core::{Account, Attempt, Balance, Balances, Charge, HoldMode, Result, Timestamp};

use super::queue::Keys;
use super::source::{Growth, Part, Source, Unused, Wanted};
use crate::accounts::{Accounts, HashMap, Lacking, Number, SPARE, Window};

#[derive(Debug, Default)]
pub(super) struct State {
    /// Of this node's calls alone; granted is what slices have.
    pub(super) accounts: Accounts,
    pub(super) slices: HashMap<Number, Slice>,
    /// The limit under which each was raised; the highest number, if there was none.
    pub(super) limits: HashMap<Window, i64>,
    /// Keys under which something is held.
    pub(super) open: HashSet<Arc<str>, ahash::RandomState>,
    /// How many slices there were.
    count: u64,
}

#[derive(Debug)]
pub(super) struct Slice {
    /// Which one it is: one that is given back is another one when it comes again.
    id: u64,
    key: Arc<str>,
    pub(super) window: Arc<Window>,
    /// What the account had, all nodes together, when the database last said so.
    balance: Balance,
    /// What it was ever given, and what of that was spent.
    granted: i128,
    used: i128,
    /// Whether a pool counts this node among those that use the window.
    counted: bool,
    /// Shared with whoever waits for it to grow.
    pub(super) awaited: Arc<()>,
}

/// A slice that is to grow.
pub(super) struct Growing {
    pub(super) number: Number,
    pub(super) slice: u64,
    /// Where it reaches then, if it gets all that is asked for.
    pub(super) up_to: i128,
    pub(super) limit: i64,
    pub(super) growth: Growth,
    pub(super) _awaited: Arc<()>,
}

impl State {
    /// Holds where slices cover it all; otherwise says what lacks.
    pub(super) fn hold(
        &mut self,
        key: &Arc<str>,
        charges: &[Charge],
        now: Timestamp,
    ) -> Result<std::result::Result<Balances, Vec<Lacking>>> {
        let lacking = self.lacking(key, charges, now)?;
        if !lacking.is_empty() {
            return Ok(Err(lacking));
        }
        let (held, _) = self.accounts.hold(key, charges, HoldMode::Batched, now)?;
        self.open.insert(Arc::clone(key));
        let balance = |number| self.slices.get(number).map(|slice| slice.balance).unwrap_or_default();
        Ok(Ok(held.windows.iter().map(balance).collect()))
    }

    /// Windows whose slices do not cover what would be held, or were raised under a higher limit.
    fn lacking(&mut self, key: &Arc<str>, charges: &[Charge], now: Timestamp) -> Result<Vec<Lacking>> {
        let lacking = self.accounts.lacking(key, charges, now)?;
        if !charges.iter().any(|charge| self.is_of_others(charge, now)) {
            return Ok(lacking.into_vec());
        }
        // As much more as could be used: then all of it lacks.
        let more = |charge: &Charge| {
            let slack = match self.is_of_others(charge, now) {
                true => self.accounts.batched(&charge.account, charge.account.window.start(now)).1,
                false => 0,
            };
            Charge { amount: charge.amount.saturating_add(slack), limit: None, ..charge.clone() }
        };
        let more: Vec<Charge> = charges.iter().map(more).collect();
        let mut lacking = self.accounts.lacking(key, &more, now)?.into_vec();
        lacking.retain_mut(|lacking| {
            let (account, start) = &*lacking.window;
            let (held, slack) = self.accounts.batched(account, *start);
            let limits = charges.iter().filter(|charge| charge.account == *account);
            lacking.limit = limits.filter_map(|charge| charge.limit).min();
            // One that grows by nothing may stay.
            lacking.needed > held.saturating_add(slack)
        });
        Ok(lacking)
    }

    /// Whether a slice was raised under a higher limit than this.
    fn is_of_others(&self, charge: &Charge, now: Timestamp) -> bool {
        let window = (charge.account.clone(), charge.account.window.start(now));
        self.limits.get(&window).is_some_and(|limit| charge.limit.is_some_and(|lower| lower < *limit))
    }

    /// Asks for what lacks.
    pub(super) fn grow(
        &mut self,
        source: &Arc<dyn Source>,
        lacking: &[Lacking],
        with_spare: bool,
        now: Timestamp,
    ) -> Result<Vec<Growing>> {
        let mut growing: Vec<Growing> = Vec::with_capacity(lacking.len());
        for Lacking { number, window, needed, up_to, limit } in lacking {
            let count = &mut self.count;
            let slice = self.slices.entry(*number).or_insert_with(|| {
                *count += 1;
                Slice::new(*count, window, up_to.saturating_sub((*needed).into()))
            });
            let spare = if with_spare { slice.spare(*limit) } else { 0 };
            let (account, start) = &**window;
            // A hold that is topped up after its window ended stays in it.
            let at = if account.window.start(now) == *start { now } else { *start };
            let growth = Arc::clone(source).grow(Wanted {
                key: Arc::clone(&slice.key),
                account: account.clone(),
                limit: *limit,
                at,
                needed: *needed,
                more: whole(up_to.saturating_sub(slice.granted)),
                spare,
                first: !slice.counted,
            })?;
            growing.push(Growing {
                number: *number,
                slice: slice.id,
                up_to: up_to.saturating_add(spare.into()),
                limit: limit.unwrap_or(i64::MAX),
                growth,
                _awaited: Arc::clone(&slice.awaited),
            });
        }
        Ok(growing)
    }

    /// A slice reaches up to there, unless it was given back since: then it did not grow.
    pub(super) fn raise(
        &mut self,
        number: Number,
        id: u64,
        up_to: i128,
        limit: (i64, bool),
        balance: Balance,
    ) -> bool {
        let Some(slice) = self.slices.get_mut(&number).filter(|slice| slice.id == id) else { return false };
        slice.granted = slice.granted.max(up_to);
        slice.balance = balance;
        self.accounts.grant(&[(number, slice.granted)]);
        let known = self.limits.entry((*slice.window).clone()).or_insert(limit.0);
        *known = if limit.1 { limit.0 } else { limit.0.max(*known) };
        true
    }

    /// A slice has so much more. What comes too late goes back.
    pub(super) fn add(&mut self, number: Number, id: u64, part: Part) {
        let Some(slice) = self.slices.get_mut(&number).filter(|slice| slice.id == id) else { return };
        slice.counted |= part.unused.counted;
        let up_to = slice.granted.saturating_add(part.unused.amount.into());
        self.raise(number, id, up_to, (part.limit, part.of_all), part.balance);
        part.keep();
    }

    pub(super) fn charge(&mut self, key: &Arc<str>, attempt: &Attempt) -> Keys {
        let mut keys = Keys::new();
        for window in self.accounts.charge(key, attempt) {
            // Late, after the slice was given back: charged to it all the same, as to every hold that was closed.
            let slice = match self.slices.get_mut(&window.number) {
                Some(slice) => {
                    slice.used += i128::from(window.moved);
                    Arc::clone(&slice.key)
                }
                None => slice_key(&window.window),
            };
            keys.push((slice, Some(window.moved)));
        }
        keys
    }
}

impl Slice {
    /// One that nobody holds anything of, after so much was spent in its window.
    fn new(id: u64, window: &Arc<Window>, used: i128) -> Slice {
        let (key, balance) = (slice_key(window), Balance::default());
        let (window, awaited) = (Arc::clone(window), Arc::default());
        Slice { id, key, window, balance, granted: used, used, counted: false, awaited }
    }

    /// Nothing until the database has said what is left.
    fn spare(&self, limit: Option<i64>) -> i64 {
        let taken = self.balance.spent.saturating_add(self.balance.held);
        match limit {
            _ if taken == 0 => 0,
            Some(limit) => limit.saturating_sub(taken).max(0) / SPARE,
            None => taken / SPARE,
        }
    }

    pub(super) fn unused(&self) -> Unused {
        let amount = whole(self.granted - self.used);
        Unused { key: Arc::clone(&self.key), amount, counted: self.counted }
    }
}

fn whole(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// No name has a bar.
pub(crate) fn slice_key((account, start): &Window) -> Arc<str> {
    let Account { tenant, name, measure, window } = account;
    format!("slice|{tenant}|{name}|{}|{}|{}", measure.as_str(), window.name(), start.micros()).into()
}
