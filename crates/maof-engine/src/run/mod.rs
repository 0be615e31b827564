//! One run: a pure state machine over its journal, and the driver that does its I/O.

mod begun;
mod driver;
mod state;
mod step;

pub(crate) use begun::Begun;
pub(crate) use driver::{Driver, Stop};
pub use state::{ItemState, RunView, StepStatus};
pub use step::{Command, Machine};

#[cfg(test)]
mod tests;
