//! Where the money went, where it will go, how to spend less, and what budgets have left.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use maof::Maof;
use maof::costs::{Breakdown, NewLimit};
use maof_core::{Dimension, Error, Measure, Result, SpendingQuery, Timestamp, Window};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::unreadable;
use crate::auth::Caller;
use crate::error::ApiError;

/// How far back suggestions look where nothing is said.
const LOOKED_BACK: Duration = Duration::from_secs(30 * 86_400);

/// A query's keys and values, as they come.
type Said = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// `GET /cost/breakdown?by=agent,day`: what was spent, by dimensions, as JSON or CSV. Any dimension's name with a value keeps
/// to attempts of that value.
pub(super) async fn breakdown(
    State(maof): State<Maof>,
    caller: Caller,
    headers: HeaderMap,
    said: Said,
) -> Result<Response, ApiError> {
    caller.may_look()?;
    let costs = maof.costs();
    let now = costs.now();
    let mut query = costs.query(&caller.0, Window::Month.start(now), soon(now));
    let mut csv = wants_csv(&headers);
    for (key, value) in pairs(said)? {
        match key.as_str() {
            "by" => query.by = dimensions(&value)?,
            "since" => query.since = time(&key, &value)?,
            "until" => query.until = time(&key, &value)?,
            "limit" => query.limit = number(&key, &value)?,
            "format" => csv = is_csv(&value)?,
            _ => query.only.push((filter(&key)?, value.into())),
        }
    }
    let spending = costs.spending(&query).await?;
    let breakdown = Breakdown { query: &query, spending: &spending };
    Ok(match csv {
        true => {
            let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
            ([(CONTENT_TYPE, kind)], breakdown.csv()).into_response()
        }
        false => Json(breakdown).into_response(),
    })
}

/// `GET /cost/suggestions`: what would have cost less, with the saving and the evidence.
pub(super) async fn suggestions(
    State(maof): State<Maof>,
    caller: Caller,
    said: Said,
) -> Result<Json<Value>, ApiError> {
    caller.may_look()?;
    let costs = maof.costs();
    let mut until = soon(costs.now());
    let mut since = None;
    for (key, value) in pairs(said)? {
        match key.as_str() {
            "since" => since = Some(time(&key, &value)?),
            "until" => until = time(&key, &value)?,
            _ => return Err(unknown(&key, "since, until").into()),
        }
    }
    let back = i64::try_from(LOOKED_BACK.as_micros()).unwrap_or(i64::MAX);
    let since = since.unwrap_or_else(|| Timestamp::from_micros(until.micros().saturating_sub(back)));
    let found = costs.suggestions(&caller.0, since, until).await?;
    Ok(Json(json!({"since": since.to_string(), "until": until.to_string(), "suggestions": found})))
}

/// `GET /cost/forecast`: what the month will come to, in all and for each budget.
pub(super) async fn forecast(State(maof): State<Maof>, caller: Caller) -> Result<Json<Value>, ApiError> {
    caller.may_look()?;
    Ok(Json(json!({"forecasts": maof.costs().forecast(&caller.0).await?})))
}

/// `GET /budget`: what budgets have left.
pub(super) async fn budgets(State(maof): State<Maof>, caller: Caller) -> Result<Json<Value>, ApiError> {
    caller.may_look()?;
    Ok(Json(json!({"budgets": maof.costs().budgets(&caller.0).await?})))
}

/// `POST /budget/update`: an administrator sets the limit of an account that a budget is configured for.
pub(super) async fn update(
    State(maof): State<Maof>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    caller.must_administer()?;
    let bytes = body.map_err(|r| unreadable(&r, maof.config().server.body_limit))?;
    let fields: Map<String, Value> = serde_json::from_slice(&bytes)
        .map_err(|e| Error::invalid_request(format!("the body is no JSON object: {e}")).param("body"))?;
    let field = |name: &str| -> Option<&Value> { fields.get(name).filter(|value| !value.is_null()) };
    let known = ["account", "window"].into_iter().chain(Measure::ALL.map(NewLimit::field));
    if let Some(other) = fields.keys().find(|key| !known.clone().any(|known| known == key.as_str())) {
        return Err(unknown(other, &known.collect::<Vec<_>>().join(", ")).into());
    }
    let limit = |measure| {
        let name = NewLimit::field(measure);
        field(name).map(|v| read(v, name)).transpose()
    };
    let account =
        field("account").map_or_else(|| Err(wrong("account", "is missing")), |v| read(v, "account"))?;
    let new = NewLimit {
        account,
        window: field("window").map(|v| read(v, "window")).transpose()?.unwrap_or_default(),
        limit_usd: field("limit_usd").map(|v| read(v, "limit_usd")).transpose()?,
        limit_tokens: limit(Measure::Tokens)?,
        limit_input_tokens: limit(Measure::InputTokens)?,
        limit_output_tokens: limit(Measure::OutputTokens)?,
        limit_requests: limit(Measure::Requests)?,
        limit_tool_calls: limit(Measure::ToolCalls)?,
        limit_concurrency: limit(Measure::Concurrency)?,
    };
    Ok(Json(json!(maof.change_budget(&caller.0, &new).await?)))
}

fn read<T: DeserializeOwned>(value: &Value, field: &'static str) -> Result<T> {
    T::deserialize(value).map_err(|e| wrong(field, &e.to_string()))
}

fn wrong(field: &'static str, why: &str) -> Error {
    Error::invalid_request(format!("`{field}`: {why}")).param(field)
}

/// The first moment that is not over: what has just ended is in.
fn soon(now: Timestamp) -> Timestamp {
    now.plus(Duration::from_micros(1))
}

fn pairs(said: Said) -> Result<Vec<(String, String)>> {
    let Query(pairs) = said.map_err(|e| Error::invalid_request(e.body_text()).param("query"))?;
    for (i, (key, _)) in pairs.iter().enumerate() {
        if pairs.iter().take(i).any(|(other, _)| other == key) {
            let why = format!("`{key}` is said twice");
            return Err(Error::invalid_request(why).param(key.clone()));
        }
    }
    Ok(pairs)
}

fn dimensions(said: &str) -> Result<Vec<Dimension>> {
    said.split(',').filter(|by| !by.is_empty()).map(str::parse).collect()
}

fn filter(key: &str) -> Result<Dimension> {
    let known = "by, since, until, limit, format, or a dimension such as agent, user or tag:NAME";
    key.parse().map_err(|_| unknown(key, known))
}

fn unknown(key: &str, known: &str) -> Error {
    Error::invalid_request(format!("`{key}` is not known here; there are {known}")).param(key.to_owned())
}

fn time(key: &str, said: &str) -> Result<Timestamp> {
    said.parse().map_err(|e: Error| e.param(key.to_owned()))
}

fn number(key: &str, said: &str) -> Result<u32> {
    said.parse().map_err(|_| {
        let why = format!("must be 1 to {}", SpendingQuery::MOST_GROUPS);
        Error::invalid_request(why).param(key.to_owned())
    })
}

fn is_csv(said: &str) -> Result<bool> {
    match said {
        "csv" => Ok(true),
        "json" => Ok(false),
        _ => Err(Error::invalid_request("must be json or csv").param("format")),
    }
}

fn wants_csv(headers: &HeaderMap) -> bool {
    let said = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    said.split(',').any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/csv"))
}
