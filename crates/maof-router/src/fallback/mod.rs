//! Fallback: asks the candidates of a decision in order, until one answers.
//!
//! An error that says that the same request fails anywhere ends the asking and is returned. After any other
//! the next candidate is asked; one that says "here, again" was already retried where it came from. A call
//! whose deadline has passed asks nobody further, and a stream that has begun is never begun anew: where that is wished
//! ([`Fallback::rescuing`]) the next candidate goes on with what was said.
//!
//! Where a policy of hedging is given ([`maof_core::Hedge`]), the next candidate is asked beside one whose stream does
//! not begin when it should; the first reply wins, and the other one is dropped.
//!
//! When nobody is left, the most telling error is returned ([`MostTelling`]). Do not put a retry around a
//! fallback: every attempt would ask all candidates again.
//!
//! ```
//! use maof_core::{Call, Clock, Error, Reply, Response, ChatAnswer, Silent};
//! # use maof_core::{Body, CallId, ChatRequest, Ids, Name, Operation, Principal, Target, Timestamp};
//! use maof_router::{Agent, Config, Fallback, Registry, Router};
//! use std::{collections::HashMap, sync::Arc, time::Instant};
//! use tower::{ServiceExt as _, util::BoxCloneSyncService};
//! # #[derive(Debug)] struct World;
//! # impl Ids for World { fn next(&self) -> uuid::Uuid { uuid::Uuid::nil() } }
//! # impl Clock for World {
//! #     fn now(&self) -> Timestamp { Timestamp::default() }
//! #     fn instant(&self) -> Instant { Instant::now() }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! # let (dear, cheap) = (Name::new("dear")?, Name::new("cheap")?);
//! # let endpoints = vec![dear.clone(), cheap.clone()];
//! # let offers = endpoints.iter().map(|e| (e.clone(), vec![Operation::Chat])).collect();
//! # let agent = Agent { endpoints, ..Agent::new(Name::new("analyst")?) };
//! # let registry = Registry::new(vec![agent], offers, HashMap::new())?;
//! # let (ids, clock, random) = (Arc::new(World), Arc::new(World), Arc::new(maof_router::learned::Seeded::new(1)));
//! # let ports = maof_router::Ports { ids, clock, random, node: Name::new("node-1")? };
//! # let route = Arc::new(Router::new(registry, &Config::default(), None, ports)?);
//! let down = |_: Call| async { Err::<Reply, _>(Error::unavailable("down")) };
//! let well = |_: Call| async { Ok(Reply::whole(Response::chat(ChatAnswer::text("hi")))) };
//! let services = HashMap::from([
//!     (dear, BoxCloneSyncService::new(tower::service_fn(down))),
//!     (cheap, BoxCloneSyncService::new(tower::service_fn(well))),
//! ]);
//! let fallback = Fallback::new(route, services, Arc::new(World), Arc::new(Silent));
//! # let (body, id) = (Body::from(ChatRequest::user("hi")), CallId::from_uuid(uuid::Uuid::nil()));
//! # let call = Call::new(id, Target::Name("analyst".parse()?), Principal::local(), body);
//! let reply = fallback.oneshot(call).await?;
//! assert_eq!(reply.head.chosen.as_ref().unwrap().endpoint, "cheap");
//! # Ok(())
//! # }
//! ```

mod hedged;
mod rescue;
mod service;
mod telling;
#[cfg(test)]
mod tests;
mod told;

pub use service::Fallback;
pub(crate) use service::ready_and_call;
pub use telling::MostTelling;
