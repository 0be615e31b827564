//! Load shedding: when too many calls are under way, further ones are refused at once, so that those inside are
//! still answered in good time.
//!
//! How many are too many nobody needs to know beforehand: the limit adapts itself to how long replies take (see
//! [`Config`]). A call is under way until its reply ends; who is refused is told when to come again
//! ([`maof_core::Classify::overloaded`]). Requests that must not be refused, because they were accepted before,
//! are exempt: counted, and let in.
//!
//! There is one [`Door`] to a process. What does not come through it, such as health checks, is never refused.
//! It does not know one endpoint from another: a slow one is held in by its bulkhead.
//!
//! ```
//! use maof_core::{Call, Clock, Error, ErrorKind, Reply, Response, ChatAnswer, Timestamp};
//! use maof_resilience::load_shed;
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
//! let config = load_shed::Config { min_calls: 1, max_calls: 1, ..Default::default() };
//! let door = load_shed::Door::new(&config, Arc::new(MyClock), |limit| println!("now {limit}"));
//! let service = ServiceBuilder::new()
//!     .layer(load_shed::Layer::new(door, |call: &Call| call.provenance.run.is_some(), || println!("refused")))
//!     .service_fn(|_: Call| async { Ok::<_, Error>(Reply::whole(Response::chat(ChatAnswer::text("hi")))) });
//!
//! # let (body, id) = (Body::from(ChatRequest::user("hi")), CallId::from_uuid(uuid::Uuid::nil()));
//! # let call = Call::new(id, Target::Name("analyst".parse()?), Principal::local(), body);
//! let first = service.clone().oneshot(call.clone()).await?;
//! assert_eq!(service.clone().oneshot(call.clone()).await.unwrap_err().kind(), ErrorKind::Unavailable);
//! drop(first);
//! assert!(service.oneshot(call).await.is_ok());
//! # Ok(())
//! # }
//! ```

mod config;
mod door;
mod layer;
mod state;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use door::{Admission, Door};
pub use layer::{Layer, LoadShed};
