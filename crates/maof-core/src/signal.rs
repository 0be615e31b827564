//! Signals: what layers tell of themselves. Telemetry alone turns them into metrics, so that names live in one place.

use std::fmt;
use std::time::Duration;

use crate::cache::CacheStatus;
use crate::call::Operation;
use crate::error::{ErrorKind, Origin};
use crate::ids::{Name, RunId};
use crate::journal::RunState;
use crate::money::Money;
use crate::route::Decision;
use crate::usage::Usage;

/// The states of a circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CircuitState {
    /// Calls pass.
    #[default]
    Closed,
    /// Calls are refused.
    Open,
    /// A few calls probe.
    HalfOpen,
}

impl CircuitState {
    /// The state's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// What keeps calls from an endpoint to protect it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// So many requests in time.
    Rate,
    /// So many requests at once.
    Bulkhead,
}

impl Limit {
    /// Every limit, in the order of their places in tables.
    pub const ALL: [Limit; 2] = [Self::Rate, Self::Bulkhead];

    /// The limit's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Bulkhead => "bulkhead",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Signal<'a> {
    /// A call entered the stack.
    CallBegan,
    /// A call left the stack.
    CallEnded {
        /// What was wanted.
        operation: Operation,
        /// How it failed, if it did.
        error: Option<ErrorKind>,
        /// How long it took.
        took: Duration,
    },
    /// A call failed.
    CallFailed {
        /// What went wrong.
        error: ErrorKind,
        /// Who caused it.
        origin: Origin,
    },
    /// A failure of a run's step is to be looked at.
    Escalated {
        /// The run.
        run: RunId,
        /// The step.
        step: &'a str,
        /// What went wrong.
        error: ErrorKind,
        /// Who caused it.
        origin: Origin,
    },
    /// A request to an upstream ended.
    AttemptEnded {
        /// The agent.
        agent: &'a Name,
        /// The endpoint.
        endpoint: &'a Name,
        /// How it failed, if it did.
        error: Option<ErrorKind>,
        /// How long it took.
        took: Duration,
        /// What was used.
        usage: &'a Usage,
        /// What it cost.
        cost: Money,
    },
    /// A request was sent to an upstream, whatever came of it. Told where requests leave, not where they are written down: of
    /// each an [`Signal::AttemptEnded`] must follow.
    Sent {
        /// The endpoint.
        endpoint: &'a Name,
    },
    /// A request was charged by prices that nobody knows.
    PriceUnknown {
        /// The endpoint.
        endpoint: &'a Name,
    },
    /// An endpoint is asked again.
    Retried {
        /// The endpoint.
        endpoint: &'a Name,
        /// Why.
        error: ErrorKind,
    },
    /// The router decided whom to ask.
    Routed {
        /// Whom, and why.
        decision: &'a Decision,
    },
    /// The next candidate is asked.
    FellBack {
        /// The agent that could not.
        from: &'a Name,
        /// The agent that is asked now.
        to: &'a Name,
        /// Why.
        error: ErrorKind,
    },
    /// A circuit breaker changed its state.
    Circuit {
        /// The endpoint.
        endpoint: &'a Name,
        /// The state it is in now.
        state: CircuitState,
    },
    /// A retry would have helped, but as many were made of late as may be.
    RetryRefused {
        /// The endpoint that is not asked again.
        endpoint: &'a Name,
    },
    /// A limit kept a call from an endpoint.
    Limited {
        /// The endpoint.
        endpoint: &'a Name,
        /// The limit.
        by: Limit,
    },
    /// The last endpoint of an agent was rested, or one of them can be asked again.
    AgentRested {
        /// The agent.
        agent: &'a Name,
        /// Whether all of its endpoints rest.
        rested: bool,
    },
    /// A call was refused at the door, because too many were under way.
    Shed,
    /// How many calls may be under way has changed.
    ConcurrencyLimit {
        /// So many from now on.
        limit: u32,
    },
    /// A call waits for the answer to one that is the same.
    Joined,
    /// A caller said what an answer was worth.
    FedBack,
    /// The cache was asked for an answer, or passed by.
    Cache(CacheStatus),
    /// How much the cache keeps has changed.
    CacheSize {
        /// Bytes that the answers take, about.
        bytes: u64,
    },
    /// A cheap agent's answer was looked at.
    Cascaded {
        /// Whether it was kept; else the call went on to whom it asked for.
        kept: bool,
    },
    /// A call was to be shadowed: another agent was asked too, or there was no room for it.
    Shadowed {
        /// Whether it was asked.
        asked: bool,
    },
    /// A second endpoint is asked beside one that is slow.
    Hedged {
        /// The slow one.
        from: &'a Name,
        /// The one beside it.
        to: &'a Name,
    },
    /// A budget refused a hold.
    HoldRefused {
        /// The account's name.
        account: &'a str,
    },
    /// An account passed a part of its limit, for the first time in its window.
    BudgetAlert {
        /// The account's name.
        account: &'a Name,
        /// The part, in percent.
        percent: u8,
    },
    /// A call was held on an account near its limit: who is cheaper is asked first.
    NearLimit {
        /// The account's name.
        account: &'a Name,
    },
    /// A run changed its state.
    Run {
        /// The run.
        run: RunId,
        /// The type of its task.
        task_type: &'a Name,
        /// Where it stands now.
        state: RunState,
        /// Since it was accepted.
        age: Duration,
    },
}

/// Is told what happens. Must neither block nor fail.
pub trait Observe: Send + Sync + fmt::Debug {
    /// Something happened.
    fn on(&self, signal: Signal<'_>);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observe for Silent {
    fn on(&self, _: Signal<'_>) {}
}
