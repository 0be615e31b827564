//! The design documents' error vocabulary (categories, severity, recovery) as views on our facts.

use serde::{Deserialize, Serialize};

use super::{Error, ErrorKind, Origin, Retry};

/// The eight categories of the design documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Category {
    /// An agent could not do its work.
    Agent,
    /// A tool failed.
    Tool,
    /// The other side could not be reached or broke its format.
    Network,
    /// Access was refused.
    Permission,
    /// Input was malformed.
    Validation,
    /// A time limit passed.
    Timeout,
    /// A limit or budget is used up.
    Resource,
    /// A defect or a failing store.
    System,
}

impl Category {
    /// Every category.
    pub const ALL: [Category; 8] = [
        Self::Agent,
        Self::Tool,
        Self::Network,
        Self::Permission,
        Self::Validation,
        Self::Timeout,
        Self::Resource,
        Self::System,
    ];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "AGENT",
            Self::Tool => "TOOL",
            Self::Network => "NETWORK",
            Self::Permission => "PERMISSION",
            Self::Validation => "VALIDATION",
            Self::Timeout => "TIMEOUT",
            Self::Resource => "RESOURCE",
            Self::System => "SYSTEM",
        }
    }

    /// The category of what went wrong by whose fault.
    pub const fn of(kind: ErrorKind, origin: Origin) -> Category {
        use ErrorKind as K;
        match (kind, origin) {
            (_, Origin::Tool) => Category::Tool,
            (K::Timeout | K::Cancelled, _) => Category::Timeout,
            (_, Origin::Store) | (K::Internal, _) => Category::System,
            (K::InvalidRequest | K::NotFound | K::Conflict, _) => Category::Validation,
            (K::Unauthenticated | K::PermissionDenied, _) => Category::Permission,
            (K::TooLarge | K::RateLimited | K::BudgetExceeded | K::ContextLength, _) => Category::Resource,
            (K::ContentFiltered, _) => Category::Agent,
            (K::Unavailable | K::Protocol, _) => Category::Network,
        }
    }
}

/// The six recoveries of the design documents, as a step's policy may name them, in small letters or as there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// Try the same again, later.
    #[serde(alias = "RETRY")]
    Retry,
    /// Use another endpoint or agent.
    #[serde(alias = "FALLBACK")]
    Fallback,
    /// Go on without the step's result.
    #[serde(alias = "SKIP")]
    Skip,
    /// Tell the operators.
    #[serde(alias = "ESCALATE")]
    Escalate,
    /// Start again from a clean state.
    #[serde(alias = "RESET")]
    Reset,
    /// End the run.
    #[serde(alias = "TERMINATE")]
    Terminate,
}

/// How much an operator should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The caller's own affair.
    Low,
    /// Expected now and then; watch the rate.
    Medium,
    /// Work fails.
    High,
    /// MAOF itself is at fault.
    Critical,
}

impl Severity {
    /// Every severity, the least first.
    pub const ALL: [Severity; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// How much an operator should care about what went wrong by whose fault.
    pub const fn of(kind: ErrorKind, origin: Origin) -> Severity {
        match (kind, origin) {
            (ErrorKind::Internal, _) => Severity::Critical,
            (_, Origin::Caller) => Severity::Low,
            (_, Origin::Store) => Severity::High,
            (ErrorKind::RateLimited | ErrorKind::Timeout, _) => Severity::Medium,
            (_, Origin::Tool) => Severity::Medium,
            _ => Severity::High,
        }
    }
}

impl Error {
    /// The design documents' category of this error: a function of kind and origin.
    pub fn category(&self) -> Category {
        Category::of(self.kind(), self.origin())
    }

    /// What the design documents would do about it when nothing else is configured.
    pub fn recovery(&self) -> Recovery {
        match (self.retry(), self.kind()) {
            (Retry::Here | Retry::After(_), _) => Recovery::Retry,
            (Retry::Elsewhere, _) => Recovery::Fallback,
            (Retry::Never, ErrorKind::PermissionDenied | ErrorKind::ContentFiltered) => Recovery::Escalate,
            (Retry::Never, _) => Recovery::Terminate,
        }
    }

    /// How much an operator should care: a function of kind and origin.
    pub fn severity(&self) -> Severity {
        Severity::of(self.kind(), self.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: Error, expect: (Category, Recovery, Severity)) {
        assert_eq!((error.category(), error.recovery(), error.severity()), expect, "{error}");
    }

    #[test]
    fn the_seeds_words_follow_from_kind_and_origin() {
        use {Category as C, Recovery as R, Severity as S};
        check(Error::invalid_request("x"), (C::Validation, R::Terminate, S::Low));
        check(Error::unavailable("x"), (C::Network, R::Retry, S::High));
        check(Error::unavailable("x").origin_is(Origin::Tool), (C::Tool, R::Retry, S::Medium));
        check(Error::timed_out("x"), (C::Timeout, R::Retry, S::Medium));
        check(Error::budget_exceeded("x"), (C::Resource, R::Fallback, S::High));
        check(Error::permission_denied("x"), (C::Permission, R::Escalate, S::Low));
        check(Error::content_filtered("x"), (C::Agent, R::Escalate, S::High));
        check(Error::unavailable("x").origin_is(Origin::Store), (C::System, R::Retry, S::High));
        check(Error::internal("x"), (C::System, R::Terminate, S::Critical));
    }
}
