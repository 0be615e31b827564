//! How long an attempt may take, and why no longer: decided without clock or waiting.

use std::time::Duration;

use super::config::AttemptConfig;

/// A deadline that leaves less than this says nothing of who was asked: it is not waited for in the endpoint's
/// name, so that callers in a hurry rest no endpoint for everybody else.
const HASTE: Duration = Duration::from_millis(100);

/// How long before the call's deadline the attempt is given up, as a part of what is left and at most: so that
/// the endpoint's failure is noted before the whole call ends.
const BEFORE: u32 = 20;
const BEFORE_MOST: Duration = Duration::from_millis(20);

/// The limit of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Its own.
    Own(Duration),
    /// What the request's deadline leaves.
    Left(Duration),
}

impl Limit {
    /// The limit of an attempt, streamed or not, with so much time `left` until its request's deadline.
    pub(super) fn of(config: &AttemptConfig, streamed: bool, left: Option<Duration>) -> Limit {
        let own = match streamed {
            true => config.attempt().min(config.first_token()),
            false => config.attempt(),
        };
        let left = left.filter(|left| *left >= HASTE).map(|left| left - BEFORE_MOST.min(left / BEFORE));
        match left {
            Some(left) if left < own => Limit::Left(left),
            _ => Limit::Own(own),
        }
    }

    pub(super) fn time(self) -> Duration {
        let (Limit::Own(time) | Limit::Left(time)) = self;
        time
    }
}
