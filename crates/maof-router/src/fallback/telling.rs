//! Which of several errors to return when nobody has answered.

use maof_core::{Error, ErrorKind, Origin};

/// Keeps the most telling of the errors that it is shown.
///
/// What an endpoint really said tells more than a refusal of our own, such as a rested endpoint, which will
/// pass; and that tells more than an exhausted budget, which is said only when nothing but the budget was in
/// the way. Among equals the first stays: it is from the most preferred candidate.
///
/// ```
/// use maof_core::{Classify as _, Error, ErrorKind};
/// use maof_router::fallback::MostTelling;
/// let mut errors = MostTelling::default();
/// errors.add(Error::budget_exceeded("the hour's budget is used up"));
/// errors.add(Error::timed_out("no answer within 60000 ms"));
/// errors.add(Error::circuit_open(std::time::Duration::from_secs(60)));
/// assert_eq!(errors.take().map(|e| e.kind()), Some(ErrorKind::Timeout));
/// ```
#[derive(Debug, Default)]
pub struct MostTelling(Option<Error>);

impl MostTelling {
    /// Shows one more error.
    pub fn add(&mut self, error: Error) {
        if self.0.as_ref().is_none_or(|kept| rank(&error) > rank(kept)) {
            self.0 = Some(error);
        }
    }

    /// The most telling one; none where none was shown.
    pub fn take(self) -> Option<Error> {
        self.0
    }
}

/// How much an error tells.
fn rank(error: &Error) -> u8 {
    match (error.origin(), error.kind()) {
        (Origin::Maof, ErrorKind::BudgetExceeded) => 0,
        (Origin::Maof, _) => 1,
        (Origin::Caller | Origin::Provider | Origin::Tool | Origin::Store, _) => 2,
    }
}
