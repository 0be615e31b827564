//! The policy as all callers share it, behind the port that the router asks.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use maof_core::{Clock, Error, ErrorKind, Hedge, Name, Origin};

use super::config::Config;
use super::state::{Pace, Purse};
use crate::load_shed::Door;
use crate::sync::Mutex;

/// When hedges are made, over some endpoints.
pub struct Hedges {
    config: Config,
    clock: Arc<dyn Clock>,
    /// How loaded this process is, where it knows.
    door: Option<Door>,
    paces: HashMap<Name, Arc<Mutex<Pace>>>,
    purse: Arc<Mutex<Purse>>,
}

impl Hedges {
    /// A policy for these endpoints, which knows nothing of them yet. There are no hedges while `door` is too full.
    pub fn new(
        config: &Config,
        clock: Arc<dyn Clock>,
        endpoints: impl IntoIterator<Item = Name>,
        door: Option<Door>,
    ) -> Self {
        let paces = endpoints.into_iter().map(|name| (name, Arc::new(Mutex::new(Pace::new())))).collect();
        let purse = Arc::new(Mutex::new(Purse::new(config)));
        Hedges { config: config.clone(), clock, door, paces, purse }
    }

    /// The same policy and budget over other endpoints; what is known of those that `stay` is kept.
    #[must_use]
    pub fn next(&self, endpoints: impl IntoIterator<Item = Name>, stay: impl Fn(&Name) -> bool) -> Hedges {
        let known = |name: &Name| self.paces.get(name).filter(|_| stay(name)).map(Arc::clone);
        let pace = |name: Name| (known(&name).unwrap_or_else(|| Arc::new(Mutex::new(Pace::new()))), name);
        Hedges {
            config: self.config.clone(),
            clock: Arc::clone(&self.clock),
            door: self.door.clone(),
            paces: endpoints.into_iter().map(pace).map(|(pace, name)| (name, pace)).collect(),
            purse: Arc::clone(&self.purse),
        }
    }

    fn is_busy(&self) -> bool {
        self.door.as_ref().is_some_and(|door| door.load_percent() > self.config.max_load_percent)
    }
}

impl Hedge for Hedges {
    fn patience(&self, endpoint: &Name) -> Option<Duration> {
        self.paces.get(endpoint)?.lock().patience(&self.config, self.clock.instant())
    }

    fn spend(&self, from: &Name, to: &Name) -> bool {
        let now = self.clock.instant();
        let limited = |name| self.paces.get(name).is_none_or(|p| p.lock().is_limited(&self.config, now));
        let other = from != to && !limited(from) && !limited(to);
        other && !self.is_busy() && self.purse.lock().spend()
    }

    fn began(&self) {
        self.purse.lock().began();
    }

    fn answered(&self, endpoint: &Name, waited: Duration) {
        if let Some(pace) = self.paces.get(endpoint) {
            pace.lock().answered(&self.config, waited);
        }
    }

    fn failed(&self, endpoint: &Name, error: &Error) {
        if let Some(pace) = self.paces.get(endpoint)
            && error.kind() == ErrorKind::RateLimited
            && error.origin() == Origin::Provider
        {
            pace.lock().limited(self.clock.instant());
        }
    }
}

impl fmt::Debug for Hedges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hedges")
            .field("config", &self.config)
            .field("purse", &self.purse)
            .finish_non_exhaustive()
    }
}
