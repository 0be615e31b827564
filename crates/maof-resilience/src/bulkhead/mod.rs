//! Bulkhead: an endpoint gets so many requests at once, so that one that has become slow does not fill the house.
//!
//! A call has a place from when its request is sent until its reply ends. Where all are taken it waits, if there
//! is room in the queue, and not for long; then it is refused ([`maof_core::Classify::bulkhead_full`]), which is
//! no fault of the endpoint, and another one is asked.
//!
//! One [`Layer`] belongs to one endpoint. Leave it away where nothing is shared that a slow endpoint could use
//! up; how many calls there are in all is bounded at the door ([`crate::load_shed`]).
//!
//! ```
//! use maof_core::{Call, Error, ErrorKind, Reply, Response, ChatAnswer};
//! use maof_resilience::bulkhead;
//! use tower::{ServiceBuilder, ServiceExt as _};
//! # use maof_core::{Body, CallId, ChatRequest, Principal, Target};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! let config = bulkhead::Config { max_concurrent: 1, max_queue: 0, ..Default::default() };
//! let service = ServiceBuilder::new()
//!     .layer(bulkhead::Layer::new(&config, || println!("refused")))
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
mod layer;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use layer::{Bulkhead, Layer};
