//! Batched holds: a node keeps a hold of its own on each account that its calls use (a *slice*), and calls hold and spend
//! parts of that without asking the database.
//!
//! A slice covers what the node's calls hold, and a thirty-second of what was left of the account when it was last
//! raised. What an attempt used is charged to slices. One that nobody uses is given back; what a node that dies has of its
//! slices counts as spent, as with every hold. Requests and what they change are sent in one order, so this side
//! knows what the database's has.

use std::sync::Arc;

use maof_core::{
    Account, Attempt, Balance, Balances, Charge, Error, ErrorKind, HoldMode, Name, Result, Timestamp,
};
use parking_lot::Mutex;
use tokio::sync::oneshot::Receiver;

use super::apply::away;
use super::queue::{Keys, Queue};
use crate::accounts::{Accounts, HashMap, Lacking, Number, SPARE, Window};

/// Tenants that may wait for the database at the same time, at least: each of them asks for one thing after the other, or
/// it would refuse itself what it has asked for.
const TURNS: usize = 64;
/// How often a call asks while others of its tenant take what it was given.
const TRIES: usize = 16;

#[derive(Debug)]
pub(super) struct Slices {
    state: Mutex<State>,
    turns: [tokio::sync::Mutex<()>; TURNS],
    hasher: ahash::RandomState,
}

#[derive(Debug, Default)]
struct State {
    /// Of this node's calls alone; granted is what slices have.
    accounts: Accounts,
    slices: HashMap<Number, Slice>,
    /// How many slices there were.
    count: u64,
}

#[derive(Debug)]
struct Slice {
    /// Which one it is: one that is given back is another one when it comes again.
    id: u64,
    key: Arc<str>,
    /// What the account had, all nodes together, when the database last said so.
    balance: Balance,
}

/// A slice that is to grow.
struct Growing {
    number: Number,
    slice: u64,
    up_to: i128,
    told: Receiver<Result<Balances>>,
}

impl Default for Slices {
    fn default() -> Self {
        let turns = std::array::from_fn(|_| tokio::sync::Mutex::default());
        Slices { state: Mutex::default(), turns, hasher: ahash::RandomState::new() }
    }
}

impl Slices {
    /// Holds; asks the database where slices do not cover it.
    pub(super) async fn hold(
        &self,
        queue: &Queue,
        key: &Arc<str>,
        charges: &[Charge],
        now: Timestamp,
    ) -> Result<Balances> {
        let Some(first) = charges.first() else { return Ok(Balances::new()) };
        if let Ok(standing) = self.state.lock().hold(key, charges, now)? {
            return Ok(standing);
        }
        let _turn = self.turn(&first.account.tenant).lock().await;
        let mut with_spare = true;
        for _ in 0..TRIES {
            let growing = {
                let mut state = self.state.lock();
                match state.hold(key, charges, now)? {
                    Ok(standing) => return Ok(standing),
                    Err(lacking) => state.grow(queue, &lacking, with_spare, now)?,
                }
            };
            match self.grown(growing).await {
                Err(error) if error.kind() == ErrorKind::BudgetExceeded && with_spare => with_spare = false,
                grown => grown?,
            }
        }
        Err(away("others took what was asked for, again and again"))
    }

    /// Waits for the database; what of it was granted stays, also where another part was refused.
    async fn grown(&self, growing: Vec<Growing>) -> Result<()> {
        let mut refused: Option<Error> = None;
        for Growing { number, slice, up_to, told } in growing {
            match told.await.map_err(away)? {
                Ok(standing) => self.state.lock().grant(number, slice, up_to, &standing),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Charges an attempt, to slices or to the hold of this key.
    pub(super) fn charge(&self, queue: &Queue, key: &Arc<str>, attempt: Attempt) {
        let mut state = self.state.lock();
        let keys = match state.accounts.knows(key) {
            true => state.charge(key, &attempt),
            false => Keys::from_iter([(Arc::clone(key), None)]),
        };
        queue.attempt(keys, attempt);
    }

    /// Gives back what is held under this key.
    pub(super) fn close(&self, queue: &Queue, key: &Arc<str>) {
        let mut state = self.state.lock();
        if state.accounts.close(key).is_none() {
            queue.close(key);
        }
    }

    /// What this node's batched calls hold of an account's window.
    pub(super) fn held(&self, account: &Account, start: Timestamp) -> i64 {
        self.state.lock().accounts.batched(account, start).0
    }

    /// What of its slice they do not.
    #[cfg(test)]
    pub(super) fn slack(&self, account: &Account, start: Timestamp) -> i64 {
        self.state.lock().accounts.batched(account, start).1
    }

    /// Gives back slices that nobody used since the last time.
    pub(super) fn give_back_idle(&self, queue: &Queue) {
        let mut state = self.state.lock();
        let State { accounts, slices, .. } = &mut *state;
        let idle = accounts.idle();
        // Windows that ended long ago are forgotten without a word.
        slices.retain(|number, slice| {
            let kept = !idle.contains(number) && accounts.has(*number);
            if !kept {
                queue.close(&slice.key);
            }
            kept
        });
    }

    /// Gives back what nobody holds, since nobody will.
    pub(super) fn give_back(&self, queue: &Queue) {
        // What was busy until now is idle the second time.
        self.give_back_idle(queue);
        self.give_back_idle(queue);
    }

    fn turn(&self, tenant: &Name) -> &tokio::sync::Mutex<()> {
        let at = usize::try_from(self.hasher.hash_one(tenant)).unwrap_or_default();
        // The index is within the array whatever the hash is.
        self.turns.get(at % TURNS).unwrap_or_else(|| &self.turns[0])
    }
}

impl State {
    /// Holds where slices cover it all; otherwise says what lacks.
    fn hold(
        &mut self,
        key: &Arc<str>,
        charges: &[Charge],
        now: Timestamp,
    ) -> Result<std::result::Result<Balances, Vec<Lacking>>> {
        let lacking = self.accounts.lacking(key, charges, now)?;
        if !lacking.is_empty() {
            return Ok(Err(lacking.into_vec()));
        }
        let (held, _) = self.accounts.hold(key, charges, HoldMode::Batched, now)?;
        let balance = |number| self.slices.get(number).map(|slice| slice.balance).unwrap_or_default();
        Ok(Ok(held.windows.iter().map(balance).collect()))
    }

    /// Asks for what lacks.
    fn grow(
        &mut self,
        queue: &Queue,
        lacking: &[Lacking],
        with_spare: bool,
        now: Timestamp,
    ) -> Result<Vec<Growing>> {
        let mut growing: Vec<Growing> = Vec::with_capacity(lacking.len());
        for Lacking { number, window, needed, up_to, limit } in lacking {
            let count = &mut self.count;
            let slice = self.slices.entry(*number).or_insert_with(|| {
                *count += 1;
                Slice { id: *count, key: slice_key(window), balance: Balance::default() }
            });
            let spare = if with_spare { slice.spare(*limit) } else { 0 };
            let (account, start) = &**window;
            let charge =
                Charge { account: account.clone(), amount: needed.saturating_add(spare), limit: *limit };
            // A hold that is topped up after its window ended stays in it.
            let at = if account.window.start(now) == *start { now } else { *start };
            let told = queue.hold(&slice.key, vec![charge], at)?;
            growing.push(Growing {
                number: *number,
                slice: slice.id,
                up_to: up_to.saturating_add(spare.into()),
                told,
            });
        }
        Ok(growing)
    }

    /// A slice grew, unless it was given back since: then it did not.
    fn grant(&mut self, number: Number, id: u64, up_to: i128, standing: &[Balance]) {
        if let Some(slice) = self.slices.get_mut(&number).filter(|slice| slice.id == id) {
            self.accounts.grant(&[(number, up_to)]);
            slice.balance = standing.first().copied().unwrap_or(slice.balance);
        }
    }

    fn charge(&mut self, key: &Arc<str>, attempt: &Attempt) -> Keys {
        let spent = self.accounts.charge(key, attempt);
        let key = |slice: &Slice| Arc::clone(&slice.key);
        let mut keys = Keys::new();
        for window in spent {
            // Late, after the slice was given back: charged to it all the same, as to every hold that was closed.
            let slice = self.slices.get(&window.number).map_or_else(|| slice_key(&window.window), key);
            keys.push((slice, Some(window.moved)));
        }
        keys
    }
}

impl Slice {
    /// Nothing until the database has said what is left.
    fn spare(&self, limit: Option<i64>) -> i64 {
        let taken = self.balance.spent.saturating_add(self.balance.held);
        match limit {
            _ if taken == 0 => 0,
            Some(limit) => limit.saturating_sub(taken).max(0) / SPARE,
            None => taken / SPARE,
        }
    }
}

/// No name has a bar.
fn slice_key((account, start): &Window) -> Arc<str> {
    let Account { tenant, name, measure, window } = account;
    format!("slice|{tenant}|{name}|{}|{}|{}", measure.as_str(), window.name(), start.micros()).into()
}
