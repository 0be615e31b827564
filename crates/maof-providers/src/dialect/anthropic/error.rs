//! Errors towards callers, in the dialect's words.

use bytes::Bytes;
use maof_core::{Error, ErrorKind};
use serde_json::{Value, json};

/// An error for a caller, as a whole body and as a frame's payload.
pub(super) fn encode(error: &Error) -> Bytes {
    body(error).to_string().into()
}

fn body(error: &Error) -> Value {
    // The dialect has no place for a field's name, so the message must name it.
    let message = match error.field() {
        Some(field) if !error.message().contains(field) => format!("{field}: {}", error.message()),
        _ => error.message().to_owned(),
    };
    let mut body = json!({"type": "error", "error": {"type": word(error.kind()), "message": message}});
    if error.field() == Some("thread") {
        // By this the official SDKs know to send the whole conversation instead of a reference to it.
        body["error"]["details"] =
            json!({"error_code": "thread_unsupported_request", "unsupported": ["thread"]});
    }
    body
}

const fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::Conflict
        | ErrorKind::ContextLength
        | ErrorKind::ContentFiltered => "invalid_request_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::Unauthenticated => "authentication_error",
        ErrorKind::PermissionDenied => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::RateLimited | ErrorKind::BudgetExceeded => "rate_limit_error",
        ErrorKind::Unavailable => "overloaded_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Cancelled | ErrorKind::Protocol | ErrorKind::Internal => "api_error",
    }
}
