//! Exit codes, and how an error is told.

use maof::{Error, ErrorKind};
use serde_json::json;

/// All went well.
pub(crate) const SUCCESS: u8 = 0;
/// The task failed.
pub(crate) const FAILED: u8 = 1;
/// A defect of MAOF.
pub(crate) const INTERNAL: u8 = 70;
/// Suspended by Ctrl-C.
pub(crate) const SUSPENDED: u8 = 130;

/// The exit code of an error.
pub(crate) fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::TooLarge | ErrorKind::ContextLength => 2,
        ErrorKind::NotFound => 3,
        ErrorKind::Unauthenticated | ErrorKind::PermissionDenied | ErrorKind::ContentFiltered => 4,
        ErrorKind::Conflict => 5,
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Protocol => 6,
        ErrorKind::RateLimited | ErrorKind::BudgetExceeded => 7,
        ErrorKind::Cancelled => FAILED,
        ErrorKind::Internal => INTERNAL,
    }
}

/// Tells an error on stderr, and gives its exit code.
pub(crate) fn tell(error: &Error, as_json: bool) -> u8 {
    if as_json {
        let body = json!({"error": {
            "code": error.kind().as_str(), "message": error.message(), "param": error.field(),
        }});
        eprintln!("{body}");
    } else {
        match error.field().filter(|field| !error.message().contains(*field)) {
            Some(field) => eprintln!("error: {field}: {}", error.message()),
            None => eprintln!("error: {}", error.message()),
        }
    }
    code(error.kind())
}
