//! Decides who should answer a call, and asks them one after the other.
//!
//! - [`Registry`]: which agents and endpoints there are, checked.
//! - [`Router`]: turns a call's target into candidates, best first; the [`maof_core::Route`] port. It filters (who may be
//!   asked), ranks (what comes first) and spreads (who of those who are equal), as [`Strategy`] says.
//! - [`Fallback`]: asks the candidates in order until one answers.
//! - [`cascade`]: a cheap agent answers first, and the one that was asked for where that is doubtful.
//! - [`shadow`]: another agent is asked too, without anybody noticing.
//!
//! ```
//! use maof_core::{
//!     Body, Call, CallId, ChatRequest, Clock, Ids, Name, Operation, Principal, Route as _, Target, Timestamp,
//! };
//! use maof_router::{Agent, Config, Ports, Registry, Router, learned::Seeded};
//! use std::{collections::HashMap, sync::Arc, time::Instant};
//! # #[derive(Debug)] struct MyIds;
//! # impl Ids for MyIds { fn next(&self) -> uuid::Uuid { uuid::Uuid::nil() } }
//! # #[derive(Debug)] struct MyClock;
//! # impl Clock for MyClock {
//! #     fn now(&self) -> Timestamp { Timestamp::default() }
//! #     fn instant(&self) -> Instant { Instant::now() }
//! # }
//!
//! let (gpt, haiku) = (Name::new("gpt")?, Name::new("haiku")?);
//! let analyst = Agent {
//!     endpoints: vec![gpt.clone(), haiku.clone()],
//!     capabilities: vec![Name::new("finance")?],
//!     ..Agent::new(Name::new("analyst")?)
//! };
//! let offers = HashMap::from([(gpt, vec![Operation::Chat]), (haiku, vec![Operation::Chat])]);
//! let registry = Registry::new(vec![analyst], offers, HashMap::new())?;
//! let ports = Ports {
//!     ids: Arc::new(MyIds),
//!     clock: Arc::new(MyClock),
//!     random: Arc::new(Seeded::new(1)),
//!     node: Name::new("node-1")?,
//! };
//! let router = Router::new(registry, &Config::default(), None, ports)?;
//!
//! let body = Body::from(ChatRequest::user("Buy or sell?"));
//! let id = CallId::from_uuid(uuid::Uuid::nil());
//! let target = Target::Capability(Name::new("finance")?);
//! let decision = router.decide(&Call::new(id, target, Principal::local(), body))?;
//! let asked: Vec<_> = decision.candidates().map(|c| c.endpoint.as_str()).collect();
//! assert_eq!(asked, ["gpt", "haiku"]);
//! # Ok::<(), maof_core::Error>(())
//! ```

pub mod cascade;
mod choose;
mod config;
pub mod fallback;
pub mod learned;
mod learner;
mod pool;
mod prompt;
mod pulse;
mod registry;
mod router;
pub mod shadow;

pub use config::{
    Arm, Cascade, Config, Filter, Learned, LinearThompson, Named, Rank, Shadow, Spread, Stages, Sticky,
    Strategy, TagRule, Teacher, Thompson, Tier,
};
pub use fallback::Fallback;
pub use prompt::difficulty;
pub use registry::{Agent, Offer, Registry};
pub use router::{Ports, Router};
