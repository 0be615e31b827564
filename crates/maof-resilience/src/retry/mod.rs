//! Retry: asks the same endpoint again where its error says that this may help.
//!
//! Pauses grow exponentially and are spread over their whole length ("full jitter"), so that callers that
//! failed together do not return together. A pause that an upstream asks for is kept. No pause reaches
//! beyond the request's deadline: what cannot be in time fails at once.
//!
//! A [`Budget`] bounds what all retries together add, so that an outage is not made worse by those who wait for
//! its end: over any 10 seconds at most 1.2 requests for each of a caller, and 10 a second.
//!
//! A stream is retried only before it begins. Do not retry in two places of one stack: attempts multiply.
//!
//! ```
//! use maof_core::{Body, Call, CallId, ChatAnswer, ChatRequest, Clock, Error, Principal, Random, Reply};
//! use maof_core::{Response, Target, Timestamp};
//! use maof_resilience::retry;
//! use std::{sync::Arc, time::Instant};
//! use tower::{ServiceBuilder, ServiceExt as _};
//! # #[derive(Debug)] struct MyClock;
//! # impl Clock for MyClock {
//! #     fn now(&self) -> Timestamp { Timestamp::default() }
//! #     fn instant(&self) -> Instant { Instant::now() }
//! # }
//! # #[derive(Debug)] struct MyRandom;
//! # impl Random for MyRandom { fn next_u64(&self) -> u64 { 0 } }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Error> {
//! let config = retry::Config { max_attempts: 3, ..retry::Config::default() };
//! let told = |error: &Error, attempt: u32| println!("attempt {attempt} failed: {error}");
//! let service = ServiceBuilder::new()
//!     .layer(retry::Layer::new(&config, Arc::new(MyClock), Arc::new(MyRandom), told))
//!     .service_fn(|call: Call| async move {
//!         match call.attempt {
//!             3 => Ok(Reply::whole(Response::chat(ChatAnswer::text("here I am")))),
//!             _ => Err(Error::unavailable("not yet")),
//!         }
//!     });
//!
//! let body = Body::from(ChatRequest::user("hello"));
//! let id = CallId::from_uuid(uuid::Uuid::nil());
//! let call = Call::new(id, Target::Name("analyst".parse()?), Principal::local(), body);
//! let (response, _) = service.oneshot(call).await?.collect().await?;
//! assert_eq!(response.text()?, "here I am");
//! # Ok(())
//! # }
//! ```

mod attempted;
mod budget;
mod config;
mod layer;
mod schedule;
mod state;
#[cfg(test)]
mod tests;

pub use attempted::Attempted;
pub use budget::{Budget, BudgetConfig};
pub use config::Config;
pub use layer::{Layer, Retry};
