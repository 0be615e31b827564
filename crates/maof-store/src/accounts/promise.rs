//! What a window may lose to calls that do not wait for a commit: a part of it that was written down beforehand. Pure.
//!
//! Amounts only grow: what was `asked` to be written, what is known to be written (`granted`), what holds have `used` up.
//! So the order in which commits are told does not matter.

/// A window's part for batched holds.
///
/// What batched holds have is never more than is granted and not used up: if the process dies, that counts as spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Promise {
    /// What batched holds have.
    held: i128,
    /// What was ever promised, written down or on its way to be.
    asked: i128,
    /// What is known to be written down of it.
    granted: i128,
    /// What was spent of it.
    used: i128,
    /// Whether a batched hold grew since this was last asked.
    busy: bool,
}

/// What a batched hold has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Nothing.
    None,
    /// What was asked before, up to this.
    Commit(i128),
    /// The promise was raised to this, and is to be written.
    Write(i128),
}

impl Promise {
    /// A batched hold grew. Where the promise does not cover it, the promise grows, by `spare` more than is needed.
    pub(super) fn raise(&mut self, by: i64, spare: i64) -> Wait {
        self.held += i128::from(by);
        self.busy = true;
        if self.used + self.held <= self.granted {
            return Wait::None;
        }
        if self.used + self.held <= self.asked {
            return Wait::Commit(self.asked);
        }
        self.asked = self.used + self.held + i128::from(spare.max(0));
        Wait::Write(self.asked)
    }

    /// A part of a batched hold was spent.
    pub(super) fn spend(&mut self, amount: i64) {
        self.held -= i128::from(amount);
        self.used += i128::from(amount);
    }

    /// A part of a batched hold was given back.
    pub(super) fn give_back(&mut self, amount: i64) {
        self.held -= i128::from(amount);
    }

    /// What was asked up to this is written.
    pub(super) fn grant(&mut self, up_to: i128) {
        self.granted = self.granted.max(up_to);
        self.asked = self.asked.max(self.granted);
    }

    /// What has to be granted for a hold to grow, if that is not granted yet: what batched holds then have in all, and up to
    /// where that reaches.
    pub(super) fn lacks(&self, by: i64) -> Option<(i64, i128)> {
        let needed = self.held + i128::from(by);
        let up_to = self.used + needed;
        (up_to > self.granted).then(|| (i64::try_from(needed).unwrap_or(i64::MAX), up_to))
    }

    /// What batched holds have, and what is granted beyond that.
    pub(super) fn held_and_slack(&self) -> (i64, i64) {
        let whole = |amount: i128| i64::try_from(amount).unwrap_or(i64::MAX);
        (whole(self.held), whole(self.granted - self.used - self.held))
    }

    /// Gives back what is granted where nobody holds any of it, or held since the last time. True if so.
    pub(super) fn give_back_idle(&mut self) -> bool {
        let idle = !std::mem::take(&mut self.busy) && self.held == 0;
        if idle {
            self.settle();
        }
        idle
    }

    /// What is to be written: how much more than what is spent may be spent.
    pub(super) fn left(&self) -> i64 {
        i64::try_from(self.asked - self.used).unwrap_or(i64::MAX)
    }

    /// Nothing more is held: only what still is stays promised. True if that is less than was.
    pub(super) fn settle(&mut self) -> bool {
        let needed = self.used + self.held;
        let more = self.asked > needed;
        (self.asked, self.granted) = (needed, needed);
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_covers_what_is_held_and_is_granted_by_commits_in_any_order() {
        let mut promise = Promise::default();
        assert_eq!(promise.raise(5, 10), Wait::Write(15));
        assert_eq!(promise.raise(4, 10), Wait::Commit(15), "on its way");
        assert_eq!(promise.raise(7, 10), Wait::Write(26));
        promise.grant(26);
        promise.grant(15);
        assert_eq!(promise.raise(10, 10), Wait::None, "a later commit has the earlier ones in it");
        promise.spend(20);
        assert_eq!((promise.left(), promise.raise(1, 0)), (6, Wait::Write(27)));
        promise.give_back(7);
        assert_eq!((promise.settle(), promise.left()), (true, 0));
        assert_eq!(
            (promise.settle(), promise.raise(i64::MAX, i64::MAX)),
            (false, Wait::Write(20 + 2 * i128::from(i64::MAX)))
        );
        assert_eq!(promise.left(), i64::MAX);
    }
}
