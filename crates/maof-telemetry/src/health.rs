//! How each endpoint does: its circuit breaker's state, and how its last requests went.
//!
//! ```
//! # use std::{sync::Arc, time::Instant};
//! # use maof_core::{CircuitState, Clock, Observe, Signal, Timestamp};
//! # use maof_telemetry::Health;
//! # #[derive(Debug)]
//! # struct Still;
//! # impl Clock for Still {
//! #     fn now(&self) -> Timestamp { Timestamp::default() }
//! #     fn instant(&self) -> Instant { Instant::now() }
//! # }
//! let endpoint = "openai/gpt-4o".parse()?;
//! let health = Health::new(std::slice::from_ref(&endpoint), Arc::new(Still));
//! health.on(Signal::Circuit { endpoint: &endpoint, state: CircuitState::Open });
//! assert!(!health.snapshot()[0].available);
//! # Ok::<(), maof_core::Error>(())
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use maof_core::{CircuitState, Clock, ErrorKind, Name, Observe, Signal, Timestamp};
use parking_lot::Mutex;
use serde::Serialize;

/// Requests that are remembered of each endpoint.
const REMEMBERED: usize = 100;

/// How an endpoint does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointHealth {
    /// Its name.
    pub endpoint: Name,
    /// Whether it can be asked.
    pub available: bool,
    /// Its circuit breaker's state.
    pub circuit: &'static str,
    /// Of its last requests (at most 100), how many there were.
    pub requests: u32,
    /// Of those, how many failed by the endpoint's fault: not because the caller gave up or asked for
    /// something that cannot be answered.
    pub failed: u32,
    /// The kind of the last failure of that sort.
    pub last_error: Option<&'static str>,
    /// When it was last asked.
    pub last_asked: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Seen {
    circuit: CircuitState,
    /// The last requests, oldest first: whether each failed.
    last: VecDeque<bool>,
    last_error: Option<ErrorKind>,
    last_asked: Option<Timestamp>,
}

/// Watches endpoints.
#[derive(Debug)]
pub struct Health {
    clock: Arc<dyn Clock>,
    seen: Mutex<HashMap<Name, Seen>>,
}

impl Health {
    /// Watches these endpoints, and no others: what a snapshot shows is bounded.
    pub fn new(endpoints: &[Name], clock: Arc<dyn Clock>) -> Self {
        let seen = endpoints.iter().map(|name| (name.clone(), Seen::default())).collect();
        Health { clock, seen: Mutex::new(seen) }
    }

    /// Watches these endpoints instead, and goes on with what is known of those that `stay`.
    pub fn watch(&self, endpoints: &[Name], stay: impl Fn(&Name) -> bool) {
        let mut seen = self.seen.lock();
        let known = |name: &Name| seen.remove(name).filter(|_| stay(name));
        let mut known = known;
        let all = endpoints.iter().map(|name| (name.clone(), known(name).unwrap_or_default())).collect();
        *seen = all;
    }

    /// Every endpoint, by name.
    pub fn snapshot(&self) -> Vec<EndpointHealth> {
        let seen = self.seen.lock();
        let mut all: Vec<EndpointHealth> = seen
            .iter()
            .map(|(endpoint, seen)| EndpointHealth {
                endpoint: endpoint.clone(),
                available: seen.circuit != CircuitState::Open,
                circuit: seen.circuit.as_str(),
                requests: seen.last.len() as u32,
                failed: seen.last.iter().filter(|failed| **failed).count() as u32,
                last_error: seen.last_error.map(ErrorKind::as_str),
                last_asked: seen.last_asked,
            })
            .collect();
        all.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
        all
    }
}

/// Whether a failed request says something of the endpoint; as [`maof_core::Classify::is_fault`] says of errors.
fn is_fault(kind: ErrorKind) -> bool {
    use ErrorKind::{Internal, Protocol, RateLimited, Timeout, Unavailable};
    matches!(kind, RateLimited | Unavailable | Timeout | Protocol | Internal)
}

impl Observe for Health {
    fn on(&self, signal: Signal<'_>) {
        match signal {
            Signal::AttemptEnded { endpoint, error, .. } => {
                let now = self.clock.now();
                if let Some(seen) = self.seen.lock().get_mut(endpoint) {
                    if seen.last.len() == REMEMBERED {
                        seen.last.pop_front();
                    }
                    let fault = error.filter(|kind| is_fault(*kind));
                    seen.last.push_back(fault.is_some());
                    seen.last_error = fault.or(seen.last_error);
                    seen.last_asked = Some(now);
                }
            }
            Signal::Circuit { endpoint, state } => {
                tracing::warn!(%endpoint, state = state.as_str(), "a circuit breaker changed its state");
                if let Some(seen) = self.seen.lock().get_mut(endpoint) {
                    seen.circuit = state;
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use maof_core::{Money, Usage};
    use std::time::{Duration, Instant};

    #[derive(Debug)]
    struct Still(Instant);

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(7)
        }
        fn instant(&self) -> Instant {
            self.0
        }
    }

    #[allow(clippy::disallowed_methods, reason = "a fixed instant to stand still at")]
    fn watched(name: &Name) -> Health {
        Health::new(std::slice::from_ref(name), Arc::new(Still(Instant::now())))
    }

    fn ask(health: &Health, endpoint: &Name, error: Option<ErrorKind>) {
        let (took, usage, cost) = (Duration::ZERO, &Usage::default(), Money::ZERO);
        health.on(Signal::AttemptEnded { agent: endpoint, endpoint, error, took, usage, cost });
    }

    #[test]
    fn what_callers_do_wrong_is_no_failure_of_the_endpoint() {
        for kind in ErrorKind::ALL {
            let name = Name::new("e").unwrap();
            let health = watched(&name);
            ask(&health, &name, Some(kind));
            // The same is said of errors that a provider caused.
            let fault = maof_core::Error::new(kind, "x").origin_is(maof_core::Origin::Provider);
            let expect = u32::from(maof_core::Classify::is_fault(&fault));
            let only = &health.snapshot()[0];
            assert_eq!((only.requests, only.failed), (1, expect), "{kind}");
            assert_eq!(only.last_error.is_some(), expect == 1);
        }
    }

    #[test]
    fn health_shows_the_last_requests_and_the_breaker() {
        let name = Name::new("e").unwrap();
        let health = watched(&name);
        for i in 0..150 {
            ask(&health, &name, (i % 2 == 0).then_some(ErrorKind::Timeout));
        }
        health.on(Signal::Circuit { endpoint: &name, state: CircuitState::Open });
        health.on(Signal::Circuit { endpoint: &Name::new("stranger").unwrap(), state: CircuitState::Open });
        let only = &health.snapshot()[0];
        assert_eq!(health.snapshot().len(), 1, "strangers are not watched");
        assert_eq!((only.requests, only.failed, only.available), (100, 50, false));
        assert_eq!((only.last_error, only.circuit), (Some("timeout"), "open"));
        // It stays, another one comes; then another one comes in its place.
        let both = [name.clone(), Name::new("f").unwrap()];
        health.watch(&both, |_| true);
        let circuits = || health.snapshot().iter().map(|one| one.circuit).collect::<Vec<_>>();
        assert_eq!(circuits(), ["open", "closed"]);
        health.watch(&both, |endpoint| *endpoint != name);
        assert_eq!(circuits(), ["closed", "closed"]);
    }
}
