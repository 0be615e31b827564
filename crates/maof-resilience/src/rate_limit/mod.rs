//! Rate limit: an endpoint gets so many requests in time, spread over it.
//!
//! A provider that grants 600 requests a minute is asked every 100 ms, not 600 times in the first second and
//! then no more: calls stand in a queue until it is their turn, and one that would wait too long is refused at
//! once ([`maof_core::Classify::limited`]), so that another endpoint is asked. `burst` lets several pass at once
//! after a pause. It counts as governor does: the generic cell rate algorithm
//! (<https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm>).
//!
//! One [`Layer`] belongs to one endpoint, and counts what this process sends: where several share a provider's
//! limit, each needs its part of it. Leave it away where the provider sets no limit that you could reach.
//!
//! ```
//! use maof_core::{Call, Clock, Error, ErrorKind, Reply, Response, ChatAnswer, Timestamp};
//! use maof_resilience::rate_limit;
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
//! let config = rate_limit::Config { requests: 1, max_wait_ms: 100, ..Default::default() };
//! let service = ServiceBuilder::new()
//!     .layer(rate_limit::Layer::new(&config, Arc::new(MyClock), || println!("refused")))
//!     .service_fn(|_: Call| async { Ok::<_, Error>(Reply::whole(Response::chat(ChatAnswer::text("hi")))) });
//!
//! # let (body, id) = (Body::from(ChatRequest::user("hi")), CallId::from_uuid(uuid::Uuid::nil()));
//! # let call = Call::new(id, Target::Name("analyst".parse()?), Principal::local(), body);
//! assert!(service.clone().oneshot(call.clone()).await.is_ok());
//! assert_eq!(service.oneshot(call).await.unwrap_err().kind(), ErrorKind::RateLimited);
//! # Ok(())
//! # }
//! ```

mod config;
mod layer;
mod limiter;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use layer::{Layer, RateLimit};
pub use limiter::Limiter;
