//! Who is slow, and whether a hedge may be paid for: pure machines.

use std::time::{Duration, Instant};

use super::config::Config;
use crate::quantiles::Quantiles;

/// Streams of an endpoint that are remembered: enough that its 95th percentile stands still, few enough that a
/// change is noticed within some hundred.
const REMEMBERED: u32 = 500;
/// Hedges that may be saved up.
const SAVED: u64 = 10;
/// What a hedge is counted in.
const TOKEN: u64 = 100;

/// How quick one endpoint is of late.
#[derive(Debug)]
pub(super) struct Pace {
    waits: Quantiles,
    /// The patience that follows from them, decided anew now and then.
    patience: Option<Duration>,
    /// When it last said that it has too many requests.
    limited: Option<Instant>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Pace { waits: Quantiles::new(REMEMBERED), patience: None, limited: None }
    }

    pub(super) fn answered(&mut self, config: &Config, waited: Duration) {
        self.waits.add(waited);
        let enough = self.waits.total() >= config.minimum_calls.min(REMEMBERED / 2);
        // Cheap enough to do each time, were it not for hundreds of thousands a second.
        if enough && (self.patience.is_none() || self.waits.total().is_multiple_of(8)) {
            self.patience = self.waits.percentile(config.percentile).map(|p| p.max(config.least()));
        }
    }

    pub(super) fn limited(&mut self, now: Instant) {
        self.limited = Some(now);
    }

    /// Whether it said of late that it has too many requests.
    pub(super) fn is_limited(&self, config: &Config, now: Instant) -> bool {
        self.limited.is_some_and(|at| now.saturating_duration_since(at) < config.limited())
    }

    pub(super) fn patience(&self, config: &Config, now: Instant) -> Option<Duration> {
        self.patience.filter(|_| !self.is_limited(config, now))
    }
}

/// What hedges may add to calls: a bucket that each call adds a part of a hedge to.
#[derive(Debug)]
pub(super) struct Purse {
    tokens: u64,
    each_call: u64,
}

impl Purse {
    pub(super) fn new(config: &Config) -> Self {
        Purse { tokens: 0, each_call: config.percent.into() }
    }

    pub(super) fn began(&mut self) {
        self.tokens = (self.tokens + self.each_call).min(SAVED * TOKEN);
    }

    pub(super) fn spend(&mut self) -> bool {
        let left = self.tokens.checked_sub(TOKEN);
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }
}
