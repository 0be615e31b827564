//! Circuit breaker: an endpoint that keeps failing is rested, then probed.
//!
//! Closed, calls pass; `failure_threshold` failures in a row open it, and where [`Rate`] is set, a large share
//! of failed or slow calls of late. Open, calls are refused with [`maof_core::Classify::circuit_open`]. After `open_ms` it is half open: a few calls pass as probes;
//! enough successes close it, one failure opens it again.
//!
//! A call is judged by its end: a stream that breaks off is a failure, one that nobody read to its end says
//! nothing. Errors that are no fault of the endpoint ([`maof_core::Classify::is_fault`]) say nothing either,
//! and give a probe back.
//!
//! A breaker knows nothing of its neighbours; a [`Ward`] watches several, and tells when the last one that
//! could answer for somebody is rested too. It is rested all the same: whoever asks is told at once, and a
//! probe passes as soon as it may.
//!
//! One [`Layer`] belongs to one endpoint. Do not share one between endpoints that fail apart, and leave it
//! away where there is nobody else to ask and failing is cheap.
//!
//! ```
//! use maof_core::{Call, Clock, CircuitState, Error, Reply, Timestamp};
//! use maof_resilience::circuit_breaker;
//! use std::{sync::Arc, time::Instant};
//! use tower::{ServiceBuilder, ServiceExt as _};
//! # use maof_core::{Body, CallId, ChatRequest, Principal, Target};
//! # #[derive(Debug)] struct MyClock;
//! # impl Clock for MyClock {
//! #     fn now(&self) -> Timestamp { Timestamp::default() }
//! #     fn instant(&self) -> Instant { Instant::now() }
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! let config = circuit_breaker::Config { failure_threshold: 1, ..Default::default() };
//! let told = |state: CircuitState| println!("now {}", state.as_str());
//! let layer = circuit_breaker::Layer::new(&config, Arc::new(MyClock), told);
//! let breaker = layer.breaker();
//! let service = ServiceBuilder::new()
//!     .layer(layer)
//!     .service_fn(|_: Call| async { Err::<Reply, _>(Error::unavailable("down")) });
//!
//! # let (body, id) = (Body::from(ChatRequest::user("hi")), CallId::from_uuid(uuid::Uuid::nil()));
//! # let call = Call::new(id, Target::Name("analyst".parse()?), Principal::local(), body);
//! assert!(service.oneshot(call).await.is_err());
//! assert_eq!(breaker.state(), CircuitState::Open);
//! # Ok(())
//! # }
//! ```

mod breaker;
mod config;
mod layer;
mod state;
#[cfg(test)]
mod tests;
mod ward;
mod window;

pub use breaker::{Breaker, Permit};
pub use config::{Config, Rate};
pub use layer::{CircuitBreaker, Layer};
pub use ward::{Rested, Ward};
