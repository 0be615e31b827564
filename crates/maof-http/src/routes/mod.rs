//! The routes; one file a subject.

mod about;
mod admin;
mod agents;
mod cache;
mod costs;
mod feedback;
mod gateway;
mod headers;
mod health;
mod tasks;

pub(crate) use gateway::chat;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use maof::Maof;
use maof_core::Error;

use crate::error::{ApiError, dialect_error};

/// Every route, with its limits.
pub fn router(maof: Maof) -> Router {
    let limit = maof.config().server.body_limit as usize;
    let gateway = Router::new()
        .route("/v1/chat/completions", post(gateway::chat))
        .route("/v1/responses", post(gateway::responses))
        .route("/v1/embeddings", post(gateway::embeddings))
        .route("/v1/images/generations", post(gateway::images))
        .route("/v1/audio/transcriptions", post(gateway::transcriptions))
        .route("/v1/audio/speech", post(gateway::speech))
        .route("/v1/messages", post(gateway::messages))
        .route("/v1/messages/count_tokens", post(gateway::count_tokens))
        .route("/v1beta/models/{*call}", post(gateway::gemini))
        .route("/v1/models", get(gateway::models))
        // Google's SDKs ask at either version; OpenAI's ask for one model here.
        .route("/v1/models/{*call}", get(gateway::model).post(gateway::gemini))
        .route("/v1/{*rest}", get(gateway::unknown).post(gateway::unknown))
        .method_not_allowed_fallback(gateway::wrong_method);
    let api = Router::new()
        .route("/tasks", get(tasks::list).post(tasks::submit))
        .route("/tasks/{id}", get(tasks::show).delete(tasks::cancel))
        .route("/tasks/{id}/events", get(tasks::events))
        .route("/admin/reload", post(admin::reload))
        .route("/agents", get(agents::list))
        .route("/budget", get(costs::budgets))
        .route("/budget/update", post(costs::update))
        .route("/cost/breakdown", get(costs::breakdown))
        .route("/cost/suggestions", get(costs::suggestions))
        .route("/cost/forecast", get(costs::forecast))
        .route("/cache", delete(cache::clear))
        .route("/feedback", post(feedback::give))
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/endpoints", get(health::endpoints))
        .route("/health/ready", get(health::ready))
        .route("/metrics/prometheus", get(health::prometheus));
    gateway
        .merge(api)
        .fallback(|| async { ApiError(Error::not_found("there is no such path")) })
        .layer(DefaultBodyLimit::max(limit))
        .with_state(maof)
}

/// The error of a body that could not be read, in the dialect of the door.
fn unreadable(rejection: &axum::extract::rejection::BytesRejection, limit: u64) -> Error {
    match rejection.status() {
        axum::http::StatusCode::PAYLOAD_TOO_LARGE => Error::too_large(format!(
            "the body has more than {limit} bytes; send less, or raise server.body_limit"
        )),
        _ => Error::invalid_request("the body could not be read"),
    }
}

/// The OpenAI door's error.
fn openai_error(error: &Error) -> axum::response::Response {
    dialect_error(error, maof::dialects::openai())
}
