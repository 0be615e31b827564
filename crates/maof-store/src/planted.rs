//! Bugs that `just money --planted` must find, one at a time, by the variable `MAOF_PLANTED`. Nothing of this is compiled without
//! the feature `planted`.

use std::sync::OnceLock;

use maof_core::{Account, AttemptId, Charge, Result};
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::accounts::HashMap;

/// How often a stale counter is looked at before it is read anew.
const STALE: u32 = 16;

fn is(bug: &str) -> bool {
    static BUG: OnceLock<Option<String>> = OnceLock::new();
    BUG.get_or_init(|| std::env::var("MAOF_PLANTED").ok()).as_deref() == Some(bug)
}

/// Settle twice: which attempts a hold was charged for is forgotten.
pub(crate) fn forget(charged: &mut SmallVec<[AttemptId; 2]>) {
    if is("settle_twice") {
        charged.clear();
    }
}

/// Stale counter: what is taken of an account, as it was a while ago.
pub(crate) fn stale(account: &Account, taken: i64) -> i64 {
    static SEEN: OnceLock<Mutex<HashMap<Account, (i64, u32)>>> = OnceLock::new();
    if !is("stale_counter") {
        return taken;
    }
    let mut seen = SEEN.get_or_init(Mutex::default).lock();
    let (old, looks) = seen.entry(account.clone()).or_insert((taken, 0));
    *looks += 1;
    if looks.is_multiple_of(STALE) {
        *old = taken;
    }
    *old
}

/// Check, then record: the check is made now; what is recorded is not checked again.
pub(crate) async fn checked<T>(charges: &[Charge], check: impl FnOnce() -> Result<T>) -> Result<Vec<Charge>> {
    if !is("check_then_record") {
        return Ok(charges.to_vec());
    }
    check()?;
    tokio::task::yield_now().await;
    Ok(charges.iter().map(|charge| Charge { limit: None, ..charge.clone() }).collect())
}
