//! Whether to ask again, and after which pause: decided without clock or waiting.

use std::time::Duration;

use maof_core::{Random, Retry};

use super::config::Config;
use super::schedule::Schedule;

/// The attempts of one request so far.
#[derive(Debug)]
pub(super) struct Attempts<'a> {
    config: &'a Config,
    number: u32,
    /// Made at the first failure: most requests have none.
    schedule: Option<Schedule>,
}

impl<'a> Attempts<'a> {
    /// The first attempt.
    pub(super) fn first(config: &'a Config) -> Self {
        Attempts { config, number: 1, schedule: None }
    }

    /// Which attempt this is, from 1.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// The pause before the next attempt, which begins then; none when there shall be no other. `left` is
    /// the time until the deadline.
    pub(super) fn again(
        &mut self,
        retry: Retry,
        random: &dyn Random,
        left: Option<Duration>,
    ) -> Option<Duration> {
        let least = match retry {
            Retry::Never | Retry::Elsewhere => return None,
            Retry::Here => Duration::ZERO,
            Retry::After(asked) => asked,
        };
        if self.number >= self.config.max_attempts || least > self.config.max_wait() {
            return None;
        }
        let interval = self.schedule.get_or_insert_with(|| Schedule::new(self.config)).next();
        let pause = least.saturating_add(part_of(interval, random));
        if left.is_some_and(|left| pause >= left) {
            return None;
        }
        self.number += 1;
        Some(pause)
    }
}

/// A random part of `interval`, from nothing to all of it: "full jitter".
fn part_of(interval: Duration, random: &dyn Random) -> Duration {
    let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random.below(nanos.saturating_add(1)))
}
