//! Hedging: a second endpoint is asked beside one whose stream does not begin when it should.
//!
//! "When it should" is the endpoint's own 95th percentile of late, so that a slow model is not called slow for
//! being what it is; how many hedges there are is bounded by a part of the calls, and there are none while this
//! process is busy or an upstream says that it has too many requests: a hedge must not be what tips it over.
//!
//! This is the policy only ([`Hedges`] behind the port [`maof_core::Hedge`]); the router asks, since it alone knows
//! whom else to ask, and drops the loser, whose guards settle what it cost. Do not hedge what changes the world.
//!
//! ```
//! use maof_core::{Clock, Hedge as _, Name, Timestamp};
//! use maof_resilience::hedge::{Config, Hedges};
//! use std::{sync::Arc, time::{Duration, Instant}};
//! # #[derive(Debug)] struct MyClock;
//! # impl Clock for MyClock {
//! #     fn now(&self) -> Timestamp { Timestamp::default() }
//! #     fn instant(&self) -> Instant { Instant::now() }
//! # }
//! let (a, b): (Name, Name) = ("a".parse()?, "b".parse()?);
//! let hedges = Hedges::new(&Config::default(), Arc::new(MyClock), [a.clone(), b.clone()], None);
//! assert_eq!(hedges.patience(&a), None, "nothing is known of it");
//! for _ in 0..20 {
//!     hedges.began();
//!     hedges.answered(&a, Duration::from_millis(200));
//! }
//! assert!(hedges.patience(&a).is_some_and(|p| p >= Duration::from_millis(200)));
//! assert!(hedges.spend(&a, &b) && !hedges.spend(&a, &b), "one hedge for twenty calls");
//! # Ok::<(), maof_core::Error>(())
//! ```

mod config;
mod hedges;
mod state;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use hedges::Hedges;
