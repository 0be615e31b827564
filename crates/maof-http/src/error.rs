//! Errors as HTTP says them. Statuses live here and nowhere else.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use maof_core::{Classify, Dialect, Error, ErrorKind, Retry};
use serde::Serialize;

/// The longest wait that is told, in seconds: official SDKs stop retrying above 120.
const MAX_RETRY_AFTER: u64 = 120;

/// The status of an error.
pub(crate) fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::ContextLength | ErrorKind::ContentFiltered => {
            StatusCode::BAD_REQUEST
        }
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::RateLimited | ErrorKind::BudgetExceeded => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        // The code nginx made known for a client that closed its request.
        ErrorKind::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        ErrorKind::Protocol => StatusCode::BAD_GATEWAY,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error of our own API.
#[derive(Debug)]
pub(crate) struct ApiError(pub(crate) Error);

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        ApiError(error)
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = &self.0;
        log(error);
        let envelope = Envelope {
            error: Body { code: error.kind().as_str(), message: error.message(), param: error.field() },
        };
        let mut response = (status_of(error.kind()), Json(envelope)).into_response();
        advise(&mut response, error);
        response
    }
}

/// An error in the envelope of a dialect.
pub(crate) fn dialect_error(error: &Error, dialect: &dyn Dialect) -> Response {
    log(error);
    let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut response = (status_of(error.kind()), [json], dialect.encode_error(error)).into_response();
    advise(&mut response, error);
    response
}

/// What the caller's client is to do next.
fn advise(response: &mut Response, error: &Error) {
    if error.kind() == ErrorKind::TooLarge {
        // The rest of the body is not read, so that nothing can follow it.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let seconds = match Classify::retry(error) {
        Retry::After(wait) => wait.as_millis().div_ceil(1000).min(u128::from(MAX_RETRY_AFTER)) as u64,
        _ if error.kind() == ErrorKind::Unavailable => 1,
        _ => return,
    };
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
}

/// What stays inside is logged: causes of what is not the caller's own affair.
fn log(error: &Error) {
    if error.severity() >= maof_core::Severity::High {
        tracing::warn!(error = ?error, "a request failed");
    }
}
