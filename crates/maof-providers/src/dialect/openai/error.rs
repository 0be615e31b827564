//! Errors towards callers, in the dialect's words.

use bytes::Bytes;
use maof_core::{Error, ErrorKind};
use serde_json::{Value, json};

/// An error for a caller, as a whole body.
pub(crate) fn encode(error: &Error) -> Bytes {
    json!({"error": body(error)}).to_string().into()
}

fn body(error: &Error) -> Value {
    let (kind, code) = words(error);
    // A provider's code is meant for the caller only where the fault is in the caller's own request.
    let own =
        matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::NotFound | ErrorKind::ContextLength);
    let code = error.provider_code().filter(|_| own).or(code);
    json!({"message": error.message(), "type": kind, "param": error.field(), "code": code})
}

/// The type and the code that the dialect has for an error.
fn words(error: &Error) -> (&'static str, Option<&'static str>) {
    const REQUEST: &str = "invalid_request_error";
    match error.kind() {
        ErrorKind::InvalidRequest => (REQUEST, None),
        ErrorKind::TooLarge => (REQUEST, Some("request_too_large")),
        ErrorKind::Unauthenticated => (REQUEST, Some("invalid_api_key")),
        ErrorKind::PermissionDenied => ("permission_error", Some("permission_denied")),
        ErrorKind::NotFound if error.field() == Some("model") => (REQUEST, Some("model_not_found")),
        ErrorKind::NotFound => (REQUEST, Some("not_found")),
        ErrorKind::Conflict => (REQUEST, Some("conflict")),
        ErrorKind::RateLimited => ("rate_limit_error", Some("rate_limit_exceeded")),
        ErrorKind::BudgetExceeded => ("insufficient_quota", Some("insufficient_quota")),
        ErrorKind::ContextLength => (REQUEST, Some("context_length_exceeded")),
        ErrorKind::ContentFiltered => (REQUEST, Some("content_filter")),
        kind @ (ErrorKind::Unavailable
        | ErrorKind::Timeout
        | ErrorKind::Cancelled
        | ErrorKind::Protocol
        | ErrorKind::Internal) => ("server_error", Some(kind.as_str())),
    }
}
