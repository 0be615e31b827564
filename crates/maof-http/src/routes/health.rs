//! Whether MAOF lives, is ready, and how its endpoints do.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use maof::Maof;
use maof_core::Result;
use serde_json::{Value, json};

use crate::auth::{self, Caller};
use crate::error::ApiError;

/// `GET /health`: the state of everything; 503 when the store is away.
pub(super) async fn health(State(maof): State<Maof>, headers: HeaderMap) -> Result<Response, ApiError> {
    guard_health(&maof, &headers)?;
    let ready = maof.ready().await;
    let status = if ready.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": if ready.is_ok() { "ok" } else { "unavailable" },
        "version": env!("CARGO_PKG_VERSION"),
        "store": if ready.is_ok() { "ok" } else { "unavailable" },
        "endpoints": maof.health(),
    });
    Ok((status, Json(body)).into_response())
}

/// `GET /health/live`: the process answers.
pub(super) async fn live(State(maof): State<Maof>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    guard_health(&maof, &headers)?;
    Ok(Json(json!({"status": "ok"})))
}

/// `GET /health/ready`: work can be accepted.
pub(super) async fn ready(State(maof): State<Maof>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    guard_health(&maof, &headers)?;
    maof.ready().await?;
    Ok(Json(json!({"status": "ok"})))
}

/// `GET /health/endpoints`: asks every endpoint whether it is well. For administrators: it goes to the upstreams.
pub(super) async fn endpoints(State(maof): State<Maof>, caller: Caller) -> Result<Json<Value>, ApiError> {
    caller.must_administer()?;
    Ok(Json(json!({"endpoints": maof.probe().await})))
}

/// `GET /metrics/prometheus`.
pub(super) async fn prometheus(State(maof): State<Maof>, headers: HeaderMap) -> Result<Response, ApiError> {
    if maof.config().server.key_for_metrics {
        auth::authenticate(&headers, &maof)?;
    }
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], maof.metrics()).into_response())
}

fn guard_health(maof: &Maof, headers: &HeaderMap) -> Result<()> {
    match maof.config().server.key_for_health {
        true => auth::authenticate(headers, maof).map(drop),
        false => Ok(()),
    }
}
