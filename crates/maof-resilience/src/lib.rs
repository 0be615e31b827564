//! Survives failure: a tower layer for each protection, which knows nothing of MAOF's calls.
//!
//! A layer asks of an error only what [`maof_core::Classify`] says, and of a reply only that it tells its
//! end ([`maof_core::Guarded`]), so that a stream is judged when it ends and not when it begins. State sits
//! behind one `Arc`, no `poll_ready` reserves anything, and a layer calls the very instance that it readied.
//!
//! From the outside in, around the whole call: [`load_shed`], [`single_flight`], the deadline of
//! [`timeout::DeadlineLayer`]. Around one endpoint: [`retry`], [`circuit_breaker`], [`rate_limit`],
//! [`bulkhead`], [`timeout`]. Between the two the router asks one candidate after the other, and by [`hedge`] a
//! second one beside the first.
//!
//! ```
//! use maof_resilience::Config;
//! let config = Config::default();
//! config.validate()?;
//! assert_eq!(config.retry.max_attempts, 3);
//! assert_eq!(config.circuit_breaker.failure_threshold, 5);
//! # Ok::<(), maof_core::Error>(())
//! ```

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests run in paused time and end with their tasks")
)]

mod bounds;
pub mod bulkhead;
pub mod circuit_breaker;
mod config;
pub mod hedge;
pub mod load_shed;
mod overrides;
mod quantiles;
pub mod rate_limit;
pub mod retry;
#[cfg(test)]
mod scripted;
pub mod single_flight;
mod sync;
#[cfg(test)]
mod tests;
pub mod timeout;

pub use config::{AfterFirstByte, Config, EndpointConfig};
pub use overrides::Override;
