//! Attempts as they are read.

use std::sync::Arc;

use maof_core::{
    Attempt, AttemptId, CallId, Error, Failure, Money, Name, Purpose, Result, RunId, Timestamp, Usage,
};
use uuid::Uuid;

/// The columns of an [`AttemptRow`].
macro_rules! of {
    ($which:literal) => {
        concat!(
            "SELECT tenant, id, call, \"user\", run, step, agent, endpoint, model, began, micros, \
             usage::TEXT AS usage, cost, failure::TEXT AS failure, purpose, key, team, tier, type, \
             tags::TEXT AS tags, asked, price, question, opening FROM attempt WHERE tenant = $1",
            $which,
            " ORDER BY id DESC LIMIT $2"
        )
    };
}

/// A tenant's attempts, newest first: their ids begin with the time at which they ended.
pub(super) const OF_TENANT: &str = of!("");
/// Those of one run.
pub(super) const OF_RUN: &str = of!(" AND run = $3");

/// A row, as it is read.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct AttemptRow {
    tenant: String,
    id: Uuid,
    call: Uuid,
    user: String,
    run: Option<Uuid>,
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
        let usage: Usage = serde_json::from_str(&self.usage).map_err(damaged)?;
        let failure: Option<Failure> =
            self.failure.as_deref().map(serde_json::from_str).transpose().map_err(damaged)?;
        let tags = self.tags.as_deref().map(serde_json::from_str).transpose().map_err(damaged)?.map(Arc::new);
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        let purpose = match self.purpose {
            Some(word) => Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == word),
            None => Some(Purpose::Answer),
        };
        Ok(Attempt {
            id: AttemptId::from_uuid(self.id),
            call: CallId::from_uuid(self.call),
            tenant: name(&self.tenant)?,
            user: name(&self.user)?,
            key: self.key.as_deref().map(name).transpose()?,
            team: self.team.as_deref().map(name).transpose()?,
            tier: name(&self.tier)?,
            task_type: self.r#type.as_deref().map(name).transpose()?,
            tags,
            run: self.run.map(RunId::from_uuid),
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

fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal("a row of the ledger's database is damaged").because(error)
}
