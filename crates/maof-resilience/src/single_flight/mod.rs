//! Single flight: calls that are the same and under way at the same time are made once.
//!
//! The first one leads; the others wait and have copies of its whole reply, or of its failure where that was the
//! upstream's. A leader that is dropped hands over to the next who waits. What cannot be shared, a stream or a
//! refusal that concerned the leader alone, is asked for by each of the others itself.
//!
//! Which calls are the same is said by a key. It must hold whose call it is: a copy is given without asking what
//! its receiver may see. It is no cache: nothing is kept once the answer is there. Leave it away where equal
//! questions are meant to be answered differently.
//!
//! ```
//! use maof_core::{Call, Clock, Error, Reply, Response, ChatAnswer, Timestamp};
//! use maof_resilience::single_flight;
//! use std::{sync::Arc, time::{Duration, Instant}};
//! use tower::{ServiceBuilder, ServiceExt as _};
//! # use maof_core::{Body, CallId, ChatRequest, Principal, Target};
//! # #[derive(Debug)] struct MyClock;
//! # impl Clock for MyClock {
//! #     fn now(&self) -> Timestamp { Timestamp::default() }
//! #     fn instant(&self) -> Instant { Instant::now() }
//! # }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Error> {
//! let key = |call: &Call| Some((call.principal.tenant.clone(), call.provenance.effect.clone()?));
//! let config = single_flight::Config::default();
//! let service = ServiceBuilder::new()
//!     .layer(single_flight::Layer::new(&config, Arc::new(MyClock), key, || println!("one waits")))
//!     .service_fn(|call: Call| async move {
//!         tokio::time::sleep(Duration::from_secs(1)).await;
//!         Ok::<_, Error>(Reply::whole(Response::chat(ChatAnswer::text(call.id.to_string()))))
//!     });
//!
//! # let body = Body::from(ChatRequest::user("hi"));
//! # let target = Target::Name("analyst".parse()?);
//! # let mut call = Call::new(CallId::from_uuid(uuid::Uuid::nil()), target, Principal::local(), body);
//! call.provenance.effect = Some("once".into());
//! # let mut other = call.clone();
//! other.id = CallId::from_uuid(uuid::Uuid::max());
//! let (one, two) = futures::join!(service.clone().oneshot(call), service.oneshot(other));
//! assert_eq!(one?.collect().await?.0.text()?, two?.collect().await?.0.text()?);
//! # Ok(())
//! # }
//! ```

mod config;
mod copied;
mod flight;
mod layer;
mod state;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use copied::Copied;
pub use layer::{Layer, SingleFlight};
