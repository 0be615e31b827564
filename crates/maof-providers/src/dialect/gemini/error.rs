//! Errors towards callers, in the dialect's words (<https://cloud.google.com/apis/design/errors>).

use bytes::Bytes;
use maof_core::{Error, ErrorKind};
use serde_json::json;

/// An error for a caller, as a whole body and as a frame's payload.
pub(super) fn encode(error: &Error) -> Bytes {
    let (code, status) = words(error.kind());
    let message = match error.field() {
        Some(field) if !error.message().contains(field) => format!("{field}: {}", error.message()),
        _ => error.message().to_owned(),
    };
    json!({"error": {"code": code, "message": message, "status": status}}).to_string().into()
}

const fn words(kind: ErrorKind) -> (u16, &'static str) {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::ContextLength | ErrorKind::ContentFiltered => {
            (400, "INVALID_ARGUMENT")
        }
        ErrorKind::TooLarge => (413, "INVALID_ARGUMENT"),
        ErrorKind::Unauthenticated => (401, "UNAUTHENTICATED"),
        ErrorKind::PermissionDenied => (403, "PERMISSION_DENIED"),
        ErrorKind::NotFound => (404, "NOT_FOUND"),
        ErrorKind::Conflict => (409, "ABORTED"),
        ErrorKind::RateLimited | ErrorKind::BudgetExceeded => (429, "RESOURCE_EXHAUSTED"),
        ErrorKind::Cancelled => (499, "CANCELLED"),
        ErrorKind::Unavailable => (503, "UNAVAILABLE"),
        ErrorKind::Timeout => (504, "DEADLINE_EXCEEDED"),
        ErrorKind::Protocol => (502, "UNKNOWN"),
        ErrorKind::Internal => (500, "INTERNAL"),
    }
}
