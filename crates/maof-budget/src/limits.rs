//! Budgets as they are configured, and the accounts that a call is charged to.

use maof_core::{Account, Charge, Error, Measure, Name, Principal, Result, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::price::Dollars;
use crate::worst::Worst;

/// What an account may spend in a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetConfig {
    /// Whose spending: `agent:NAME`, or `tenant`, `user`, `key` for each tenant, user or key by itself.
    pub account: String,
    /// The most to spend, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_usd: Option<Dollars>,
    /// The most tokens to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_tokens: Option<u64>,
    /// The most requests to make to upstreams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_requests: Option<u64>,
    /// Over which time, by the calendar in UTC: `total`, `minute`, `hour`, `day`, `month`. Default `total`.
    #[serde(default)]
    #[schemars(with = "String")]
    pub window: Window,
}

/// Whose accounts a budget is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    Agent(Name),
    Tenant,
    User,
    Key,
}

impl BudgetConfig {
    fn owner(&self) -> Result<Owner> {
        let wrong = || {
            let why = format!("`{}` is none of agent:NAME, tenant, user, key", self.account);
            Error::invalid_request(why).param("account")
        };
        match self.account.split_once(':') {
            Some(("agent", name)) => Name::new(name).map(Owner::Agent).map_err(|_| wrong()),
            None if self.account == "tenant" => Ok(Owner::Tenant),
            None if self.account == "user" => Ok(Owner::User),
            None if self.account == "key" => Ok(Owner::Key),
            _ => Err(wrong()),
        }
    }

    /// The agent that it is about, if it is about one.
    pub fn agent(&self) -> Option<&str> {
        self.account.strip_prefix("agent:")
    }

    fn limits(&self) -> Result<Vec<(Measure, i64)>> {
        let whole = |field: &'static str, limit: Option<u64>| match limit.map(i64::try_from) {
            None => Ok(None),
            Some(Ok(limit)) if limit > 0 => Ok(Some(limit)),
            Some(_) => Err(Error::invalid_request("must be at least 1").param(field)),
        };
        let money = match self.limit_usd.map(|d| d.0.nanos()) {
            Some(nanos) if nanos <= 0 => {
                return Err(Error::invalid_request("must be above 0").param("limit_usd"));
            }
            money => money,
        };
        let tokens = whole("limit_tokens", self.limit_tokens)?;
        let requests = whole("limit_requests", self.limit_requests)?;
        let said = [(Measure::Money, money), (Measure::Tokens, tokens), (Measure::Requests, requests)];
        let limits: Vec<_> = said.into_iter().filter_map(|(m, limit)| Some((m, limit?))).collect();
        match limits.is_empty() {
            true => {
                Err(Error::invalid_request("give limit_usd, limit_tokens or limit_requests")
                    .param("limit_usd"))
            }
            false => Ok(limits),
        }
    }

    /// Checks the budget.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        self.owner()?;
        self.limits().map(drop)
    }
}

/// Every budget, resolved.
#[derive(Clone, Debug, Default)]
pub struct Limits(Vec<Limit>);

#[derive(Clone, Debug)]
struct Limit {
    owner: Owner,
    measure: Measure,
    window: Window,
    most: i64,
}

impl Limits {
    /// Resolves budgets.
    ///
    /// # Errors
    /// `invalid_request` naming the budget and its field.
    pub fn new(budgets: &[BudgetConfig]) -> Result<Limits> {
        let mut limits = Vec::new();
        for budget in budgets {
            let owner = budget.owner()?;
            limits.extend(budget.limits()?.into_iter().map(|(measure, most)| Limit {
                owner: owner.clone(),
                measure,
                window: budget.window,
                most,
            }));
        }
        Ok(Limits(limits))
    }

    /// What a call of this principal that may use `worst` holds, on the caller's accounts and, where the agent
    /// is known, on the agent's.
    pub(crate) fn charges(&self, principal: &Principal, agent: Option<&Name>, worst: &Worst) -> Vec<Charge> {
        let named = |kind: &str, name: &Name| Name::new(&format!("{kind}:{name}")).ok();
        let charge = |limit: &Limit| {
            let name = match &limit.owner {
                Owner::Agent(name) if Some(name) == agent => named("agent", name),
                Owner::Agent(_) => None,
                Owner::Tenant => Name::new("tenant").ok(),
                Owner::User => named("user", &principal.user),
                Owner::Key => principal.key.as_ref().and_then(|key| named("key", key)),
            }?;
            let account = Account {
                tenant: principal.tenant.clone(),
                name,
                measure: limit.measure,
                window: limit.window,
            };
            Some(Charge { account, amount: worst.amount(limit.measure), limit: Some(limit.most) })
        };
        self.0.iter().filter_map(charge).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use maof_core::Money;

    fn budget(text: &str) -> BudgetConfig {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_wrong_budget_is_refused_by_field() {
        let check = |text: &str, field: &str| {
            assert_eq!(budget(text).validate().unwrap_err().field(), Some(field), "{text}");
        };
        check(r#"{"account": "agents:x", "limit_usd": 1}"#, "account");
        check(r#"{"account": "agent:", "limit_usd": 1}"#, "account");
        check(r#"{"account": "tenant"}"#, "limit_usd");
        check(r#"{"account": "tenant", "limit_usd": 0}"#, "limit_usd");
        check(r#"{"account": "tenant", "limit_usd": -3}"#, "limit_usd");
        check(r#"{"account": "tenant", "limit_tokens": 0}"#, "limit_tokens");
        check(r#"{"account": "tenant", "limit_requests": 18446744073709551615}"#, "limit_requests");
        assert!(serde_json::from_str::<BudgetConfig>(r#"{"account": "tenant", "window": "week"}"#).is_err());
    }

    #[test]
    fn a_call_is_charged_to_its_own_accounts_only() {
        let limits = Limits::new(&[
            budget(r#"{"account": "agent:a", "limit_usd": 1, "window": "day"}"#),
            budget(r#"{"account": "agent:b", "limit_usd": 1}"#),
            budget(r#"{"account": "user", "limit_tokens": 10, "limit_requests": 2}"#),
            budget(r#"{"account": "key", "limit_usd": 1}"#),
        ])
        .unwrap();
        let worst = Worst { cost: Money::from_nanos(7), tokens: 3 };
        let said = |agent: Option<&str>| -> Vec<(String, i64)> {
            let agent = agent.map(|a| Name::new(a).unwrap());
            let charges = limits.charges(&Principal::local(), agent.as_ref(), &worst);
            charges.iter().map(|c| (c.account.to_string(), c.amount)).collect()
        };
        let user = [
            ("user:local (tokens per total)".to_owned(), 3),
            ("user:local (requests per total)".to_owned(), 1),
        ];
        assert_eq!(said(None), user);
        let with_agent: Vec<_> =
            [("agent:a (money per day)".to_owned(), 7)].into_iter().chain(user).collect();
        assert_eq!(said(Some("a")), with_agent);
    }
}
