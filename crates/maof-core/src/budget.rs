//! Accounts, charges and the ledger: what is held before a call and settled after it.
//!
//! ```
//! use maof_core::{Account, Measure, Window};
//! let (tenant, name) = ("acme".parse()?, "user:ann".parse()?);
//! let account = Account { tenant, name, measure: Measure::Money, window: Window::Month };
//! assert_eq!(account.to_string(), "user:ann (money per month)");
//! # Ok::<(), maof_core::Error>(())
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::call::Purpose;
use crate::clock::Timestamp;
use crate::error::{Failure, Result};
use crate::ids::{AttemptId, CallId, Name, RunId};
use crate::measure::Measure;
use crate::money::Money;
use crate::spending::{Spending, SpendingQuery};
use crate::usage::Usage;
use crate::window::Window;

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
        write!(f, "{} ({} per {})", self.name, self.measure.as_str(), self.window)
    }
}

/// An amount on an account, and how much the account may hold and have spent in its window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The account.
    pub account: Account,
    /// How much to hold, in units of the account's measure. Never negative.
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
    /// How much of a measure it used; never negative.
    pub fn used(&self, measure: Measure) -> i64 {
        measure.of(self.cost, &self.usage, 1)
    }

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
    /// called `key` has: what it cost on those of money, its tokens, its one request, the tool calls it asks for. An account named
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
