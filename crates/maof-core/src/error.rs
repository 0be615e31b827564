//! The one error of MAOF: what went wrong, who caused it, and what the caller of the call may do about it.
//!
//! Three orthogonal facts ([`ErrorKind`], [`Origin`], [`Retry`]) are decided where the error is born and
//! never guessed later. The message is safe to show to a caller: keys, hosts and upstream bodies go into
//! the source, which is only logged.
//!
//! ```
//! use maof_core::{Error, ErrorKind, Origin, Retry};
//! let error = Error::invalid_request("temperature must be between 0 and 2").param("temperature");
//! assert_eq!(error.kind(), ErrorKind::InvalidRequest);
//! assert_eq!(error.origin(), Origin::Caller);
//! assert_eq!(error.retry(), Retry::Never);
//! assert_eq!(error.kind().as_str(), "invalid_request");
//! ```

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod seed;
pub use seed::{Category, Recovery, Severity};

/// The result of everything fallible in MAOF.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. [`ErrorKind::as_str`] is the metric label, the OpenTelemetry `error.type`, the `code`
/// of our own API and the name of the page under `docs/errors/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request is malformed; the message names the field.
    InvalidRequest,
    /// The request or an upstream's answer is larger than a limit.
    TooLarge,
    /// No key, or one that is not known.
    Unauthenticated,
    /// Known, but not allowed.
    PermissionDenied,
    /// No such thing in the caller's tenant.
    NotFound,
    /// The request contradicts the present state (a reused idempotency key, a lost fence).
    Conflict,
    /// Too many requests for a limit in time.
    RateLimited,
    /// An account has too little left.
    BudgetExceeded,
    /// The input does not fit the model's context.
    ContextLength,
    /// A content filter refused.
    ContentFiltered,
    /// The thing that should answer cannot at present.
    Unavailable,
    /// A time limit passed.
    Timeout,
    /// The caller gave up.
    Cancelled,
    /// The other side broke its wire format.
    Protocol,
    /// A defect of ours.
    Internal,
}

impl ErrorKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [ErrorKind; 15] = [
        Self::InvalidRequest,
        Self::TooLarge,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::NotFound,
        Self::Conflict,
        Self::RateLimited,
        Self::BudgetExceeded,
        Self::ContextLength,
        Self::ContentFiltered,
        Self::Unavailable,
        Self::Timeout,
        Self::Cancelled,
        Self::Protocol,
        Self::Internal,
    ];

    /// The kind's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::TooLarge => "too_large",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::RateLimited => "rate_limited",
            Self::BudgetExceeded => "budget_exceeded",
            Self::ContextLength => "context_length",
            Self::ContentFiltered => "content_filtered",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Protocol => "protocol",
            Self::Internal => "internal",
        }
    }

    /// What a new error of this kind says of who caused it and of retrying, unless told otherwise.
    const fn defaults(self) -> (Origin, Retry) {
        match self {
            Self::InvalidRequest
            | Self::TooLarge
            | Self::Unauthenticated
            | Self::PermissionDenied
            | Self::NotFound
            | Self::Conflict
            | Self::Cancelled => (Origin::Caller, Retry::Never),
            Self::RateLimited | Self::BudgetExceeded => (Origin::Maof, Retry::Elsewhere),
            Self::ContextLength => (Origin::Provider, Retry::Elsewhere),
            Self::ContentFiltered => (Origin::Provider, Retry::Never),
            Self::Unavailable | Self::Timeout | Self::Protocol => (Origin::Provider, Retry::Here),
            Self::Internal => (Origin::Maof, Retry::Never),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who caused an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Whoever made the request.
    Caller,
    /// The upstream that was asked.
    Provider,
    /// A tool that an agent used.
    Tool,
    /// The database.
    Store,
    /// MAOF itself: a policy, a limit or a defect.
    Maof,
}

impl Origin {
    /// Every origin.
    pub const ALL: [Origin; 5] = [Self::Caller, Self::Provider, Self::Tool, Self::Store, Self::Maof];

    /// The origin's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Provider => "provider",
            Self::Tool => "tool",
            Self::Store => "store",
            Self::Maof => "maof",
        }
    }
}

/// What may be done after an error. Only the router and the retry layer read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Nothing: the same request fails again anywhere.
    Never,
    /// The same endpoint may succeed.
    Here,
    /// The same endpoint may succeed, but not before this time has passed.
    After(Duration),
    /// Not this endpoint; another one may succeed.
    Elsewhere,
}

/// All that the resilience layers know of an error.
pub trait Classify {
    /// What may be done after it.
    fn retry(&self) -> Retry;
    /// Whether it says something about the health of what was called. Refusals of our own and faults of
    /// the caller do not, and a circuit breaker ignores them.
    fn is_fault(&self) -> bool;
    /// An error that says a time limit of `limit` passed.
    fn timeout(limit: Duration) -> Self;
    /// An error that says `limit` passed, which was all the time that the request's own deadline left: no
    /// other attempt can be in time. The fault of what was called, all the same.
    fn out_of_time(limit: Duration) -> Self;
    /// An error that says calls are refused for about `retry_after`, because too many failed.
    fn circuit_open(retry_after: Duration) -> Self;
    /// An error that says the limit of requests in time is reached for about `retry_after`.
    fn limited(retry_after: Duration) -> Self;
    /// An error that says as many requests are under way, and waiting, as may be.
    fn bulkhead_full() -> Self;
    /// An error that says nothing is taken on at present; to be asked again after `retry_after`.
    fn overloaded(retry_after: Duration) -> Self;
}

/// An error; see the [module](self). As small as a pointer, so that a `Result` stays small.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    origin: Origin,
    retry: Retry,
    message: Cow<'static, str>,
    param: Option<Cow<'static, str>>,
    code: Option<String>,
    unsent: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

macro_rules! constructors {
    ($($name:ident => $kind:ident),+ $(,)?) => {
        impl Error {
            $(
                #[doc = concat!("A new error of kind [`ErrorKind::", stringify!($kind), "`].")]
                pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
                    Self::new(ErrorKind::$kind, message)
                }
            )+
        }
    };
}

constructors! {
    invalid_request => InvalidRequest,
    too_large => TooLarge,
    unauthenticated => Unauthenticated,
    permission_denied => PermissionDenied,
    not_found => NotFound,
    conflict => Conflict,
    rate_limited => RateLimited,
    budget_exceeded => BudgetExceeded,
    context_length => ContextLength,
    content_filtered => ContentFiltered,
    unavailable => Unavailable,
    timed_out => Timeout,
    cancelled => Cancelled,
    protocol => Protocol,
    internal => Internal,
}

impl Error {
    /// A new error; origin and retry follow from the kind until they are set. `message` is shown to callers.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let (origin, retry) = kind.defaults();
        Self(Box::new(Inner {
            kind,
            origin,
            retry,
            message: message.into(),
            param: None,
            code: None,
            unsent: false,
            source: None,
        }))
    }

    /// Says who caused it.
    #[must_use]
    pub fn origin_is(mut self, origin: Origin) -> Self {
        self.0.origin = origin;
        self
    }

    /// Says what may be done after it.
    #[must_use]
    pub fn retry_is(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Names the field of the request that is at fault, as a path (`messages[0].role`).
    #[must_use]
    pub fn param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// Keeps a provider's own code, for callers that speak its dialect.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Says that it was found out before anything was sent: no upstream knows of the attempt, and none charges
    /// for it.
    #[must_use]
    pub fn before_sending(mut self) -> Self {
        self.0.unsent = true;
        self
    }

    /// Keeps the cause, for logs; never shown to callers.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Puts `context` and a colon before the message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message).into();
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Who caused it.
    pub fn origin(&self) -> Origin {
        self.0.origin
    }

    /// What may be done after it.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// What to tell the caller.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The field at fault, if one is.
    pub fn field(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// The provider's own code, if it gave one.
    pub fn provider_code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Whether it was found out before anything was sent.
    pub fn is_before_sending(&self) -> bool {
        self.0.unsent
    }

    /// What can be written down and read back.
    pub fn failure(&self) -> Failure {
        Failure {
            kind: self.0.kind,
            origin: self.0.origin,
            retry: self.0.retry,
            message: self.0.message.clone().into_owned(),
            param: self.0.param.clone().map(Cow::into_owned),
            code: self.0.code.clone(),
        }
    }
}

impl Classify for Error {
    fn retry(&self) -> Retry {
        self.0.retry
    }

    fn is_fault(&self) -> bool {
        let fault = match self.0.kind {
            // That nothing but another endpoint helps is how an upstream's refusals are told apart (a key, a
            // quota, a model's name): rest would mend none of them.
            ErrorKind::Unavailable => self.0.retry != Retry::Elsewhere,
            ErrorKind::RateLimited | ErrorKind::Timeout | ErrorKind::Protocol | ErrorKind::Internal => true,
            _ => false,
        };
        fault && self.0.origin == Origin::Provider
    }

    fn timeout(limit: Duration) -> Self {
        // Whoever was waited for that long is not waited for twice.
        Self::timed_out(format!("no answer within {} ms", limit.as_millis())).retry_is(Retry::Elsewhere)
    }

    fn out_of_time(limit: Duration) -> Self {
        let left = limit.as_millis();
        Self::timed_out(format!("no answer within the {left} ms that the deadline left; allow the call more"))
            .retry_is(Retry::Never)
    }

    fn circuit_open(retry_after: Duration) -> Self {
        Self::unavailable(format!(
            "the endpoint failed too often and is rested for about {} ms",
            retry_after.as_millis()
        ))
        .origin_is(Origin::Maof)
        .retry_is(Retry::Elsewhere)
    }

    fn limited(retry_after: Duration) -> Self {
        let wait = retry_after.as_millis();
        Self::new(ErrorKind::RateLimited, format!("the endpoint's rate limit is reached for about {wait} ms"))
            .retry_is(Retry::Elsewhere)
    }

    fn bulkhead_full() -> Self {
        Self::unavailable("the endpoint is asked by as many callers at once as may ask it; try again")
            .origin_is(Origin::Maof)
            .retry_is(Retry::Elsewhere)
    }

    fn overloaded(retry_after: Duration) -> Self {
        Self::unavailable("too many calls are under way; try again later")
            .origin_is(Origin::Maof)
            .retry_is(Retry::After(retry_after))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &self.0.param {
            Some(param) => write!(f, " ({} in `{param}`)", self.0.kind),
            None => write!(f, " ({})", self.0.kind),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("origin", &self.0.origin)
            .field("retry", &self.0.retry)
            .field("message", &self.0.message)
            .field("param", &self.0.param)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}

/// An error's facts as plain data: what a journal keeps, and what [`crate::End`] carries to many readers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Who caused it.
    pub origin: Origin,
    /// What may be done after it.
    pub retry: Retry,
    /// What to tell the caller.
    pub message: String,
    /// The field at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// The provider's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let mut error =
            Error::new(failure.kind, failure.message).origin_is(failure.origin).retry_is(failure.retry);
        error.0.param = failure.param.map(Cow::Owned);
        error.0.code = failure.code;
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_every_fact_of_the_error() {
        for kind in ErrorKind::ALL {
            let error = Error::new(kind, "m").param("p").code("c");
            let back = Error::from(error.failure());
            assert_eq!(back.failure(), error.failure());
        }
    }

    #[test]
    fn refusals_of_our_own_are_no_fault_of_the_endpoint() {
        assert!(!Error::circuit_open(Duration::from_secs(1)).is_fault());
        assert!(!Error::budget_exceeded("x").is_fault());
        assert!(!Error::invalid_request("x").origin_is(Origin::Provider).is_fault());
        assert!(!Error::overloaded(Duration::from_secs(1)).is_fault());
        assert!(!Error::bulkhead_full().is_fault());
        assert!(!Error::limited(Duration::from_secs(1)).is_fault());
        assert!(Error::unavailable("x").is_fault());
        assert!(Error::rate_limited("x").origin_is(Origin::Provider).is_fault());
    }

    #[test]
    fn what_rest_does_not_mend_is_no_fault() {
        let check = |error: Error, expect: bool| {
            assert_eq!(error.origin_is(Origin::Provider).is_fault(), expect);
        };
        check(Error::unavailable("the key was refused").retry_is(Retry::Elsewhere), false);
        check(Error::unauthenticated("x"), false);
        check(Error::permission_denied("x"), false);
        check(Error::conflict("x"), false);
        check(Error::timeout(Duration::from_secs(1)), true);
        check(Error::out_of_time(Duration::from_secs(1)), true);
        check(Error::protocol("x").retry_is(Retry::Elsewhere), true);
    }

    #[test]
    fn a_result_is_as_small_as_a_pointer() {
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }
}
