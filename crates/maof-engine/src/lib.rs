//! Runs work, durably: workflows, a pure step, a driver, and the engine with its queue.
//!
//! A task is accepted into the journal before anybody is told that it is; its run is claimed by a worker
//! under a fence; the pure [`Machine`] says what is to be done next, a driver does it through the call
//! path, and every answer is journaled before the run goes on. After a crash, whoever claims the run
//! replays the journal and does only what has no answer yet.

pub mod config;
pub mod engine;
pub mod record;
pub mod report;
pub mod run;
pub mod workflow;

pub use config::Config;
pub use engine::{CallService, Compile, Engine, Parts, RunEvent, read_report};
pub use record::{AgentAnswer, Record, Slot};
pub use report::{AgentReport, Disagreement, FailedAttempts, Replaced, Report, StepReport, VoteReport};
pub use run::{Command, Machine};
pub use workflow::{
    InputFormat, InputSpec, MakeAggregate, OnError, Recoveries, Step, StepSpec, Then, Workflow, WorkflowSpec,
    check_recoveries, is_shallow, is_shallow_value, no_joins,
};
