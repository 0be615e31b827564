//! Decides who should answer a call, and asks them one after the other.
//!
//! - [`Registry`]: which agents and endpoints there are, checked.
//! - [`Router`]: turns a call's target into candidates, best first; the [`maof_core::Route`] port.
//! - [`Fallback`]: asks the candidates in order until one answers.
//!
//! ```
//! use maof_core::{Body, Call, CallId, ChatRequest, Ids, Name, Operation, Principal, Route as _, Target};
//! use maof_router::{Agent, Config, Registry, Router};
//! use std::{collections::HashMap, sync::Arc};
//! # #[derive(Debug)] struct MyIds;
//! # impl Ids for MyIds { fn next(&self) -> uuid::Uuid { uuid::Uuid::nil() } }
//!
//! let (gpt, haiku) = (Name::new("gpt")?, Name::new("haiku")?);
//! let analyst = Agent {
//!     endpoints: vec![gpt.clone(), haiku.clone()],
//!     capabilities: vec![Name::new("finance")?],
//!     ..Agent::new(Name::new("analyst")?)
//! };
//! let offers = HashMap::from([(gpt, vec![Operation::Chat]), (haiku, vec![Operation::Chat])]);
//! let registry = Registry::new(vec![analyst], offers, HashMap::new())?;
//! let router = Router::new(registry, &Config::default(), Arc::new(MyIds))?;
//!
//! let body = Body::from(ChatRequest::user("Buy or sell?"));
//! let id = CallId::from_uuid(uuid::Uuid::nil());
//! let target = Target::Capability(Name::new("finance")?);
//! let decision = router.decide(&Call::new(id, target, Principal::local(), body))?;
//! let asked: Vec<_> = decision.candidates.iter().map(|c| c.endpoint.as_str()).collect();
//! assert_eq!(asked, ["gpt", "haiku"]);
//! # Ok::<(), maof_core::Error>(())
//! ```

mod config;
pub mod fallback;
pub mod learned;
mod registry;
mod router;

pub use config::{Config, Strategy};
pub use fallback::Fallback;
pub use registry::{Agent, Registry};
pub use router::Router;
