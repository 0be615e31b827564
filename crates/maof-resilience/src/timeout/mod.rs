//! Timeout: what takes too long has failed.
//!
//! [`Layer`] limits one attempt: the wait for the reply of one upstream, or for the first event of its stream.
//! [`DeadlineLayer`] limits a whole call, retries and fallbacks included, by the moment after which its answer
//! is of no use. An attempt is given up a little before that moment, so that an endpoint that hangs until the
//! caller's patience ends has failed, and its circuit breaker learns of it.
//!
//! Both watch the way to the reply. A streamed reply is there once it begins; how long it may pause between
//! events is for whoever reads the stream. Do not put a [`Layer`] around something that queues on purpose.
//!
//! ```
//! use maof_core::{Call, CallId, Error, ErrorKind, Body, ChatRequest, Principal, Reply, Target};
//! use maof_resilience::timeout;
//! use std::{sync::Arc, time::Instant};
//! # use maof_core::{Clock, Timestamp};
//! # #[derive(Debug)] struct MyClock;
//! # impl Clock for MyClock {
//! #     fn now(&self) -> Timestamp { Timestamp::default() }
//! #     fn instant(&self) -> Instant { Instant::now() }
//! # }
//! use tower::{ServiceBuilder, ServiceExt as _};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Error> {
//! let hangs = tower::service_fn(|_: Call| std::future::pending::<Result<Reply, Error>>());
//! let limits = timeout::Layer::new(&timeout::AttemptConfig::default(), Arc::new(MyClock));
//! let service = ServiceBuilder::new().layer(limits).service(hangs);
//!
//! let body = Body::from(ChatRequest::user("hello"));
//! let id = CallId::from_uuid(uuid::Uuid::nil());
//! let call = Call::new(id, Target::Name("analyst".parse()?), Principal::local(), body);
//! assert_eq!(service.oneshot(call).await.unwrap_err().kind(), ErrorKind::Timeout);
//! # Ok(())
//! # }
//! ```

mod config;
mod deadline;
mod layer;
mod state;
#[cfg(test)]
mod tests;
mod timed;

pub use config::{AttemptConfig, Config};
pub use deadline::{Deadline, DeadlineLayer};
pub use layer::{Layer, Timeout};
pub use timed::Timed;
