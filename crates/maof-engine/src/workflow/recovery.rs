//! What is done about a failure: a table from what went wrong, and by whose fault, to one of the six recoveries.

use std::collections::BTreeMap;

use maof_core::{Category, Error, ErrorKind, Failure, Origin, Recovery, Result};

use super::spec::OnError;

/// Recoveries by cause: a kind of error (`rate_limited`) or a category (`NETWORK`), for every origin or for one
/// (`timeout@tool`).
pub type Recoveries = BTreeMap<String, Recovery>;

/// What a table says of a failure; the most telling cause decides: a kind before a category, one origin before all.
pub(super) fn recovery(table: &Recoveries, failure: &Failure) -> Option<Recovery> {
    if table.is_empty() {
        return None;
    }
    let (kind, origin) = (failure.kind.as_str(), failure.origin.as_str());
    let category = Category::of(failure.kind, failure.origin).as_str();
    let causes =
        [&format!("{kind}@{origin}"), kind, &format!("{category}@{origin}"), category].map(str::to_owned);
    causes.iter().find_map(|cause| table.get(cause).copied())
}

/// Checks a table's causes.
///
/// # Errors
/// `invalid_request` naming the cause that is not known.
pub fn check_recoveries(table: &Recoveries) -> Result<()> {
    let kind = |name: &str| ErrorKind::ALL.iter().any(|kind| kind.as_str() == name);
    let category = |name: &str| Category::ALL.iter().any(|category| category.as_str() == name);
    let origin = |name: &str| Origin::ALL.iter().any(|origin| origin.as_str() == name);
    let known = |cause: &str| match cause.split_once('@') {
        None => kind(cause) || category(cause),
        Some((what, whose)) => (kind(what) || category(what)) && origin(whose),
    };
    match table.keys().find(|cause| !known(cause)) {
        None => Ok(()),
        Some(cause) => Err(Error::invalid_request(
            "a cause is a kind of error (`timeout`) or a category (`NETWORK`), and may end in an origin (`@tool`)",
        )
        .param(cause.clone())),
    }
}

/// Checks what a step says of failures.
pub(super) fn check(on_error: &OnError) -> Result<()> {
    let OnError { retry, fallback, recovery, wait_ms, .. } = on_error;
    if *retry > 100 {
        return Err(Error::invalid_request("must be at most 100").param("retry"));
    }
    if *wait_ms > 86_400_000 {
        return Err(Error::invalid_request("must be at most 86,400,000 (a day)").param("wait_ms"));
    }
    check_recoveries(recovery).map_err(|e| in_field(e, "recovery"))?;
    let missing = recovery.iter().find_map(|(cause, recovery)| match recovery {
        Recovery::Retry | Recovery::Reset if *retry == 0 => Some((cause, "retry")),
        Recovery::Fallback if fallback.is_none() => Some((cause, "fallback")),
        _ => None,
    });
    match missing {
        None => Ok(()),
        Some((cause, field)) => {
            let why = format!("needs `on_error.{field}` to be said");
            Err(Error::invalid_request(why).param(format!("recovery.{cause}")))
        }
    }
}

/// The error as one of a field of `section`.
pub(super) fn in_field(error: Error, section: &str) -> Error {
    let inner = error.field().map(|f| format!(".{f}")).unwrap_or_default();
    error.param(format!("{section}{inner}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_telling_cause_decides() {
        use Recovery as R;
        let check = |causes: &[(&str, Recovery)], error: Error, expect: Option<Recovery>| {
            let table = causes.iter().map(|(cause, recovery)| ((*cause).to_owned(), *recovery)).collect();
            assert_eq!(recovery(&table, &error.failure()), expect, "{causes:?} {error}");
        };
        let tool = |error: Error| error.origin_is(Origin::Tool);
        let all = [
            ("timeout", R::Retry),
            ("timeout@tool", R::Skip),
            ("NETWORK", R::Fallback),
            ("NETWORK@provider", R::Reset),
            ("TOOL", R::Escalate),
            ("protocol", R::Terminate),
        ];
        check(&all, Error::timed_out("x"), Some(R::Retry));
        check(&all, tool(Error::timed_out("x")), Some(R::Skip));
        check(&all, Error::unavailable("x"), Some(R::Reset));
        check(&all, Error::unavailable("x").origin_is(Origin::Maof), Some(R::Fallback));
        check(&all, tool(Error::unavailable("x")), Some(R::Escalate));
        check(&all, Error::protocol("x"), Some(R::Terminate));
        check(&all, Error::content_filtered("x"), None);
        check(&[], Error::timed_out("x"), None);
    }

    #[test]
    fn every_cause_is_known_or_refused_by_name() {
        let check = |cause: &str, known: bool| {
            let table = Recoveries::from([(cause.to_owned(), Recovery::Skip)]);
            let refused = check_recoveries(&table).err();
            assert_eq!(refused.is_none(), known, "{cause}");
            assert!(refused.is_none_or(|error| error.field() == Some(cause)));
        };
        for kind in ErrorKind::ALL {
            check(kind.as_str(), true);
        }
        for category in Category::ALL {
            check(&format!("{}@store", category.as_str()), true);
        }
        for wrong in ["", "timeouts", "network", "timeout@", "timeout@agent", "@tool", "TIMEOUT@tool@tool"] {
            check(wrong, false);
        }
    }
}
