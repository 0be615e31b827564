//! Bugs that `just money --planted` must find, one at a time, by the variable `MAOF_PLANTED`. Nothing of this is compiled without
//! the feature `planted`.

use std::sync::OnceLock;

use maof_core::Money;

fn is(bug: &str) -> bool {
    static BUG: OnceLock<Option<String>> = OnceLock::new();
    BUG.get_or_init(|| std::env::var("MAOF_PLANTED").ok()).as_deref() == Some(bug)
}

/// Lost release: whether a hold that ends is not given back.
pub(crate) fn keeps() -> bool {
    is("lost_release")
}

/// Float money: a cost by way of dollars as a binary fraction of single precision.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "that is the bug")]
pub(crate) fn float(cost: Money) -> Money {
    match is("float_money") {
        true => Money::from_nanos((f64::from(cost.nanos() as f32 / 1e9) * 1e9) as i64),
        false => cost,
    }
}
