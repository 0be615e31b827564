//! The cache, for admins.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use maof::Maof;
use maof_core::Error;
use serde_json::{Value, json};

use crate::auth::Caller;
use crate::dto::Cleared;
use crate::error::ApiError;

/// `DELETE /cache`: forgets the answers that are kept for the caller's tenant; with `?agent=NAME` those of that agent
/// or endpoint.
pub(super) async fn clear(
    State(maof): State<Maof>,
    caller: Caller,
    query: Result<Query<Cleared>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(cleared) = query.map_err(|e| Error::invalid_request(e.body_text()).param("query"))?;
    let forgotten = maof.forget_answers(&caller.0, cleared.agent.as_ref()).await?;
    Ok(Json(json!({"forgotten": forgotten})))
}
