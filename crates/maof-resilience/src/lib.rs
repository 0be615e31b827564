//! Survives failure: timeout, retry and circuit breaker, as tower layers that know nothing of MAOF's calls.
//!
//! A layer asks of an error only what [`maof_core::Classify`] says, and of a reply only that it tells its
//! end ([`maof_core::Guarded`]), so that a stream is judged when it ends and not when it begins. State sits
//! behind one `Arc`, no `poll_ready` reserves anything, and a layer calls the very instance that it readied.
//!
//! From the outside in, around one endpoint: [`retry`], [`circuit_breaker`], [`timeout`]. Around the whole
//! call: the deadline of [`timeout::DeadlineLayer`].
//!
//! ```
//! use maof_resilience::Config;
//! let config = Config::default();
//! config.validate()?;
//! assert_eq!(config.retry.max_attempts, 3);
//! assert_eq!(config.circuit_breaker.failure_threshold, 5);
//! # Ok::<(), maof_core::Error>(())
//! ```

pub mod circuit_breaker;
mod config;
pub mod retry;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;
pub mod timeout;

pub use config::Config;
