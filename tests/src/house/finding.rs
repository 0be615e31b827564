//! One thing that is not as the house wants it.

use std::fmt;
use std::path::Path;

/// Where a rule is broken and how, in one line that can be acted upon.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Finding {
    place: String,
    what: String,
}

impl Finding {
    /// A finding about a whole file or folder.
    pub(super) fn new(place: &Path, what: impl Into<String>) -> Self {
        Self { place: place.display().to_string(), what: what.into() }
    }

    /// A finding about one line (counted from 1) of a file.
    pub(super) fn at(file: &Path, line: usize, what: impl Into<String>) -> Self {
        Self { place: format!("{}:{line}", file.display()), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}
