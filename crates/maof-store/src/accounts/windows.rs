//! Accounts in their windows, each with its balance, under a small number. A hold names its windows by these numbers, so
//! that an account is looked up by its names once, where a hold begins or grows.

use std::sync::Arc;

use maof_core::{Account, Balance, Timestamp};
use smallvec::SmallVec;

use super::promise::Promise;

/// A map whose hashes are quick, and keyed at random: names and keys are given by callers.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, ahash::RandomState>;

/// Windows that are kept before those that have ended are swept.
pub(super) const SWEEP_AT: usize = 10_000;

/// An account in one window, by the window's start.
pub(crate) type Window = (Account, Timestamp);

/// The number of a window. A window that was swept gives its place to another one, but never its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Number {
    place: u32,
    times: u32,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) window: Arc<Window>,
    pub(super) balance: Balance,
    pub(super) promise: Promise,
    times: u32,
}

#[derive(Debug, Default)]
pub(super) struct Windows {
    entries: Vec<Option<Entry>>,
    /// Places that were swept, and how often each was given.
    free: Vec<Number>,
    /// An account has mostly one window that counts, and for a while the one before.
    of_account: HashMap<Account, SmallVec<[(Timestamp, Number); 2]>>,
    sweep_at: usize,
}

impl Windows {
    /// The window of this account that begins then, if it is known.
    pub(super) fn find(&self, account: &Account, start: Timestamp) -> Option<Number> {
        let known = self.of_account.get(account)?;
        known.iter().find(|(begins, _)| *begins == start).map(|(_, number)| *number)
    }

    /// What counts together with what is in the account's window that begins then: it alone, or the other parts of a rolling
    /// window as well.
    pub(super) fn beside(
        &self,
        account: &Account,
        start: Timestamp,
    ) -> impl Iterator<Item = (Number, &Entry)> {
        let reach = account.window.reach();
        let near = move |begins: Timestamp| begins.since(start) <= reach && start.since(begins) <= reach;
        let known = self.of_account.get(account).into_iter().flatten();
        known.filter(move |(begins, _)| near(*begins)).filter_map(|(_, n)| Some((*n, self.get(*n)?)))
    }

    /// The sum of their balances; `number` is the window's, if it is known.
    pub(super) fn sum(&self, account: &Account, start: Timestamp, number: Option<Number>) -> Balance {
        if account.window.reach().is_zero() {
            let entry = number.and_then(|number| self.get(number));
            return entry.map(|entry| entry.balance).unwrap_or_default();
        }
        self.beside(account, start).fold(Balance::default(), |sum, (_, Entry { balance, .. })| Balance {
            spent: sum.spent.saturating_add(balance.spent),
            held: sum.held.saturating_add(balance.held),
        })
    }

    /// The window of this account that begins then.
    pub(super) fn number(&mut self, account: &Account, start: Timestamp) -> Number {
        if let Some(number) = self.find(account, start) {
            return number;
        }
        let window = Arc::new((account.clone(), start));
        let free = self.free.pop();
        let end = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let number = free.map_or(Number { place: end, times: 0 }, |n| Number { times: n.times + 1, ..n });
        let entry = Some(Entry {
            window,
            balance: Balance::default(),
            promise: Promise::default(),
            times: number.times,
        });
        match self.entries.get_mut(number.place as usize) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
        self.of_account.entry(account.clone()).or_default().push((start, number));
        number
    }

    pub(super) fn get(&self, number: Number) -> Option<&Entry> {
        self.entries.get(number.place as usize)?.as_ref().filter(|entry| entry.times == number.times)
    }

    /// None if it was swept.
    pub(super) fn get_mut(&mut self, number: Number) -> Option<&mut Entry> {
        self.entries.get_mut(number.place as usize)?.as_mut().filter(|entry| entry.times == number.times)
    }

    /// All that are known.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Number, &mut Entry)> {
        (0_u32..).zip(&mut self.entries).filter_map(|(place, entry)| {
            let entry = entry.as_mut()?;
            Some((Number { place, times: entry.times }, entry))
        })
    }

    /// How many are known.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Forgets windows that have ended and hold nothing, now and then.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        if self.len() < self.sweep_at.max(SWEEP_AT) {
            return;
        }
        for (place, kept) in (0_u32..).zip(&mut self.entries) {
            let over = kept.take_if(|entry| {
                let (account, start) = &*entry.window;
                entry.balance.held <= 0 && account.window.end(*start).is_some_and(|end| end <= now)
            });
            let Some(over) = over else { continue };
            let number = Number { place, times: over.times };
            self.free.push(number);
            if let Some(known) = self.of_account.get_mut(&over.window.0) {
                known.retain(|(_, other)| *other != number);
                if known.is_empty() {
                    self.of_account.remove(&over.window.0);
                }
            }
        }
        self.sweep_at = self.len() * 2;
    }
}
