//! Attempts as rows: a column for whatever reports ask by.

use std::sync::Arc;

use maof_core::{Attempt, AttemptId, CallId, Failure, Money, Name, Purpose, Result, Timestamp, Usage};
use rusqlite::{Statement, params};
use uuid::Uuid;

use super::rows::{damaged, json, key, run_id, text};

/// Takes a row; one that is there already is left as it is.
pub(super) const INSERT: &str = "INSERT OR IGNORE INTO attempt (tenant, id, call, user, run, step, agent, \
     endpoint, model, began, micros, usage, cost, failure, purpose, key, team, tier, type, tags, asked, price, \
     question, opening) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";

/// The columns of an [`AttemptRow`].
macro_rules! columns {
    () => {
        "tenant, id, call, user, run, step, agent, endpoint, model, began, micros, usage, cost, failure, purpose, \
         key, team, tier, type, tags, asked, price, question, opening"
    };
}

/// A tenant's attempts, newest first: their ids begin with the time at which they ended.
pub(super) const OF_TENANT: &str =
    concat!("SELECT ", columns!(), " FROM attempt WHERE tenant = ?1 ORDER BY id DESC LIMIT ?3");
/// Those of one run; the plus keeps the statement from the tenant's rows, which are more.
pub(super) const OF_RUN: &str =
    concat!("SELECT ", columns!(), " FROM attempt WHERE +tenant = ?1 AND run = ?2 ORDER BY id DESC LIMIT ?3");

/// Writes one by the statement [`INSERT`].
pub(super) fn insert(statement: &mut Statement<'_>, row: &Attempt) -> rusqlite::Result<()> {
    let id = |id: Uuid| id.into_bytes();
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let failure = row.failure.as_ref().and_then(|failure| text(failure).ok());
    let written = params![
        row.tenant.as_str(),
        id(row.id.uuid()),
        id(row.call.uuid()),
        row.user.as_str(),
        row.run.map(key),
        row.step.as_deref(),
        row.agent.as_str(),
        row.endpoint.as_str(),
        &*row.model,
        row.began.micros(),
        number(row.micros),
        text(&row.usage).unwrap_or_default(),
        row.cost.nanos(),
        failure,
        (!row.purpose.is_answer()).then_some(row.purpose.as_str()),
        row.key.as_ref().map(Name::as_str),
        row.team.as_ref().map(Name::as_str),
        row.tier.as_str(),
        row.task_type.as_ref().map(Name::as_str),
        row.tags.as_ref().and_then(|tags| text(tags).ok()),
        row.asked.map(number),
        row.price.as_deref(),
        row.question.map(number),
        row.opening.map(number),
    ];
    statement.execute(written).map(drop)
}

/// A row, as it is read.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct AttemptRow {
    tenant: String,
    id: Vec<u8>,
    call: Vec<u8>,
    user: String,
    run: Option<Vec<u8>>,
    step: Option<String>,
    agent: String,
    endpoint: String,
    model: String,
    began: i64,
    micros: i64,
    usage: String,
    cost: i64,
    failure: Option<String>,
    purpose: Option<String>,
    key: Option<String>,
    team: Option<String>,
    tier: String,
    r#type: Option<String>,
    tags: Option<String>,
    asked: Option<i64>,
    price: Option<String>,
    question: Option<i64>,
    opening: Option<i64>,
}

impl AttemptRow {
    pub(super) fn into_attempt(self) -> Result<Attempt> {
        let name = |text: &str| Name::new(text).map_err(damaged);
        let id = |bytes: &[u8]| Uuid::from_slice(bytes).map_err(damaged);
        let usage: Usage = json(&self.usage)?;
        let failure: Option<Failure> = self.failure.as_deref().map(json).transpose()?;
        let tags = self.tags.as_deref().map(json).transpose()?.map(Arc::new);
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        let purpose = match self.purpose {
            Some(word) => Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == word),
            None => Some(Purpose::Answer),
        };
        Ok(Attempt {
            id: AttemptId::from_uuid(id(&self.id)?),
            call: CallId::from_uuid(id(&self.call)?),
            tenant: name(&self.tenant)?,
            user: name(&self.user)?,
            key: self.key.as_deref().map(name).transpose()?,
            team: self.team.as_deref().map(name).transpose()?,
            tier: name(&self.tier)?,
            task_type: self.r#type.as_deref().map(name).transpose()?,
            tags,
            run: self.run.as_deref().map(run_id).transpose()?,
            step: self.step.map(Arc::from),
            agent: name(&self.agent)?,
            endpoint: name(&self.endpoint)?,
            model: self.model.into(),
            began: Timestamp::from_micros(self.began),
            micros: number(self.micros),
            usage,
            cost: Money::from_nanos(self.cost),
            failure,
            purpose: purpose.ok_or_else(|| damaged("no purpose of an attempt has this name"))?,
            asked: self.asked.map(number),
            price: self.price.map(Arc::from),
            question: self.question.map(number),
            opening: self.opening.map(number),
        })
    }
}
