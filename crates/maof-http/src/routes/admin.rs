//! What administrators do to the running process.

use axum::Json;
use axum::extract::State;
use maof::{Maof, Reloaded};

use crate::auth::Caller;
use crate::error::ApiError;

/// `POST /admin/reload`: reads the configuration file again and goes on with it; what that changed, and what takes a restart.
pub(super) async fn reload(State(maof): State<Maof>, caller: Caller) -> Result<Json<Reloaded>, ApiError> {
    caller.must_administer()?;
    Ok(Json(maof.reload(&caller.0).await?))
}
