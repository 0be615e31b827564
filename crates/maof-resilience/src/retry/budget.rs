//! How many requests retries may add, over all endpoints: a bucket of tokens.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use maof_core::{Clock, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds::within;
use crate::sync::Mutex;

/// What a token is counted in.
const TOKEN: i64 = 1_000;
/// The time over which the promise holds, in seconds.
const WINDOW: i64 = 10;

/// How many requests retries may add to those of callers. Over any 10 seconds upstreams get at most
/// `(1 + percent / 100)` times as many requests as callers make, and `per_second` a second more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetConfig {
    /// Retries for every hundred calls. Default 20; 0 to 1,000.
    pub percent: u32,
    /// Retries a second beyond those, so that few calls are retried at all. Default 10; 0 to 1,000,000.
    pub per_second: u32,
}

impl Default for BudgetConfig {
    /// As tower's and Finagle's (<https://docs.rs/tower/latest/tower/retry/budget/struct.TpsBudget.html>).
    fn default() -> Self {
        BudgetConfig { percent: 20, per_second: 10 }
    }
}

impl BudgetConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        within("percent", self.percent, 0..=1_000, "must be at most 1,000 percent")?;
        within("per_second", self.per_second, 0..=1_000_000, "must be at most 1,000,000 a second")
    }
}

/// One budget, which all endpoints share: what it bounds is what all upstreams get for what callers ask. That
/// one endpoint in trouble does not use it up for long is the work of that endpoint's circuit breaker.
///
/// Fallbacks are counted, but never refused: another endpoint is what a call needs when one is in trouble. They
/// leave less for retries.
#[derive(Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    tokens: Mutex<Tokens>,
}

impl Budget {
    /// A full budget.
    pub fn new(config: &BudgetConfig, clock: Arc<dyn Clock>) -> Self {
        let tokens = Mutex::new(Tokens::new(config, clock.instant()));
        Budget { shared: Arc::new(Shared { clock, tokens }) }
    }

    /// A caller's request begins.
    pub fn request(&self) {
        self.shared.tokens.lock().request();
    }

    /// A request was sent to a further endpoint.
    pub fn fallback(&self) {
        let now = self.shared.clock.instant();
        self.shared.tokens.lock().fallback(now);
    }

    /// Whether the same endpoint may be asked again; if so, that is counted.
    pub fn retry(&self) -> bool {
        let now = self.shared.clock.instant();
        self.shared.tokens.lock().retry(now)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("tokens", &self.shared.tokens).finish_non_exhaustive()
    }
}

/// The bucket, without clock or lock.
///
/// A bucket of `most` that gets `r` a second and a part of each request passes, over any time `t`, at most
/// `most + r t` and that part. Half of what ten seconds may add is kept as `most`, the other half is `10 r`.
#[derive(Debug)]
pub(super) struct Tokens {
    level: i64,
    most: i64,
    each_request: i64,
    each_second: i64,
    filled: Instant,
}

impl Tokens {
    pub(super) fn new(config: &BudgetConfig, now: Instant) -> Self {
        let ten_seconds = i64::from(config.per_second) * TOKEN * WINDOW;
        let most = ten_seconds / 2;
        let each_request = i64::from(config.percent) * TOKEN / 100;
        Tokens { level: most, most, each_request, each_second: most / WINDOW, filled: now }
    }

    pub(super) fn request(&mut self) {
        // Where `per_second` is nothing, what a request brings must still fit in.
        let most = self.most.max(self.each_request.max(TOKEN));
        self.level = self.level.saturating_add(self.each_request).min(most);
    }

    pub(super) fn fallback(&mut self, now: Instant) {
        self.fill(now);
        self.level = (self.level - TOKEN).max(-self.most);
    }

    pub(super) fn retry(&mut self, now: Instant) -> bool {
        self.fill(now);
        let enough = self.level >= TOKEN;
        if enough {
            self.level -= TOKEN;
        }
        enough
    }

    fn fill(&mut self, now: Instant) {
        let millis = now.saturating_duration_since(self.filled).as_millis();
        let gained = i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(self.each_second) / 1_000;
        if gained > 0 {
            self.filled = now;
            self.level = self.level.saturating_add(gained).min(self.most.max(self.level));
        }
    }
}
