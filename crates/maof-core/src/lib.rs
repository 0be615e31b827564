//! The ground of MAOF: nouns, ports and the error, in the words of `docs/glossary.md`.
//!
//! This crate does no I/O and knows no runtime, wire format or database. Every other crate of MAOF
//! imports it and, on the first floor, nothing else of ours; what two siblings share is a noun or a port
//! here, or it does not exist.
//!
//! - Nouns: [`Call`], [`Reply`], [`Event`], [`End`], [`Usage`], [`Money`], [`Principal`], [`Task`], [`Run`] …
//! - Ports: [`Endpoint`], [`Dialect`], [`Route`], [`Hedge`], [`Ledger`], [`Journal`], [`Cache`], [`Audit`],
//!   [`Snapshots`], [`Aggregate`], [`Observe`], [`Clock`], [`Ids`], [`Random`].
//! - The error: [`Error`], with its [`ErrorKind`], [`Origin`] and [`Retry`].

pub mod aggregate;
pub mod budget;
pub mod cache;
pub mod call;
pub mod chat;
pub mod clock;
pub mod dialect;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod fold;
pub mod hedge;
pub mod ids;
pub mod journal;
pub mod measure;
pub mod media;
pub mod money;
pub mod principal;
pub mod reply;
pub mod route;
pub mod signal;
pub mod snapshot;
pub mod spending;
pub mod usage;
pub mod waits;
pub mod window;

pub use aggregate::{Aggregate, Answered, Member, Verdict};
pub use budget::{Account, Attempt, Balance, Balances, Charge, HoldMode, Ledger};
pub use cache::{Cache, CacheControl, CacheKey, CacheStatus, Kept};
pub use call::{Body, Call, Chosen, Held, Near, Operation, Provenance, Purpose, Target, Wire};
pub use chat::{
    ChatAnswer, ChatRequest, Choice, EmbedAnswer, EmbedRequest, Finish, Message, OutputFormat, Part, Speaker,
    Thinking, ToolCall, ToolChoice, ToolSpec,
};
pub use clock::{Clock, Timestamp};
pub use dialect::{
    Ask, Content, Decoder, Dialect, Encoder, Envelope, Header, Incoming, Outgoing, Unsupported,
};
pub use endpoint::{Card, Endpoint, Probe};
pub use error::{Category, Classify, Error, ErrorKind, Failure, Origin, Recovery, Result, Retry, Severity};
pub use event::{Delta, Event, Frame};
pub use hedge::Hedge;
pub use ids::{AttemptId, CallId, DecisionId, Ids, Name, Random, RunId, TaskId};
pub use journal::{
    Audit, AuditRow, Batch, Beat, Claim, Finished, FirstClaim, Journal, NewRun, Record, Run, RunFilter,
    RunState, Task,
};
pub use measure::Measure;
pub use money::{Money, Tariff};
pub use principal::{Grant, Principal, Role, Secret};
pub use reply::{
    Answer, Conformity, End, Ends, Events, Guard, Guarded, Head, Outcome, Parts, Reply, ReplyStream, Response,
};
pub use route::{Candidate, Decision, LeftOut, Observed, Route, Why};
pub use signal::{CircuitState, Limit, Observe, Signal, Silent};
pub use snapshot::{MAX_SNAPSHOT, Snapshots};
pub use spending::{Dimension, Group, Spending, SpendingQuery, Spent};
pub use usage::{Unit, Usage};
pub use waits::Waits;
pub use window::{Length, Window, Zone};
