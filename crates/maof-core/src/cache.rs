//! The response cache: what a caller says of it, what is kept, and the port behind which it is kept.
//!
//! ```
//! use maof_core::CacheControl;
//! use std::time::Duration;
//! let said = CacheControl::parse("max-age=60, no-store");
//! assert_eq!(said.max_age, Some(Duration::from_secs(60)));
//! assert!(said.no_store && !said.no_cache);
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::ids::Name;
use crate::reply::{Head, Response};

/// What a caller says of kept answers, in the words of HTTP's `Cache-Control` of a request
/// (<https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1>). Default: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// Nothing that was kept is given; the new answer may be kept.
    pub no_cache: bool,
    /// The answer is not kept.
    pub no_store: bool,
    /// What was kept is given where it is no older. A caller who says this, and more than zero, takes a kept answer
    /// to a question that may be answered differently each time.
    pub max_age: Option<Duration>,
}

impl CacheControl {
    /// Reads the header's value. Directives that are not known, or malformed, say nothing, as the standard has it.
    pub fn parse(header: &str) -> Self {
        let mut said = CacheControl::default();
        for directive in header.split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let name = name.trim();
            if name.eq_ignore_ascii_case("no-cache") {
                said.no_cache = true;
            } else if name.eq_ignore_ascii_case("no-store") {
                said.no_store = true;
            } else if name.eq_ignore_ascii_case("max-age") {
                let seconds = value.trim().trim_matches('"').parse().ok();
                said.max_age = seconds.map(Duration::from_secs).or(said.max_age);
            }
        }
        said
    }

    /// Whether a kept answer of this age may be given.
    pub fn takes(&self, age: Duration) -> bool {
        !self.no_cache && self.max_age.is_none_or(|most| age <= most && !most.is_zero())
    }
}

/// What the cache did for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheStatus {
    /// It answered.
    Hit {
        /// How long ago the answer was asked for.
        age: Duration,
    },
    /// It answered with what was kept for a question in other words.
    Similar {
        /// How long ago the answer was asked for.
        age: Duration,
        /// How similar the questions are, in percent.
        percent: u8,
    },
    /// It had no answer.
    Miss,
    /// It was not asked: the caller wants a new answer, or the call is of a kind that is not kept.
    Bypass,
}

impl CacheStatus {
    /// The names of all, in the order of [`CacheStatus::place`].
    pub const NAMES: [&str; 4] = ["hit", "miss", "bypass", "similar"];

    /// The place among [`CacheStatus::NAMES`].
    pub const fn place(self) -> usize {
        match self {
            Self::Hit { .. } => 0,
            Self::Miss => 1,
            Self::Bypass => 2,
            Self::Similar { .. } => 3,
        }
    }

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        Self::NAMES[self.place()]
    }
}

/// What is the same for questions that are: a digest that does not collide in practice, over everything that may
/// change the answer, the tenant among it.
pub type CacheKey = [u8; 32];

/// An answer that is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Whose it is.
    pub tenant: Name,
    /// Who gave it.
    pub head: Head,
    /// The answer.
    pub response: Response,
    /// When it was asked for.
    pub asked: Timestamp,
    /// When it is no longer given.
    pub until: Timestamp,
}

impl Kept {
    /// Bytes that it takes, about.
    pub fn bytes(&self) -> u64 {
        /// What holds it takes beside the answer itself.
        const AROUND: u64 = 512;
        self.response.bytes() + AROUND
    }

    /// Whether the agent or the endpoint called `name` gave it.
    pub fn is_by(&self, name: &Name) -> bool {
        self.head.chosen.as_ref().is_some_and(|chosen| chosen.agent == *name || chosen.endpoint == *name)
    }
}

/// Keeps answers. What is kept may be lost at any time; it is never given to another tenant.
#[async_trait]
pub trait Cache: Send + Sync + fmt::Debug {
    /// What `tenant` has under `key`, unless its time is over.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be reached.
    async fn get(&self, tenant: &Name, key: &CacheKey, now: Timestamp) -> Result<Option<Arc<Kept>>>;

    /// Keeps an answer in place of the one under `key`. Never waits; what there is no room for is not kept, and
    /// neither is what was asked for before its tenant's answers were last forgotten.
    fn put(&self, key: CacheKey, kept: Kept);

    /// Forgets what `tenant` has, or what the agent or endpoint called `by` has answered it; how many answers that
    /// were. None of those that were asked for until `now` is given afterwards.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be reached.
    async fn forget(&self, tenant: &Name, by: Option<&Name>, now: Timestamp) -> Result<u64>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(no_cache: bool, no_store: bool, max_age: Option<u64>) -> CacheControl {
        CacheControl { no_cache, no_store, max_age: max_age.map(Duration::from_secs) }
    }

    #[test]
    fn what_a_caller_says_is_read_as_the_standard_has_it() {
        let check = |header: &str, expect| assert_eq!(CacheControl::parse(header), expect, "{header}");
        check("", said(false, false, None));
        check("no-cache", said(true, false, None));
        check(" No-Store ,max-age=5", said(false, true, Some(5)));
        check("max-age=\"7\"", said(false, false, Some(7)));
        check("max-age=0", said(false, false, Some(0)));
        check("max-age=-1, max-stale, no-transform", said(false, false, None));
        check("private, max-age=x, max-age=9", said(false, false, Some(9)));
        check("no-caches", said(false, false, None));
    }

    #[test]
    fn a_kept_answer_is_taken_by_its_age() {
        let check = |control: CacheControl, age, expect| {
            assert_eq!(control.takes(Duration::from_secs(age)), expect, "{control:?} {age}");
        };
        check(said(false, false, None), 1_000_000, true);
        check(said(false, true, None), 0, true);
        check(said(true, false, None), 0, false);
        check(said(true, false, Some(9)), 0, false);
        check(said(false, false, Some(9)), 9, true);
        check(said(false, false, Some(9)), 10, false);
        check(said(false, false, Some(0)), 0, false);
    }
}
