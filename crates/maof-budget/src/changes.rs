//! Limits that differ from the configured ones, account by account, and how an administrator says one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use maof_core::{Account, Error, Measure, Name, Result, Window};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::limits::{field, fields};
use crate::price::Dollars;

/// Accounts whose limits may be changed at most.
const MOST: usize = 100_000;

/// What is to be the limit of an account: one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewLimit {
    /// Whose spending, of whom a budget is configured: `tenant`, `agent:NAME`, `tier:NAME`, `user:NAME`, `key:NAME`.
    pub account: Name,
    /// The budget's window. Default `total`.
    #[serde(default)]
    pub window: Window,
    /// The most to spend, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_usd: Option<Dollars>,
    /// The most tokens to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_tokens: Option<u64>,
    /// The most input tokens to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_input_tokens: Option<u64>,
    /// The most output tokens to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_output_tokens: Option<u64>,
    /// The most requests to make to upstreams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_requests: Option<u64>,
    /// The most calls of tools that replies may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_tool_calls: Option<u64>,
    /// The most calls under way at the same time; its window is `total`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_concurrency: Option<u64>,
}

impl NewLimit {
    /// The field that limits a measure.
    pub const fn field(measure: Measure) -> &'static str {
        field(measure)
    }

    /// The account of this tenant's whose limit it is to be.
    pub(crate) fn account(&self, tenant: &Name, measure: Measure) -> Account {
        let window = if measure == Measure::Concurrency { Window::Total } else { self.window };
        Account { tenant: tenant.clone(), name: self.account.clone(), measure, window }
    }

    /// What is counted, and the limit.
    pub(crate) fn limit(&self) -> Result<(Measure, i64)> {
        let whole = |limit: Option<u64>| limit.map(|limit| i64::try_from(limit).unwrap_or_default());
        let said = [
            (Measure::Money, self.limit_usd.map(|dollars| dollars.0.nanos())),
            (Measure::Tokens, whole(self.limit_tokens)),
            (Measure::InputTokens, whole(self.limit_input_tokens)),
            (Measure::OutputTokens, whole(self.limit_output_tokens)),
            (Measure::Requests, whole(self.limit_requests)),
            (Measure::ToolCalls, whole(self.limit_tool_calls)),
            (Measure::Concurrency, whole(self.limit_concurrency)),
        ];
        let mut said = said.into_iter().filter_map(|(measure, limit)| Some((measure, limit?)));
        let wrong = |why: String, measure| Err(Error::invalid_request(why).param(field(measure)));
        match (said.next(), said.next()) {
            (Some((measure, limit)), None) if limit > 0 => Ok((measure, limit)),
            (Some((measure, _)), None) => {
                wrong("must be above 0, and no more than can be counted".to_owned(), measure)
            }
            (None, _) => wrong(format!("say one of {}", fields()), Measure::Money),
            (Some(_), Some((measure, _))) => wrong("say one limit at a time".to_owned(), measure),
        }
    }
}

/// A changed limit, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    account: Account,
    limit: i64,
}

/// Changed limits, and how often any was changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    limits: RwLock<BTreeMap<Account, i64>>,
    count: AtomicU64,
}

impl Changes {
    /// The account's limit, which is `configured` unless it was changed.
    pub(crate) fn limit(&self, account: &Account, configured: i64) -> i64 {
        self.limits.read().get(account).copied().unwrap_or(configured)
    }

    /// Grows with each change.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Changes one; none for as it is configured.
    ///
    /// # Errors
    /// `too_large` naming `account` when there are too many.
    pub(crate) fn set(&self, account: &Account, limit: Option<i64>) -> Result<()> {
        let mut limits = self.limits.write();
        if limits.len() >= MOST && !limits.contains_key(account) {
            let why = format!("at most {MOST} accounts may have limits of their own; configure them instead");
            return Err(Error::too_large(why).param("account"));
        }
        match limit {
            Some(limit) => limits.insert(account.clone(), limit),
            None => limits.remove(account),
        };
        self.count.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// All of them, to be kept for the next start.
    pub(crate) fn write(&self) -> Result<Vec<u8>> {
        let limits = self.limits.read();
        let kept: Vec<Kept> =
            limits.iter().map(|(account, limit)| Kept { account: account.clone(), limit: *limit }).collect();
        serde_json::to_vec(&kept).map_err(|e| Error::internal("limits could not be written").because(e))
    }

    /// Takes over those of `kept` whose accounts fit, instead of all there are.
    pub(crate) fn read(&self, kept: &[u8], fits: impl Fn(&Account) -> bool) -> Result<()> {
        let damaged =
            "the changed limits of budgets that the database keeps are damaged; restore a copy of it";
        let kept: Vec<Kept> =
            serde_json::from_slice(kept).map_err(|e| Error::internal(damaged).because(e))?;
        let kept = kept.into_iter().filter(|one| one.limit > 0 && fits(&one.account));
        *self.limits.write() = kept.map(|one| (one.account, one.limit)).take(MOST).collect();
        self.count.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}
