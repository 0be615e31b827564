//! Tells what happens: spans, metrics, health and logs. Layers emit [`maof_core::Signal`]s; only this crate
//! turns them into metrics, and every name is in [`names`].
//!
//! ```
//! # use std::sync::Arc;
//! # use maof_core::{Observe, Signal};
//! # use maof_telemetry::{Fan, Metrics};
//! let metrics = Arc::new(Metrics::new(&["analyst".parse()?], &[], &[])?);
//! let observe = Fan::new(vec![metrics.clone() as Arc<dyn Observe>]);
//! observe.on(Signal::CallBegan);
//! assert!(metrics.render().contains("maof_active_requests 1"));
//! # Ok::<(), maof_core::Error>(())
//! ```

pub mod attempt;
pub mod call;
pub mod health;
pub mod log;
pub mod metrics;
pub mod names;
pub mod route;
mod span;

pub use health::{EndpointHealth, Health};
pub use log::{LogConfig, LogFormat, start_logging};
pub use metrics::Metrics;

use std::sync::Arc;

use maof_core::{Observe, Signal};

/// Tells several observers, in order.
#[derive(Debug, Default)]
pub struct Fan(Vec<Arc<dyn Observe>>);

impl Fan {
    /// Tells these.
    pub fn new(observers: Vec<Arc<dyn Observe>>) -> Self {
        Fan(observers)
    }
}

impl Observe for Fan {
    fn on(&self, signal: Signal<'_>) {
        for observer in &self.0 {
            observer.on(signal.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    /// Writes its letter down.
    #[derive(Debug)]
    struct Letter(char, Arc<Mutex<String>>);

    impl Observe for Letter {
        fn on(&self, _: Signal<'_>) {
            self.1.lock().push(self.0);
        }
    }

    #[test]
    fn every_observer_is_told_in_order() {
        let said = Arc::new(Mutex::new(String::new()));
        let letter = |c| Arc::new(Letter(c, Arc::clone(&said))) as Arc<dyn Observe>;
        let fan = Fan::new(vec![letter('a'), letter('b')]);
        fan.on(Signal::CallBegan);
        fan.on(Signal::CallBegan);
        assert_eq!(*said.lock(), "abab");
    }
}
