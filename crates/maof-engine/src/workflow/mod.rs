//! A workflow: a named graph of steps, written in YAML, checked before anything runs.
//!
//! Steps run one after the other unless `needs` says otherwise; steps whose needs are met run side by side.
//! A step asks one agent, or several in `parallel`; once, or for every item of a `map`; and may `join` the
//! answers of its members into a verdict.
//!
//! ```
//! use maof_engine::{Workflow, WorkflowSpec};
//! let spec: WorkflowSpec = serde_json::from_value(serde_json::json!({
//!     "name": "greet",
//!     "steps": [
//!         {"id": "draft", "agent": "writer", "ask": "Greet {{ input.name }}."},
//!         {"id": "check", "agent": "critic", "ask": "Improve: {{ steps.draft }}"},
//!     ],
//! })).map_err(|e| maof_core::Error::invalid_request(e.to_string()))?;
//! let workflow = Workflow::compile(spec, &maof_engine::no_joins)?;
//! assert_eq!(workflow.agents().count(), 2);
//! # Ok::<(), maof_core::Error>(())
//! ```

mod graph;
mod recovery;
mod scope;
mod spec;

pub use graph::{MakeAggregate, Step, Workflow, no_joins};
pub use recovery::{Recoveries, check_recoveries};
pub(crate) use scope::Scope;
pub use scope::{is_shallow, is_shallow_value};
pub use spec::{InputFormat, InputSpec, OnError, StepSpec, Then, WorkflowSpec};
