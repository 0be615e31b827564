//! Batched holds: a node keeps a hold of its own on each account that its calls use (a *slice*), and calls hold and spend
//! parts of that without asking the database.
//!
//! A slice covers what the node's calls hold, and a thirty-second of what was left of the account when it was last
//! raised. What an attempt used is charged to slices. One that nobody uses is given back; what a node that dies has of its
//! slices counts as spent, as with every hold. Requests and what they change are sent in one order, so this side
//! knows what the database's has. Where nodes share a pool ([`crate::redis`]), slices grow from that.
//!
//! A slice remembers the limit under which it was raised. Who has a lower one uses nothing of what others asked for: the
//! slice has to grow, under that limit, by all that is held.

use std::sync::Arc;
use std::time::Duration;

use maof_core::{Account, Attempt, Balances, Charge, Error, ErrorKind, Name, Result, Timestamp};
use parking_lot::Mutex;

use super::apply::away;
use super::slice::{Growing, State};
use super::source::{Grown, Source};

/// Tenants that may wait for the database at the same time, at least: each of them asks for one thing after the other, or
/// it would refuse itself what it has asked for.
const TURNS: usize = 64;
/// How long one waits for the turn of a call that asks, and may never go on. Out of turn nothing worse happens than that it
/// is refused what another call of the tenant has just asked for.
const TURN: Duration = Duration::from_secs(5);
/// How often a call asks while others of its tenant take what it was given.
const TRIES: usize = 16;

#[derive(Debug)]
pub(crate) struct Slices {
    state: Mutex<State>,
    turns: [tokio::sync::Mutex<()>; TURNS],
    hasher: ahash::RandomState,
}

impl Default for Slices {
    fn default() -> Self {
        let turns = std::array::from_fn(|_| tokio::sync::Mutex::default());
        Slices { state: Mutex::default(), turns, hasher: ahash::RandomState::new() }
    }
}

impl Slices {
    /// Holds; asks where slices do not cover it.
    pub(crate) async fn hold(
        &self,
        source: &Arc<dyn Source>,
        key: &Arc<str>,
        charges: &[Charge],
        now: Timestamp,
    ) -> Result<Balances> {
        let Some(first) = charges.first() else { return Ok(Balances::new()) };
        if let Ok(standing) = self.state.lock().hold(key, charges, now)? {
            return Ok(standing);
        }
        let _turn = tokio::time::timeout(TURN, self.turn(&first.account.tenant).lock()).await;
        let mut with_spare = true;
        for _ in 0..TRIES {
            let growing = {
                let mut state = self.state.lock();
                match state.hold(key, charges, now)? {
                    Ok(standing) => return Ok(standing),
                    Err(lacking) => state.grow(source, &lacking, with_spare, now)?,
                }
            };
            match self.grown(growing).await {
                Err(error) if error.kind() == ErrorKind::BudgetExceeded && with_spare => with_spare = false,
                grown => grown?,
            }
        }
        Err(away("others took what was asked for, again and again"))
    }

    /// Waits for what was asked for; what of it was granted stays, also where another part was refused.
    async fn grown(&self, growing: Vec<Growing>) -> Result<()> {
        let mut refused: Option<Error> = None;
        for Growing { number, slice, up_to, limit, growth, _awaited } in growing {
            match growth.await {
                Ok(Grown::Whole(balance)) => {
                    self.state.lock().raise(number, slice, up_to, (limit, true), balance);
                }
                Ok(Grown::More(part)) => self.state.lock().add(number, slice, part),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Charges an attempt to slices; gives it back if nothing was held here under this key.
    pub(crate) fn charge(&self, source: &dyn Source, key: &Arc<str>, attempt: Attempt) -> Option<Attempt> {
        let mut state = self.state.lock();
        if !state.accounts.knows(key) {
            return Some(attempt);
        }
        let keys = state.charge(key, &attempt);
        source.attempt(keys, attempt);
        None
    }

    /// Gives back what is held under this key; false if nothing is.
    pub(crate) fn close(&self, key: &Arc<str>) -> bool {
        let mut state = self.state.lock();
        state.open.remove(key);
        state.accounts.close(key).is_some()
    }

    /// Whether something is held under this key.
    pub(crate) fn has_open(&self, key: &str) -> bool {
        self.state.lock().open.contains(key)
    }

    /// Whether nothing is held.
    pub(crate) fn is_quiet(&self) -> bool {
        self.state.lock().open.is_empty()
    }

    /// What this node's batched calls hold of an account's window, and what of its slice they do not.
    pub(crate) fn held_and_slack(&self, account: &Account, start: Timestamp) -> (i64, i64) {
        self.state.lock().accounts.batched_beside(account, start)
    }

    /// Gives back slices that nobody used since the last time.
    pub(crate) fn give_back_idle(&self, source: &dyn Source) {
        let mut state = self.state.lock();
        let State { accounts, slices, limits, .. } = &mut *state;
        let idle = accounts.idle();
        // Windows that ended long ago are forgotten without a word.
        slices.retain(|number, slice| {
            let idle = idle.contains(number) && Arc::strong_count(&slice.awaited) == 1;
            let kept = !idle && accounts.has(*number);
            if !kept {
                limits.remove(&*slice.window);
                source.give_back(slice.unused());
            }
            kept
        });
    }

    /// Gives back what nobody holds, since nobody will.
    pub(crate) fn give_back(&self, source: &dyn Source) {
        // What was busy until now is idle the second time.
        self.give_back_idle(source);
        self.give_back_idle(source);
    }

    fn turn(&self, tenant: &Name) -> &tokio::sync::Mutex<()> {
        let at = usize::try_from(self.hasher.hash_one(tenant)).unwrap_or_default();
        // The index is within the array whatever the hash is.
        self.turns.get(at % TURNS).unwrap_or_else(|| &self.turns[0])
    }
}
