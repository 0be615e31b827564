//! What the month will come to.

use std::collections::{BTreeMap, HashMap};

use maof_budget::report::Forecast;
use maof_core::{
    Dimension, Measure, Name, Principal, Result, Spending, SpendingQuery, Spent, Timestamp, Window,
};
use serde::Serialize;

use super::amount::{Amount, moment};
use super::ledger::{Costs, later};
use super::standing::Standing;

/// What an account, or the whole tenant, will come to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outlook {
    /// Whose spending; none for all that the principal may see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Name>,
    /// What is counted.
    pub measure: Measure,
    /// Over which time the account's limit counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Spent in this month until now.
    pub so_far: Amount,
    /// Spent on each of the last complete days, on average.
    pub per_day: Amount,
    /// How many complete days that is the mean of.
    pub days: u32,
    /// What the month will have come to at its end.
    pub month_end: Amount,
    /// The account's limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Amount>,
    /// When nothing will be left, where that is within this month and the limit is of a month or for ever.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "moment")]
    pub runs_out: Option<Timestamp>,
}

impl Costs {
    /// What this month will come to: all that the principal may see, and each of its budgets' accounts. Left out where there
    /// is no complete day to go by.
    ///
    /// # Errors
    /// As [`Costs::budgets`].
    pub async fn forecast(&self, principal: &Principal) -> Result<Vec<Outlook>> {
        let now = self.now();
        let mut outlooks = Vec::new();
        let back = Timestamp::from_micros(today(now) - (Forecast::DAYS as i64) * DAY);
        let since = Window::Month.start(now).min(back);
        let own = self.query(principal, since, later(now));
        let all = history(&self.daily(own, None).await?, None, Measure::Money, now);
        outlooks.extend(outlook(None, None, Measure::Money, &all, now));
        let mut known: HashMap<Option<Dimension>, Spending> = HashMap::new();
        for Standing { account, measure, window, limit, left, .. } in self.budgets(principal).await? {
            if measure == Measure::Concurrency {
                continue;
            }
            let (by, value) = of_account(&account);
            if !known.contains_key(&by) {
                // Of all who share the account: who has it is refused for what they spent.
                let tenant = SpendingQuery::new(principal.tenant.clone(), since, later(now));
                known.insert(by.clone(), self.daily(tenant, by.clone()).await?);
            }
            let days = match (known.get(&by), &by, value) {
                // There are more than the ledger lists: this one by itself.
                (Some(all), Some(by), Some(value)) if all.others > 0 => {
                    let mut own = SpendingQuery::new(principal.tenant.clone(), since, later(now));
                    own.only.push((by.clone(), value.into()));
                    history(&self.daily(own, None).await?, None, measure, now)
                }
                (Some(all), ..) => history(all, value, measure, now),
                (None, ..) => continue,
            };
            let budget = (window, limit.amount, left.amount);
            outlooks.extend(outlook(Some(account.clone()), Some(budget), measure, &days, now));
        }
        Ok(outlooks)
    }

    /// Spending by day, and by one more dimension.
    async fn daily(&self, mut query: SpendingQuery, by: Option<Dimension>) -> Result<Spending> {
        query.by = std::iter::once(Dimension::Day).chain(by).collect();
        query.limit = SpendingQuery::MOST_GROUPS;
        self.spending(&query).await
    }
}

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// When the day began.
fn today(now: Timestamp) -> i64 {
    Window::Day.start(now).micros()
}

/// What an account's attempts have in common: a dimension and its value, or nothing for the tenant's.
fn of_account(account: &Name) -> (Option<Dimension>, Option<&str>) {
    match account.as_str().split_once(':') {
        Some((kind, value)) => (kind.parse().ok(), Some(value)),
        None => (None, None),
    }
}

/// What was spent on each day, by its first moment.
fn history(spending: &Spending, value: Option<&str>, measure: Measure, now: Timestamp) -> BTreeMap<i64, i64> {
    let counted = |spent: &Spent| measure.of(spent.cost, &spent.usage, spent.attempts);
    let mut days: BTreeMap<i64, i64> = BTreeMap::new();
    for group in &spending.groups {
        let day = group.values.first().cloned().flatten().and_then(|day| day.parse::<Timestamp>().ok());
        let of = group.values.get(1).and_then(|of| of.as_deref());
        if let Some(day) = day.filter(|day| *day <= now && (value.is_none() || of == value)) {
            let sum = days.entry(day.micros()).or_default();
            *sum = sum.saturating_add(counted(&group.spent));
        }
    }
    days
}

fn outlook(
    account: Option<Name>,
    budget: Option<(Window, i64, i64)>,
    measure: Measure,
    days: &BTreeMap<i64, i64>,
    now: Timestamp,
) -> Option<Outlook> {
    let month = Window::Month.start(now).micros();
    let so_far = days.range(month..).map(|(_, spent)| *spent).fold(0, i64::saturating_add);
    let today = today(now);
    // From the first day on which anything was spent, as far as it is looked back.
    let first = *days.keys().next()?;
    let complete =
        (1..=Forecast::DAYS as i64).rev().map(|back| today - back * DAY).filter(|day| *day >= first);
    let complete: Vec<i64> = complete.map(|day| days.get(&day).copied().unwrap_or(0)).collect();
    let forecast = Forecast::new(so_far, &complete, now)?;
    let amount = |amount: i64| Amount { measure, amount };
    let lasting =
        budget.filter(|(window, ..)| matches!(window, Window::Month | Window::MonthIn(_) | Window::Total));
    Some(Outlook {
        account,
        measure,
        window: budget.map(|(window, ..)| window),
        so_far: amount(forecast.so_far),
        per_day: amount(forecast.per_day),
        days: forecast.days,
        month_end: amount(forecast.month_end),
        limit: budget.map(|(_, limit, _)| amount(limit)),
        runs_out: lasting.and_then(|(.., left)| forecast.runs_out(left, now)),
    })
}
