//! The response cache: an answer that was given is given again, whole or streamed, and costs nothing.
//!
//! Only the very same question is answered from it (its key says what is the same), and only with an answer that was
//! right and whole: no error, nothing that was cut off, filtered or refused, nothing that breaks its schema. A stream is
//! kept when it has come to its end. What was kept as a whole is given as a stream to whom asks for one, with its usage,
//! and the other way round. A caller may say otherwise for one call ([`maof_core::CacheControl`]).
//!
//! Leave it away where equal questions are meant to be answered anew each time. Calls that are the same and under way
//! at the same time are a matter of single flights.
//!
//! ```
//! use maof_cache::{Config, Layer};
//! use maof_core::{CacheStatus, Silent};
//! use maof_store::MemoryCache;
//! use maof_testkit::{ScriptedEndpoint, TokioClock, endpoint::call};
//! # use maof_core::{Call, Endpoint as _};
//! use std::sync::Arc;
//! use tower::{Layer as _, ServiceExt as _};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> maof_core::Result<()> {
//! let config = Config::default();
//! let store = Arc::new(MemoryCache::new(config.max_bytes, Arc::new(Silent)));
//! let key = |_: &Call| Some([7; 32]);
//! let layer = Layer::new(&config, store, key, Arc::new(TokioClock::default()), Arc::new(Silent));
//! # let endpoint = Arc::new(ScriptedEndpoint::new("echo"));
//! # let model = { let endpoint = endpoint.clone(); tower::service_fn(move |call: Call| { let endpoint = endpoint.clone(); async move { endpoint.call(call).await } }) };
//! let service = layer.layer(model);
//! let first = service.clone().oneshot(call("hello")).await?;
//! assert_eq!(first.head.cache, Some(CacheStatus::Miss));
//! let again = service.oneshot(call("hello")).await?;
//! assert!(matches!(again.head.cache, Some(CacheStatus::Hit { .. })));
//! assert_eq!(endpoint.counts().calls, 1);
//! # Ok(())
//! # }
//! ```

mod config;
mod layer;
mod record;
pub mod semantic;
#[cfg(test)]
mod tests;
mod worth;

pub use config::{Config, When};
pub use layer::{Cached, Layer};
