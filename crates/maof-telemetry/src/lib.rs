//! Tells what happens: spans, metrics, health and logs. Layers emit [`maof_core::Signal`]s; only this crate
//! turns them into metrics, and every name is in [`names`].

pub mod call;
pub mod health;
pub mod log;
pub mod metrics;
pub mod names;

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
