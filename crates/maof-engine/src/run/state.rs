//! What a run has come to: a fold over its records, and nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use maof_core::{Answered, ErrorKind, Failure, Money, Retry, Verdict};
use minijinja::Value as Val;
use serde_json::Value;

use crate::record::{AgentAnswer, Slot};
use crate::workflow::{OnError, Scope, Workflow};

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepStatus {
    /// A need has not ended.
    Waiting,
    /// Calls are made.
    Running,
    /// Its output is there.
    Done,
    /// Its `when` was false.
    Skipped,
}

/// One item of a step: the members' answers and what they were folded into.
#[derive(Clone, Debug)]
pub struct ItemState {
    /// The members' answers, in their order; none while they are awaited or where a member failed and was skipped.
    pub answers: Vec<Option<AgentAnswer>>,
    /// The verdict, where the step joins.
    pub verdict: Option<Verdict>,
    /// The right answer, where it is known.
    pub expected: Option<Value>,
    pub(super) missing: usize,
    /// How often all its agents were asked anew.
    pub(super) resets: u32,
    pub(super) output: Value,
}

#[derive(Debug)]
pub(super) struct StepState {
    pub(super) status: StepStatus,
    pub(super) list: Vec<Val>,
    pub(super) items: Vec<ItemState>,
    pub(super) open_items: usize,
    pub(super) began: bool,
}

/// A call that was asked for and has not come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) attempt: u32,
    pub(super) on_fallback: bool,
    /// Of the attempts, those that met a rate limit which was waited for.
    pub(super) waits: u32,
    /// How long they waited, in all.
    pub(super) waited: Duration,
}

impl Open {
    /// A call that is made for the first time.
    pub(super) const FIRST: Open = Open { attempt: 1, on_fallback: false, waits: 0, waited: Duration::ZERO };

    /// The next attempt.
    pub(super) fn again(&self) -> Open {
        Open { attempt: self.attempt + 1, ..self.clone() }
    }

    /// How long to wait for a rate limit that was met, if it may be waited for.
    pub(super) fn patience(&self, policy: &OnError, failure: &Failure) -> Option<Duration> {
        if policy.wait_ms == 0 || failure.kind != ErrorKind::RateLimited {
            return None;
        }
        let wait = match failure.retry {
            Retry::Never => return None,
            Retry::After(wait) => wait,
            Retry::Here | Retry::Elsewhere => Duration::from_secs(1 << self.waits.min(20)),
        };
        let within = self.waited.saturating_add(wait) <= Duration::from_millis(policy.wait_ms);
        // A limit that is said to be over already is not hammered at.
        within.then_some(wait.max(Duration::from_millis(100)))
    }
}

/// What a run has come to.
#[derive(Debug)]
pub(super) struct State {
    pub(super) workflow: Arc<Workflow>,
    pub(super) scope: Scope,
    pub(super) steps: Vec<StepState>,
    /// Slots that wait for a place among the calls in flight.
    pub(super) ready: VecDeque<Slot>,
    /// Calls in flight.
    pub(super) open: BTreeMap<Slot, Open>,
    /// Joins in flight.
    pub(super) joining: BTreeMap<(u32, u32), Vec<Answered>>,
    pub(super) calls: u64,
    pub(super) finished: bool,
}

impl State {
    pub(super) fn new(workflow: Arc<Workflow>, input: &Value) -> Self {
        let steps = workflow.steps.iter().map(|_| StepState {
            status: StepStatus::Waiting,
            list: Vec::new(),
            items: Vec::new(),
            open_items: 0,
            began: false,
        });
        State {
            scope: Scope::new(input),
            steps: steps.collect(),
            ready: VecDeque::new(),
            open: BTreeMap::new(),
            joining: BTreeMap::new(),
            calls: 0,
            finished: false,
            workflow,
        }
    }

    pub(super) fn item(&mut self, slot: Slot) -> Option<&mut ItemState> {
        self.steps.get_mut(slot.step as usize)?.items.get_mut(slot.item as usize)
    }
}

/// A read-only view of a run's steps, for reports.
#[derive(Debug)]
pub struct RunView<'a>(pub(super) &'a State);

impl RunView<'_> {
    /// Each step with its status and items.
    pub fn steps(&self) -> impl Iterator<Item = (&str, StepStatus, &[ItemState])> {
        let named = self.0.workflow.steps.iter().zip(&self.0.steps);
        named.map(|(step, state)| (&*step.id, state.status, state.items.as_slice()))
    }

    /// What all answers so far cost.
    pub fn cost(&self) -> Money {
        let items = self.0.steps.iter().flat_map(|s| &s.items);
        items.flat_map(|i| i.answers.iter().flatten()).map(|a| a.cost).sum()
    }
}
