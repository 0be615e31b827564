//! What attempts came to, by who made them, whom they asked, and when: a question to the ledger, and its answer.
//!
//! ```
//! use maof_core::{Dimension, SpendingQuery, Timestamp};
//! let (since, until) = (Timestamp::from_micros(0), Timestamp::from_micros(1));
//! let mut query = SpendingQuery::new("acme".parse()?, since, until);
//! query.by = vec!["agent".parse()?, Dimension::Day, "tag:team".parse()?];
//! query.check()?;
//! assert_eq!("tag".parse::<Dimension>().unwrap_err().field(), Some("by"));
//! # Ok::<(), maof_core::Error>(())
//! ```

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::budget::Attempt;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::ids::Name;
use crate::money::Money;
use crate::usage::{Unit, Usage};

/// By what spending can be broken down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// The agent that answered.
    Agent,
    /// The endpoint that was asked.
    Endpoint,
    /// Its model.
    Model,
    /// Who made the call.
    User,
    /// The key that was shown.
    Key,
    /// The team of who made the call.
    Team,
    /// The service level of who made the call.
    Tier,
    /// The type of the task.
    TaskType,
    /// What the call says of itself under this tag.
    Tag(Name),
    /// The day (UTC) on which the attempt began.
    Day,
    /// What it was made for.
    Purpose,
    /// The prices that it was charged by.
    Price,
    /// The least of [`Dimension::SIZES`] that is no less than its input tokens; none above the last.
    InputSize,
    /// What is the same where the whole question is.
    Question,
    /// What is the same where the question begins in the same way.
    Opening,
}

impl Dimension {
    /// Every dimension with a name of its own: all but tags.
    pub const NAMED: [Dimension; 14] = [
        Self::Agent,
        Self::Endpoint,
        Self::Model,
        Self::User,
        Self::Key,
        Self::Team,
        Self::Tier,
        Self::TaskType,
        Self::Day,
        Self::Purpose,
        Self::Price,
        Self::InputSize,
        Self::Question,
        Self::Opening,
    ];

    /// Sizes of inputs in tokens, for [`Dimension::InputSize`].
    pub const SIZES: [u64; 12] =
        [512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072, 262_144, 524_288, 1_048_576];

    /// Its name, by which it is asked for.
    pub fn as_str(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Agent => "agent",
            Self::Endpoint => "endpoint",
            Self::Model => "model",
            Self::User => "user",
            Self::Key => "key",
            Self::Team => "team",
            Self::Tier => "tier",
            Self::TaskType => "task_type",
            Self::Tag(tag) => return Cow::Owned(format!("tag:{tag}")),
            Self::Day => "day",
            Self::Purpose => "purpose",
            Self::Price => "price",
            Self::InputSize => "input_size",
            Self::Question => "question",
            Self::Opening => "opening",
        })
    }

    /// What an attempt has in it.
    pub fn of<'a>(&self, attempt: &'a Attempt) -> Option<Cow<'a, str>> {
        let name = |name: &'a Name| Some(Cow::Borrowed(name.as_str()));
        match self {
            Self::Agent => name(&attempt.agent),
            Self::Endpoint => name(&attempt.endpoint),
            Self::Model => Some(Cow::Borrowed(&attempt.model)),
            Self::User => name(&attempt.user),
            Self::Key => attempt.key.as_ref().and_then(name),
            Self::Team => attempt.team.as_ref().and_then(name),
            Self::Tier => name(&attempt.tier),
            Self::TaskType => attempt.task_type.as_ref().and_then(name),
            Self::Tag(tag) => attempt.tags.as_ref().and_then(|tags| tags.get(tag)).and_then(name),
            Self::Day => Some(Cow::Owned(attempt.began.to_string().chars().take(10).collect())),
            Self::Purpose => Some(Cow::Borrowed(attempt.purpose.as_str())),
            Self::Price => attempt.price.as_deref().map(Cow::Borrowed),
            Self::InputSize => {
                let input = attempt.usage.input_tokens();
                Self::SIZES.iter().find(|size| input <= **size).map(|size| Cow::Owned(size.to_string()))
            }
            Self::Question => attempt.question.map(|same| Cow::Owned(same.to_string())),
            Self::Opening => attempt.opening.map(|same| Cow::Owned(same.to_string())),
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_str())
    }
}

impl FromStr for Dimension {
    type Err = Error;

    fn from_str(text: &str) -> Result<Dimension> {
        if let Some(tag) = text.strip_prefix("tag:") {
            return Name::new(tag).map(Dimension::Tag).map_err(|e| e.param("by"));
        }
        Dimension::NAMED.into_iter().find(|known| known.as_str() == text).ok_or_else(|| {
            let known: Vec<_> = Dimension::NAMED.iter().map(Dimension::as_str).collect();
            let why = format!("`{text}` is none of {}, tag:NAME", known.join(", "));
            Error::invalid_request(why).param("by")
        })
    }
}

/// What is asked of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendingQuery {
    /// Whose attempts.
    pub tenant: Name,
    /// By what; one group for each combination that there is. At most [`SpendingQuery::MOST_DIMENSIONS`], none twice.
    pub by: Vec<Dimension>,
    /// Only attempts that have these values; at most twice [`SpendingQuery::MOST_DIMENSIONS`].
    pub only: Vec<(Dimension, Arc<str>)>,
    /// Only attempts that began then or later,
    pub since: Timestamp,
    /// and before then.
    pub until: Timestamp,
    /// Above 1, only groups of at least so many attempts that have every value; all other attempts are left out, which
    /// is much quicker where most groups are small. Default 1.
    pub at_least: u32,
    /// At most so many groups, those that cost most; the others are summed. 1 to [`SpendingQuery::MOST_GROUPS`]; default 1000.
    pub limit: u32,
}

impl SpendingQuery {
    /// The most dimensions that may be asked for at once.
    pub const MOST_DIMENSIONS: usize = 4;
    /// The most groups that may be asked for.
    pub const MOST_GROUPS: u32 = 10_000;

    /// Everything that a tenant spent, in one group.
    pub fn new(tenant: Name, since: Timestamp, until: Timestamp) -> Self {
        SpendingQuery { tenant, by: Vec::new(), only: Vec::new(), since, until, at_least: 1, limit: 1000 }
    }

    /// Checks it.
    ///
    /// # Errors
    /// `invalid_request` naming `by`, `only`, `until` or `limit`.
    pub fn check(&self) -> Result<()> {
        let wrong = |field: &'static str, why: String| Err(Error::invalid_request(why).param(field));
        if self.by.len() > Self::MOST_DIMENSIONS {
            return wrong("by", format!("at most {} dimensions are taken at once", Self::MOST_DIMENSIONS));
        }
        if self.only.len() > 2 * Self::MOST_DIMENSIONS {
            return wrong(
                "only",
                format!("at most {} values are asked for at once", 2 * Self::MOST_DIMENSIONS),
            );
        }
        if let Some((_, twice)) = self.by.iter().enumerate().find(|(i, d)| self.by[..*i].contains(d)) {
            return wrong("by", format!("`{twice}` is said twice"));
        }
        if self.until <= self.since {
            return wrong("until", "`until` must be later than `since`".to_owned());
        }
        match (1..=Self::MOST_GROUPS).contains(&self.limit) {
            true => Ok(()),
            false => wrong("limit", format!("must be 1 to {}", Self::MOST_GROUPS)),
        }
    }

    /// Whether an attempt is asked for.
    pub fn covers(&self, attempt: &Attempt) -> bool {
        attempt.tenant == self.tenant
            && (self.since..self.until).contains(&attempt.began)
            && self.only.iter().all(|(by, value)| by.of(attempt).as_deref() == Some(value))
    }
}

/// What attempts come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// How many there are.
    pub attempts: u64,
    /// Of these, how many failed.
    pub failed: u64,
    /// Of these, how many have an estimated usage, since the provider gave none.
    pub estimated: u64,
    /// What they cost.
    pub cost: Money,
    /// What they used, at most [`Spent::MOST`] units of a class for each. Flagged as estimated if any is.
    pub usage: Usage,
    /// How long they took together, in microseconds; at most [`Spent::MOST`] for each.
    pub micros: u64,
    /// How many of those that did not fail have a bound on their output that the caller asked for,
    pub bounded: u64,
    /// the sum of these bounds in tokens,
    pub asked: u64,
    /// the output tokens of these attempts,
    pub given: u64,
    /// and the most output tokens of one of them.
    pub longest: u64,
    /// The most input tokens of any of them.
    pub largest: u64,
    /// When the first began.
    pub first: Option<Timestamp>,
    /// When the last began.
    pub last: Option<Timestamp>,
}

impl Spent {
    /// The most units of a class, microseconds or tokens asked for that count of one attempt: nobody uses as many, and
    /// sums of what was falsely told do not overflow.
    pub const MOST: u64 = 1 << 40;

    /// Adds an attempt.
    pub fn add(&mut self, attempt: &Attempt) {
        let mut usage = Usage::default();
        usage.estimated = attempt.usage.estimated;
        for unit in Unit::ALL {
            usage = usage.with(unit, attempt.usage.get(unit).min(Self::MOST));
        }
        let bound = attempt.asked.filter(|_| attempt.failure.is_none());
        let given = bound.map_or(0, |_| usage.output_tokens());
        *self += Spent {
            attempts: 1,
            failed: u64::from(attempt.failure.is_some()),
            estimated: u64::from(usage.estimated),
            cost: attempt.cost,
            usage,
            micros: attempt.micros.min(Self::MOST),
            bounded: u64::from(bound.is_some()),
            asked: bound.map_or(0, |bound| bound.min(Self::MOST)),
            given,
            longest: given,
            largest: usage.input_tokens(),
            first: Some(attempt.began),
            last: Some(attempt.began),
        };
    }
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Spent) {
        self.attempts += other.attempts;
        self.failed += other.failed;
        self.estimated += other.estimated;
        self.cost = self.cost.plus(other.cost);
        self.usage += other.usage;
        self.micros = self.micros.saturating_add(other.micros);
        self.bounded += other.bounded;
        self.asked = self.asked.saturating_add(other.asked);
        self.given = self.given.saturating_add(other.given);
        self.longest = self.longest.max(other.longest);
        self.largest = self.largest.max(other.largest);
        self.first = self.first.into_iter().chain(other.first).min();
        self.last = self.last.max(other.last);
    }
}

/// The attempts that have the same values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The values, in the order of [`SpendingQuery::by`]; none where attempts have none.
    pub values: Vec<Option<Arc<str>>>,
    /// What they come to.
    pub spent: Spent,
}

/// What the ledger answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// Groups, the dearest first; among equals by their values.
    pub groups: Vec<Group>,
    /// How many further groups there are.
    pub others: u64,
    /// What these come to.
    pub rest: Spent,
}

impl Spending {
    /// What all groups come to.
    pub fn total(&self) -> Spent {
        let mut total = self.rest;
        self.groups.iter().for_each(|group| total += group.spent);
        total
    }

    /// What a query comes to over these attempts, one by one: for ledgers without a database.
    ///
    /// # Errors
    /// As [`SpendingQuery::check`].
    pub fn over<'a>(query: &SpendingQuery, attempts: impl Iterator<Item = &'a Attempt>) -> Result<Spending> {
        query.check()?;
        let mut sums: HashMap<Vec<Option<Cow<'_, str>>>, Spent> = HashMap::new();
        for attempt in attempts.filter(|attempt| query.covers(attempt)) {
            let values: Vec<_> = query.by.iter().map(|by| by.of(attempt)).collect();
            if query.at_least <= 1 || values.iter().all(Option::is_some) {
                sums.entry(values).or_default().add(attempt);
            }
        }
        let many = |spent: &Spent| spent.attempts >= u64::from(query.at_least.max(1));
        let mut sums: Vec<_> = sums.into_iter().filter(|(_, spent)| many(spent)).collect();
        sums.sort_unstable_by(|(these, one), (those, other)| {
            // What has no value comes last.
            let key = |values: &[Option<Cow<'_, str>>]| -> Vec<(bool, String)> {
                values.iter().map(|v| (v.is_none(), v.as_deref().unwrap_or_default().to_owned())).collect()
            };
            Reverse(one.cost).cmp(&Reverse(other.cost)).then_with(|| key(these).cmp(&key(those)))
        });
        let mut spending = Spending::default();
        for (values, spent) in sums {
            if spending.groups.len() >= query.limit as usize {
                spending.others += 1;
                spending.rest += spent;
                continue;
            }
            let values = values.into_iter().map(|value| value.map(Arc::from)).collect();
            spending.groups.push(Group { values, spent });
        }
        Ok(spending)
    }
}
