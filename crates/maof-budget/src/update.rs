//! Limits that are changed while everything runs.

use maof_core::{Account, Error, Name, Result};

use crate::changes::NewLimit;
use crate::limits::{Limits, field};

impl Limits {
    /// Sets the limit of an account that a budget is configured for, from the next hold on: what is held stays held. The
    /// account, its limit before, and its limit now.
    ///
    /// # Errors
    /// `invalid_request` naming the limit that is missing, not above 0, or above the tenant's of the same window; `not_found`
    /// naming `account` where no budget counts that for it over this window.
    pub fn change(&self, tenant: &Name, new: &NewLimit) -> Result<(Account, i64, i64)> {
        let (measure, limit) = new.limit()?;
        let account = new.account(tenant, measure);
        let configured = self.configured(&account).ok_or_else(|| {
            let why = format!("no budget is configured for {account}; `GET /budget` lists those there are");
            Error::not_found(why).param("account")
        })?;
        let parent = Account { name: Name::new("tenant")?, ..account.clone() };
        let most = self.configured(&parent).map(|most| self.changes.limit(&parent, most));
        if let Some(most) = most.filter(|most| account != parent && limit > *most) {
            let most = measure.show(most);
            let why = format!("must be no more than the tenant's limit of the same window, {most}");
            return Err(Error::invalid_request(why).param(field(measure)));
        }
        let before = self.changes.limit(&account, configured);
        self.changes.set(&account, (limit != configured).then_some(limit))?;
        self.forget();
        Ok((account, before, limit))
    }

    /// The changed limits, to be kept for the next start.
    ///
    /// # Errors
    /// `internal` when they cannot be written as JSON.
    pub fn changed(&self) -> Result<Vec<u8>> {
        self.changes.write()
    }

    /// Takes over what [`Limits::changed`] gave. Accounts without a budget by now are left out.
    ///
    /// # Errors
    /// `internal` when it is damaged; then everything stays as it is.
    pub fn resume(&self, kept: &[u8]) -> Result<()> {
        self.changes.read(kept, |account| self.configured(account).is_some())?;
        self.forget();
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use maof_core::{Body, Call, CallId, ChatRequest, Money, Principal, Target};

    use super::*;
    use crate::worst::Worst;

    fn limits() -> Limits {
        let budgets = r#"[
            {"account": "tenant", "limit_usd": 10, "window": "day"},
            {"account": "user", "limit_usd": 2, "window": "day"},
            {"account": "user", "limit_requests": 5},
            {"account": "agent:a", "limit_tokens": 9}
        ]"#;
        Limits::new(&serde_json::from_str::<Vec<_>>(budgets).unwrap()).unwrap()
    }

    fn new(text: &str) -> NewLimit {
        serde_json::from_str(text).unwrap()
    }

    fn tenant() -> Name {
        Principal::local().tenant.clone()
    }

    fn call_of(who: &Arc<Principal>) -> Call {
        let target = Target::Name(Name::new("a").unwrap());
        Call::new(
            CallId::from_uuid(uuid::Uuid::nil()),
            target,
            Arc::clone(who),
            Body::from(ChatRequest::user("q")),
        )
    }

    /// What holds of local callers' dollars a day.
    fn held(limits: &Limits, who: &Arc<Principal>) -> Vec<Option<i64>> {
        let worst = Worst { cost: Money::from_nanos(1), input: 1, ..Worst::default() };
        limits.charges(&call_of(who), None, &worst).unwrap().iter().map(|charge| charge.limit).collect()
    }

    #[test]
    fn a_changed_limit_holds_from_the_next_hold_on_for_that_account_alone() {
        let (limits, local) = (limits(), Principal::local());
        let other = Arc::new(Principal { tenant: Name::new("other").unwrap(), ..(*local).clone() });
        let dollars = |dollars: i64| Some(dollars * 1_000_000_000);
        assert_eq!(held(&limits, &local), [dollars(10), dollars(2), Some(5)]);
        let change = new(r#"{"account": "user:local", "window": "day", "limit_usd": "3"}"#);
        let (account, before, _) = limits.change(&tenant(), &change).unwrap();
        assert_eq!((account.to_string(), before), ("user:local (money per day)".to_owned(), 2_000_000_000));
        assert_eq!(held(&limits, &local), [dollars(10), dollars(3), Some(5)]);
        assert_eq!(held(&limits, &other), [dollars(10), dollars(2), Some(5)]);
        let next = self::limits();
        next.resume(&limits.changed().unwrap()).unwrap();
        assert_eq!(held(&next, &local), held(&limits, &local), "it is remembered");
        let back = new(r#"{"account": "user:local", "window": "day", "limit_usd": 2}"#);
        assert_eq!(limits.change(&tenant(), &back).unwrap().1, 3_000_000_000);
        assert_eq!(limits.changed().unwrap(), b"[]", "what is as configured need not be remembered");
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_field_and_changes_nothing() {
        let limits = limits();
        let check = |text: &str, field: &str| {
            let error = limits.change(&tenant(), &new(text)).unwrap_err();
            assert_eq!(error.field(), Some(field), "{text}: {error}");
        };
        check(r#"{"account": "user:u", "window": "day"}"#, "limit_usd");
        check(r#"{"account": "user:u", "window": "day", "limit_usd": 0}"#, "limit_usd");
        check(r#"{"account": "user:u", "window": "day", "limit_usd": -1}"#, "limit_usd");
        check(r#"{"account": "user:u", "limit_requests": 9223372036854775808}"#, "limit_requests");
        check(r#"{"account": "user:u", "limit_requests": 1, "limit_tokens": 1}"#, "limit_requests");
        check(r#"{"account": "user:u", "window": "month", "limit_usd": 1}"#, "account");
        check(r#"{"account": "user", "window": "day", "limit_usd": 1}"#, "account");
        check(r#"{"account": "agent:b", "limit_tokens": 1}"#, "account");
        check(r#"{"account": "user:u", "window": "day", "limit_usd": 11}"#, "limit_usd");
        assert_eq!(limits.changed().unwrap(), b"[]");
        limits.change(&tenant(), &new(r#"{"account": "tenant", "window": "day", "limit_usd": 12}"#)).unwrap();
        limits.change(&tenant(), &new(r#"{"account": "user:u", "window": "day", "limit_usd": 11}"#)).unwrap();
        assert!(serde_json::from_str::<NewLimit>(r#"{"account": "tenant", "limit_usd": 1e30}"#).is_err());
        assert!(limits.resume(b"damaged").is_err());
    }

    #[test]
    fn what_is_no_budgets_any_more_is_left_out() {
        let limits = limits();
        limits.change(&tenant(), &new(r#"{"account": "agent:a", "limit_tokens": 4}"#)).unwrap();
        let fewer = Limits::new(&[]).unwrap();
        fewer.resume(&limits.changed().unwrap()).unwrap();
        assert_eq!(fewer.changed().unwrap(), b"[]");
    }
}
