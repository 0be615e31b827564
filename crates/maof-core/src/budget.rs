//! Accounts, charges and the ledger: what is held before a call and settled after it.
//!
//! ```
//! use maof_core::{Timestamp, Window};
//! let noon = Timestamp::from_micros(1_700_000_000_000_000); // 2023-11-14T22:13:20Z
//! assert_eq!(Window::Total.start(noon), Timestamp::from_micros(0));
//! assert_eq!(Window::Day.start(noon).to_string(), "2023-11-14T00:00:00.000000Z");
//! assert_eq!(Window::Month.start(noon).to_string(), "2023-11-01T00:00:00.000000Z");
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::call::Purpose;
use crate::clock::Timestamp;
use crate::error::{Failure, Result};
use crate::ids::{AttemptId, CallId, Name, RunId};
use crate::money::Money;
use crate::spending::{Spending, SpendingQuery};
use crate::usage::Usage;

/// What an account counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Nano-dollars.
    Money,
    /// Input and output tokens.
    Tokens,
    /// Requests to upstreams.
    Requests,
}

impl Measure {
    /// The measure's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Money => "money",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }
}

/// Over which time an account counts. Fixed windows in UTC: an amount belongs to the window in which its
/// hold began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// For ever.
    #[default]
    Total,
    /// One minute.
    Minute,
    /// One hour.
    Hour,
    /// One calendar day.
    Day,
    /// One calendar month.
    Month,
}

impl Window {
    /// The window's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// When the window that holds `now` began; 1970 for [`Window::Total`].
    pub fn start(self, now: Timestamp) -> Timestamp {
        let secs = match self {
            Self::Total => 0,
            Self::Minute => now.as_secs().div_euclid(60) * 60,
            Self::Hour => now.as_secs().div_euclid(3_600) * 3_600,
            Self::Day => now.as_secs().div_euclid(86_400) * 86_400,
            Self::Month => {
                let (_, _, day) = now.date();
                (now.as_secs().div_euclid(86_400) - i64::from(day - 1)) * 86_400
            }
        };
        Timestamp::from_micros(secs.saturating_mul(1_000_000))
    }

    /// When the window that holds `now` ends; none for [`Window::Total`].
    pub fn end(self, now: Timestamp) -> Option<Timestamp> {
        let start = self.start(now);
        let length = match self {
            Self::Total => return None,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
            // The longest month and a day lands in the next one whatever this one is.
            Self::Month => {
                return Some(self.start(start.plus(Duration::from_secs(32 * 86_400))));
            }
        };
        Some(start.plus(Duration::from_secs(length)))
    }
}

/// An account: whose spending of what is counted over which time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Account {
    /// Whose data it is.
    pub tenant: Name,
    /// Whose spending: `agent:analyst`, `tenant`, `user:alice`, `key:ci`.
    pub name: Name,
    /// What is counted.
    pub measure: Measure,
    /// Over which time.
    pub window: Window,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} per {})", self.name, self.measure.as_str(), self.window.as_str())
    }
}

/// An amount on an account, and how much the account may hold and have spent in its window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The account.
    pub account: Account,
    /// How much to hold: nano-dollars, tokens or requests. Never negative.
    pub amount: i64,
    /// The account's limit; none where it is only counted.
    pub limit: Option<i64>,
}

/// What has to be written down before a hold is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldMode {
    /// The hold itself: who holds waits for one commit. If the process dies, what it holds counts as spent, and is
    /// reported by its key.
    #[default]
    Strict,
    /// A part of each account, beforehand and for many holds: who holds seldom waits. If the process dies, what is left of
    /// that part counts as spent.
    Batched,
}

impl HoldMode {
    /// The mode's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Batched => "batched",
        }
    }
}

/// What the accounts of a hold have once it holds: one for each of its charges, in their order. Of accounts that other
/// processes share it may be as old as the last word from them.
pub type Balances = Vec<Balance>;

/// What an account has in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Settled.
    pub spent: i64,
    /// Held by calls that have not ended.
    pub held: i64,
}

/// One request to an upstream, as it is written down: whatever the provider bills is here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// The call it belongs to.
    pub call: CallId,
    /// Whose it is.
    pub tenant: Name,
    /// Who made the call.
    pub user: Name,
    /// The name of the key that was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Name>,
    /// The team of who made the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<Name>,
    /// The service level of who made the call.
    pub tier: Name,
    /// The type of the task that it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_type: Option<Name>,
    /// What else the caller said of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Arc<BTreeMap<Name, Name>>>,
    /// The run and the step that made the call.
    pub run: Option<RunId>,
    /// The step within the run.
    pub step: Option<Arc<str>>,
    /// The agent.
    pub agent: Name,
    /// The endpoint that was asked.
    pub endpoint: Name,
    /// Its model.
    pub model: Arc<str>,
    /// When it began.
    pub began: Timestamp,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// What was used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Money,
    /// By which prices: `config`, or the price file's source and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Arc<str>>,
    /// How it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What it was made for, if not for the caller.
    #[serde(default, skip_serializing_if = "Purpose::is_answer")]
    pub purpose: Purpose,
    /// The most output tokens that the caller asked for, over all choices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<u64>,
    /// What is the same where the whole question is, and means nothing else; none where that was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<u64>,
    /// What is the same where the first [`Attempt::OPENING`] bytes of the question are; none for shorter ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<u64>,
}

impl Attempt {
    /// Bytes of a question that are its opening. Providers keep what they read of a prompt from 1,024 tokens on
    /// (<https://platform.openai.com/docs/guides/prompt-caching>), which 8 KiB of text nearly always are.
    pub const OPENING: usize = 8 << 10;
}

/// Keeps accounts. Every operation names a hold by its key, and is idempotent by it.
///
/// A hold is raised before each attempt, spends what attempts cost, and gives the rest back when it is
/// closed. [`Ledger::charge`] and [`Ledger::close`] only send: they never wait, fail or block, so that they
/// can be called from a `Drop`.
#[async_trait]
pub trait Ledger: Send + Sync + fmt::Debug {
    /// Makes the hold called `key` hold at least these amounts, all or none. `now` fixes the windows of
    /// accounts that the hold does not have yet; the hold's first `mode` is its mode until it is closed.
    ///
    /// # Errors
    /// `budget_exceeded` naming the account, its limit, what is left and when it resets; `unavailable`
    /// when the ledger cannot be reached.
    async fn hold(
        &self,
        key: &Arc<str>,
        charges: &[Charge],
        mode: HoldMode,
        now: Timestamp,
    ) -> Result<Balances>;

    /// Writes an attempt down, and moves what it used from held to spent on the accounts that the hold
    /// called `key` has: what it cost on those of money, its tokens, its one request. An account named
    /// `agent:NAME` is charged for attempts of that agent only.
    fn charge(&self, key: &Arc<str>, attempt: Attempt);

    /// Gives back what is still held under `key`.
    fn close(&self, key: &Arc<str>);

    /// What an account has in the window that holds `now`.
    ///
    /// # Errors
    /// `unavailable` when the ledger cannot be reached.
    async fn balance(&self, account: &Account, now: Timestamp) -> Result<Balance>;

    /// The latest attempts of a tenant, newest first; of one run, if it is named.
    ///
    /// # Errors
    /// `unavailable` when the ledger cannot be reached.
    async fn attempts(&self, tenant: &Name, run: Option<RunId>, limit: u32) -> Result<Vec<Attempt>>;

    /// Whether something is said for the first time: false where the same was said before, by whichever process. What was
    /// said is remembered as long as attempts are.
    ///
    /// # Errors
    /// `unavailable` when the ledger cannot be reached.
    async fn first(&self, said: &str, now: Timestamp) -> Result<bool>;

    /// What a tenant's attempts come to, by the dimensions that are asked for.
    ///
    /// # Errors
    /// As [`SpendingQuery::check`]; `unavailable` when the ledger cannot be reached.
    async fn spending(&self, query: &SpendingQuery) -> Result<Spending>;

    /// Waits until everything sent so far is as durable as the ledger makes it.
    ///
    /// # Errors
    /// `unavailable` when the ledger cannot be reached.
    async fn flush(&self) -> Result<()>;

    /// Before the process ends: gives back what is ready for calls that will not come, and flushes. Calls that are still open
    /// go on. Default: [`Ledger::flush`].
    ///
    /// # Errors
    /// As [`Ledger::flush`].
    async fn retire(&self) -> Result<()> {
        self.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_and_end_by_the_calendar() {
        // 2024-02-29T23:59:59Z
        let now = Timestamp::from_micros(1_709_251_199_000_000);
        let check = |window: Window, start: &str, end: Option<&str>| {
            assert_eq!(window.start(now).to_string(), start);
            assert_eq!(window.end(now).map(|t| t.to_string()).as_deref(), end);
        };
        check(Window::Total, "1970-01-01T00:00:00.000000Z", None);
        check(Window::Minute, "2024-02-29T23:59:00.000000Z", Some("2024-03-01T00:00:00.000000Z"));
        check(Window::Hour, "2024-02-29T23:00:00.000000Z", Some("2024-03-01T00:00:00.000000Z"));
        check(Window::Day, "2024-02-29T00:00:00.000000Z", Some("2024-03-01T00:00:00.000000Z"));
        check(Window::Month, "2024-02-01T00:00:00.000000Z", Some("2024-03-01T00:00:00.000000Z"));
    }
}
