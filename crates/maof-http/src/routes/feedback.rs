//! Feedback: what an answer was worth, by the decision that chose who gave it.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use maof::Maof;
use maof_core::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::unreadable;
use crate::auth::Caller;
use crate::dto::NewFeedback;
use crate::error::ApiError;

/// `POST /feedback`: 204 once the router has learned from it; what comes again changes nothing.
pub(super) async fn give(
    State(maof): State<Maof>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, ApiError> {
    caller.may_change()?;
    let bytes = body.map_err(|r| unreadable(&r, maof.config().server.body_limit))?;
    let said: NewFeedback<'_> = serde_json::from_slice(&bytes)
        .map_err(|e| Error::invalid_request(format!("the body is no feedback: {e}")).param("body"))?;
    let decision = field(said.decision, "decision", "an id from x-maof-decision, as text")?;
    let score = field(said.score, "score", "a number from 0 to 1")?;
    maof.feedback(&caller.0, decision, score)?;
    Ok(StatusCode::NO_CONTENT)
}

fn field<T: DeserializeOwned>(said: Option<&RawValue>, param: &'static str, what: &str) -> Result<T> {
    said.and_then(|said| serde_json::from_str(said.get()).ok())
        .ok_or_else(|| Error::invalid_request(format!("`{param}` must be {what}")).param(param))
}
