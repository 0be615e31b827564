//! The agents that a caller may use.

use axum::Json;
use axum::extract::State;
use maof::Maof;
use serde_json::{Value, json};

use crate::auth::Caller;
use crate::error::ApiError;

/// `GET /agents`.
pub(super) async fn list(State(maof): State<Maof>, caller: Caller) -> Result<Json<Value>, ApiError> {
    caller.may_look()?;
    Ok(Json(json!({"agents": maof.agents(&caller.0)})))
}
