//! A batch as the SQL function takes it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use maof_core::{Account, Attempt, Balance, Balances, Charge, Measure, Name, Timestamp, Usage};
use serde::Serialize;
use smallvec::SmallVec;
use uuid::Uuid;

use super::queue::{Entry, Hold, Keys};

/// What one transaction applies.
#[derive(Serialize)]
pub(super) struct Batch<'a> {
    attempts: Vec<Used<'a>>,
    closes: Vec<&'a str>,
    charges: Vec<Wanted<'a>>,
}

/// A row of the table `attempt`, and what of it counts.
#[derive(Serialize)]
struct Used<'a> {
    keys: SmallVec<[Key<'a>; 1]>,
    place: usize,
    /// By measure.
    used: BTreeMap<&'static str, i64>,
    tenant: &'a str,
    id: Uuid,
    call: Uuid,
    user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a str>,
    agent: &'a str,
    endpoint: &'a str,
    model: &'a str,
    began: i64,
    micros: i64,
    usage: &'a Usage,
    cost: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a maof_core::Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'a str>,
    /// The name of the caller's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    shown: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<&'a str>,
    tier: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a BTreeMap<Name, Name>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opening: Option<i64>,
}

/// A hold that an attempt is charged to.
#[derive(Serialize)]
struct Key<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved: Option<i64>,
}

/// A charge of a hold.
#[derive(Serialize)]
struct Wanted<'a> {
    /// The hold, by its place in the batch.
    hold: usize,
    charge: usize,
    key: &'a str,
    tenant: &'a str,
    name: &'a str,
    measure: &'a str,
    period: Cow<'static, str>,
    start: i64,
    /// How far apart the parts of its window begin at most that count together, in microseconds.
    #[serde(skip_serializing_if = "is_zero")]
    reach: i64,
    amount: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lim: Option<i64>,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl<'a> Batch<'a> {
    pub(super) fn of(entries: &'a [Entry]) -> Batch<'a> {
        let mut batch = Batch { attempts: Vec::new(), closes: Vec::new(), charges: Vec::new() };
        for (place, entry) in entries.iter().enumerate() {
            match entry {
                Entry::Attempt(keys, attempt) => batch.attempts.push(used(keys, place, attempt)),
                Entry::Close(key) => batch.closes.push(key),
                Entry::Hold(hold) => batch.charges.extend(wanted(place, hold)),
                Entry::Written(_) => {}
            }
        }
        batch
    }

    pub(super) fn is_empty(&self) -> bool {
        self.attempts.is_empty() && self.closes.is_empty() && self.charges.is_empty()
    }

    /// As JSON. The database's text has no NUL: one in what an upstream said is replaced.
    pub(super) fn json(&self) -> maof_core::Result<String> {
        let json = serde_json::to_string(self)
            .map_err(|e| maof_core::Error::internal("a batch could not be written as JSON").because(e))?;
        Ok(match json.contains("\\u0000") {
            true => json.replace("\\u0000", "\\ufffd"),
            false => json,
        })
    }
}

fn used<'a>(keys: &'a Keys, place: usize, row: &'a Attempt) -> Used<'a> {
    Used {
        keys: keys.iter().map(|(key, moved)| Key { key, moved: *moved }).collect(),
        place,
        used: Measure::ALL
            .into_iter()
            .map(|measure| (measure.as_str(), row.used(measure)))
            .filter(|(_, amount)| *amount > 0)
            .collect(),
        tenant: row.tenant.as_str(),
        id: row.id.uuid(),
        call: row.call.uuid(),
        user: row.user.as_str(),
        run: row.run.map(maof_core::RunId::uuid),
        step: row.step.as_deref(),
        agent: row.agent.as_str(),
        endpoint: row.endpoint.as_str(),
        model: &row.model,
        began: row.began.micros(),
        micros: number(row.micros),
        usage: &row.usage,
        cost: row.cost.nanos(),
        failure: row.failure.as_ref(),
        purpose: (!row.purpose.is_answer()).then_some(row.purpose.as_str()),
        shown: row.key.as_ref().map(Name::as_str),
        team: row.team.as_ref().map(Name::as_str),
        tier: row.tier.as_str(),
        r#type: row.task_type.as_ref().map(Name::as_str),
        tags: row.tags.as_deref(),
        asked: row.asked.map(number),
        price: row.price.as_deref(),
        question: row.question.map(number),
        opening: row.opening.map(number),
    }
}

/// What the database's numbers hold of one.
fn number(of: u64) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

fn wanted(place: usize, hold: &Hold) -> impl Iterator<Item = Wanted<'_>> {
    hold.charges.iter().enumerate().map(move |(number, charge)| Wanted {
        hold: place,
        charge: number,
        key: &hold.key,
        tenant: charge.account.tenant.as_str(),
        name: charge.account.name.as_str(),
        measure: charge.account.measure.as_str(),
        period: charge.account.window.name(),
        start: charge.account.window.start(hold.now).micros(),
        reach: i64::try_from(charge.account.window.reach().as_micros()).unwrap_or_default(),
        amount: charge.amount.max(0),
        lim: charge.limit,
    })
}

/// Each account once: one that comes twice, with two limits, holds the larger amount within both.
pub(super) fn once(charges: &[Charge]) -> Vec<Charge> {
    let mut once: Vec<Charge> = Vec::with_capacity(charges.len());
    for charge in charges {
        match once.iter_mut().find(|other| other.account == charge.account) {
            Some(other) => {
                other.amount = other.amount.max(charge.amount);
                other.limit = other.limit.into_iter().chain(charge.limit).min();
            }
            None => once.push(charge.clone()),
        }
    }
    once
}

/// The standing of each charge, from that of [`once`]: one more for an account that comes twice.
pub(super) fn each(charges: &[Charge], standing: Balances) -> Balances {
    if standing.len() == charges.len() {
        return standing;
    }
    let mut accounts: Vec<&Account> = Vec::with_capacity(standing.len());
    let places = charges.iter().map(|charge| {
        let known = accounts.iter().position(|account| **account == charge.account);
        known.unwrap_or_else(|| {
            accounts.push(&charge.account);
            accounts.len() - 1
        })
    });
    places.filter_map(|place| standing.get(place).copied()).collect()
}

/// What the database says of a charge.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Told {
    hold: i32,
    charge: i32,
    spent: i64,
    held: i64,
    /// What did not fit, if it refuses its hold.
    needed: Option<i64>,
    start: i64,
}

/// What became of the holds of a batch, by their places in it.
pub(super) fn outcomes(entries: &[Entry], told: &[Told]) -> HashMap<usize, maof_core::Result<Balances>> {
    let mut outcomes: HashMap<usize, maof_core::Result<Balances>> = HashMap::new();
    for told in told {
        let Ok(place) = usize::try_from(told.hold) else { continue };
        let outcome = outcomes.entry(place).or_insert_with(|| Ok(Balances::new()));
        match told.refusal(entries.get(place)) {
            Some(refusal) => *outcome = Err(refusal),
            None => {
                if let Ok(standing) = outcome {
                    standing.push(Balance { spent: told.spent, held: told.held });
                }
            }
        }
    }
    outcomes
}

impl Told {
    fn refusal(&self, entry: Option<&Entry>) -> Option<maof_core::Error> {
        let (Some(needed), Some(Entry::Hold(hold))) = (self.needed, entry) else { return None };
        let charge = hold.charges.get(usize::try_from(self.charge).ok()?)?;
        let start = Timestamp::from_micros(self.start);
        let (limit, taken) = (charge.limit.unwrap_or(i64::MAX), self.spent.saturating_add(self.held));
        Some(crate::accounts::refusal(charge, limit, taken, needed, start))
    }
}
