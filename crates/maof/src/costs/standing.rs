//! What budgets have left, and limits that are changed.

use std::collections::BTreeMap;

use maof_budget::NewLimit;
use maof_core::{Account, Dimension, Error, Measure, Name, Principal, Result, Role, Timestamp, Window};
use serde::Serialize;

use super::amount::{Amount, moment};
use super::ledger::{CHANGED, Costs, later, sees_all};

/// Accounts that are told at most.
const MOST_ACCOUNTS: usize = 1_000;

/// A budget, as one account has it now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// Whose spending: `tenant`, `user:alice`, `agent:analyst` …
    pub account: Name,
    /// What is counted.
    pub measure: Measure,
    /// Over which time.
    pub window: Window,
    /// The most that may be spent.
    pub limit: Amount,
    /// Settled in this window.
    pub spent: Amount,
    /// Held by calls that have not ended.
    pub held: Amount,
    /// What a call may hold yet.
    pub left: Amount,
    /// The part that is spent or held, 0 to 1 and above where more was billed than held.
    pub share: f64,
    /// When the window ends; none for `total`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "moment")]
    pub resets: Option<Timestamp>,
}

impl Costs {
    /// What budgets have left: those of the principal's own calls, and, for who is told of the whole tenant, those of all
    /// who spent something in this month. At most 1,000 accounts.
    ///
    /// # Errors
    /// `unavailable` when the ledger cannot be reached; `invalid_request` when a name is too long to have an account.
    pub async fn budgets(&self, principal: &Principal) -> Result<Vec<Standing>> {
        let now = self.now();
        let mut standings = Vec::new();
        for (account, limit) in self.accounts(principal, now).await? {
            standings.push(self.standing(account, limit, now).await?);
        }
        Ok(standings)
    }

    async fn standing(&self, account: Account, limit: i64, now: Timestamp) -> Result<Standing> {
        let balance = self.ledger.balance(&account, now).await?;
        let Account { name, measure, window, .. } = account;
        let amount = |amount: i64| Amount { measure, amount };
        let taken = balance.spent.saturating_add(balance.held);
        Ok(Standing {
            account: name,
            measure,
            window,
            limit: amount(limit),
            spent: amount(balance.spent),
            held: amount(balance.held),
            left: amount(limit.saturating_sub(taken).max(0)),
            share: taken as f64 / limit.max(1) as f64,
            resets: window.end(now),
        })
    }

    /// Sets the limit of an account that a budget is configured for; it holds from the next hold on, and after a restart. The
    /// account as it stands then, and its limit before.
    ///
    /// # Errors
    /// As [`maof_budget::Limits::change`]; `permission_denied` unless the principal is an admin; `conflict` where nothing is kept for the
    /// next start; `unavailable` when the store cannot be reached: then it is as before.
    pub async fn change(&self, principal: &Principal, new: &NewLimit) -> Result<(Standing, Amount)> {
        if !principal.is(Role::Admin) {
            return Err(Error::permission_denied("only an admin may change a budget's limit"));
        }
        let Some(store) = &self.keep else {
            let why = "the stores in use keep no changed limits; change `budgets` in the configuration";
            return Err(Error::conflict(why));
        };
        let _one = self.changing.lock().await;
        // Another process of a shared ledger may have changed some.
        self.resume().await?;
        let all_before = self.limits.changed()?;
        let (account, before, limit) = self.limits.change(&principal.tenant, new)?;
        if let Err(error) = store.keep(CHANGED, self.limits.changed()?.into()).await {
            self.limits.resume(&all_before)?;
            return Err(error);
        }
        let was = Amount { measure: account.measure, amount: before };
        Ok((self.standing(account, limit, self.now()).await?, was))
    }

    /// Accounts with their limits.
    async fn accounts(&self, principal: &Principal, now: Timestamp) -> Result<BTreeMap<Account, i64>> {
        let mut accounts: BTreeMap<Account, i64> = BTreeMap::new();
        let mut add = |principal: &Principal| -> Result<()> {
            for (account, limit) in self.limits.accounts(principal)? {
                if accounts.len() < MOST_ACCOUNTS || accounts.contains_key(&account) {
                    // Of two limits on one account the lower one holds.
                    let least = accounts.entry(account).or_insert(limit);
                    *least = limit.min(*least);
                }
            }
            Ok(())
        };
        add(principal)?;
        if sees_all(principal) && !self.limits.is_empty() {
            let mut query = self.query(principal, Window::Month.start(now), later(now));
            query.by = vec![Dimension::User, Dimension::Key, Dimension::Tier];
            for group in self.spending(&query).await?.groups {
                let name =
                    |i: usize| group.values.get(i).cloned().flatten().map(|v| Name::new(&v)).transpose();
                let (Some(user), key, Some(tier)) = (name(0)?, name(1)?, name(2)?) else { continue };
                add(&Principal { user, key, tier, ..principal.clone() })?;
            }
        }
        Ok(accounts)
    }
}
