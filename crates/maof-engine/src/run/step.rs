//! The engine's heart: `step(state, event) -> commands`. Pure: it reads no clock, draws no random number
//! and does no I/O, so that replaying any prefix of a journal gives the same commands.

use std::sync::Arc;
use std::time::Duration;

use maof_core::{Answered, Error, Failure, Finished, Member, Recovery, Result, RunState, Target};
use minijinja::Value as Val;
use serde_json::{Map, Value};

use super::state::{ItemState, Open, RunView, State, StepStatus};
use crate::record::{AgentAnswer, Record, Slot};
use crate::workflow::{Step, Then, Workflow};

/// Calls that one run may make, retries not counted.
const MOST_CALLS: u64 = 100_000;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Ask an agent.
    Call {
        /// The call.
        slot: Slot,
        /// The step's name.
        step: Arc<str>,
        /// Whom.
        target: Target,
        /// The question.
        question: String,
        /// How often it was asked, this time included.
        attempt: u32,
        /// How long to wait first.
        delay: Duration,
    },
    /// Fold answers.
    Join {
        /// The step's place.
        index: u32,
        /// The item's place.
        item: u32,
        /// The answers, in the members' order.
        answers: Vec<Answered>,
    },
    /// Cancel a call that is under way: nothing depends on it any more.
    Cancel {
        /// The call.
        slot: Slot,
    },
    /// Tell the operators of a failure.
    Escalate {
        /// The step's name.
        step: Arc<str>,
        /// What failed.
        failure: Failure,
    },
    /// Nothing more: write the end down.
    Finish(Finished),
}

/// A run's state and the one function that changes it.
#[derive(Debug)]
pub struct Machine {
    state: State,
}

impl Machine {
    /// A run that nothing has happened to.
    pub fn new(workflow: Arc<Workflow>, input: &Value) -> Self {
        Machine { state: State::new(workflow, input) }
    }

    /// Adds what happened, and says what is to be done next.
    ///
    /// Each record but [`Record::Asked`], which only tells, moves the run on. Records that do not fit (an
    /// answer that nobody waits for) change nothing.
    pub fn step(&mut self, record: &Record) -> Vec<Command> {
        if self.state.finished {
            return Vec::new();
        }
        let mut commands = Vec::new();
        if let Err(error) = self.apply(record, &mut commands) {
            // That somebody is to look at it is told all the same.
            commands.retain(|command| matches!(command, Command::Escalate { .. }));
            commands.push(self.fail(error.failure()));
        }
        commands
    }

    /// What is asked for and has not come back: what a worker that takes over has to do again.
    pub fn outstanding(&mut self) -> Vec<Command> {
        if self.state.finished {
            return Vec::new();
        }
        let open: Vec<(Slot, Open)> = self.state.open.iter().map(|(s, o)| (*s, o.clone())).collect();
        let mut commands = Vec::new();
        for (slot, open) in open {
            match self.call(slot, open.attempt, open.on_fallback, Duration::ZERO) {
                Ok(command) => commands.push(command),
                Err(error) => return vec![self.fail(error.failure())],
            }
        }
        let joins = self.state.joining.iter();
        commands.extend(joins.map(|(&(index, item), answers)| Command::Join {
            index,
            item,
            answers: answers.clone(),
        }));
        commands
    }

    /// Whether the run has ended.
    pub fn is_finished(&self) -> bool {
        self.state.finished
    }

    /// What the run has come to.
    pub fn view(&self) -> RunView<'_> {
        RunView(&self.state)
    }

    fn apply(&mut self, record: &Record, out: &mut Vec<Command>) -> Result<()> {
        match record {
            Record::Accepted { .. } => self.start_steps(out)?,
            Record::Asked { .. } => {}
            Record::Answered { slot, answer, .. } => {
                if self.state.open.remove(slot).is_some() {
                    self.answered(*slot, Some(answer), out)?;
                }
            }
            Record::Failed { slot, failure, .. } => self.failed(*slot, failure, out)?,
            Record::Joined { index, item, verdict, .. } => {
                if self.state.joining.remove(&(*index, *item)).is_some() {
                    let slot = Slot { step: *index, item: *item, member: 0 };
                    if let Some(state) = self.state.item(slot) {
                        state.verdict = Some((**verdict).clone());
                    }
                    self.item_done(slot, verdict.value.clone(), out)?;
                }
            }
            Record::JoinFailed { index, item, failure, .. } => {
                if self.state.joining.remove(&(*index, *item)).is_some() {
                    let slot = Slot { step: *index, item: *item, member: 0 };
                    self.last_resort(slot, failure)?;
                    self.item_done(slot, Value::Null, out)?;
                }
            }
            Record::Finished { .. } => self.state.finished = true,
        }
        if self.state.finished {
            return Ok(());
        }
        self.fill(out)?;
        if self.state.steps.iter().all(|s| matches!(s.status, StepStatus::Done | StepStatus::Skipped)) {
            let result = self.result()?;
            out.push(Command::Finish(Finished {
                state: RunState::Completed,
                result: Some(result),
                failure: None,
            }));
        }
        Ok(())
    }

    fn fail(&mut self, failure: Failure) -> Command {
        Command::Finish(Finished { state: RunState::Failed, result: None, failure: Some(failure) })
    }

    /// Starts every step whose needs are met, until none is left that can start.
    fn start_steps(&mut self, out: &mut Vec<Command>) -> Result<()> {
        while let Some(index) = self.next_to_start() {
            self.start(index, out).map_err(|e| {
                let step = &self.state.workflow.steps[index].id;
                e.context(format_args!("step {step}"))
            })?;
        }
        Ok(())
    }

    fn next_to_start(&self) -> Option<usize> {
        let ended = |&need: &usize| {
            let status = self.state.steps.get(need).map(|s| s.status);
            matches!(status, Some(StepStatus::Done | StepStatus::Skipped))
        };
        let steps = self.state.workflow.steps.iter().zip(&self.state.steps);
        steps
            .enumerate()
            .find(|(_, (step, state))| !state.began && step.needs.iter().all(ended))
            .map(|(index, _)| index)
    }

    fn start(&mut self, index: usize, out: &mut Vec<Command>) -> Result<()> {
        let workflow = Arc::clone(&self.state.workflow);
        let step = &workflow.steps[index];
        self.state.steps[index].began = true;
        if let Some(when) = &step.when {
            let holds = self.state.scope.eval(&workflow.environment, when, None);
            if !holds.map_err(|e| e.param("when"))?.is_true() {
                return self.step_done(index, StepStatus::Skipped, Value::Null, out);
            }
        }
        let list = match &step.map {
            None => vec![Val::from(())],
            Some(map) => self.state.scope.items(&workflow.environment, map).map_err(|e| e.param("map"))?,
        };
        self.state.calls += list.len() as u64 * step.members.len() as u64;
        if self.state.calls > MOST_CALLS {
            return Err(Error::too_large("a run makes at most 100,000 calls").param("map"));
        }
        for (i, item) in list.iter().enumerate() {
            let item = (item.clone(), i as u32);
            let scope = &self.state.scope;
            let expected = match &step.expect {
                None => None,
                Some(expression) => Some(
                    scope
                        .json(&workflow.environment, expression, step.map.as_ref().map(|_| &item))
                        .map_err(|e| e.param("expect"))?,
                ),
            };
            self.state.steps[index].items.push(ItemState {
                answers: vec![None; step.members.len()],
                verdict: None,
                expected,
                missing: step.members.len(),
                resets: 0,
                output: Value::Null,
            });
            let slots = (0..step.members.len() as u32).map(|member| Slot {
                step: index as u32,
                item: i as u32,
                member,
            });
            self.state.ready.extend(slots);
        }
        let state = &mut self.state.steps[index];
        state.status = StepStatus::Running;
        state.open_items = list.len();
        state.list = list;
        if state.open_items == 0 {
            return self.step_done(index, StepStatus::Done, Value::Array(Vec::new()), out);
        }
        Ok(())
    }

    /// Moves ready calls into flight, as many as may be.
    fn fill(&mut self, out: &mut Vec<Command>) -> Result<()> {
        while self.state.open.len() < self.state.workflow.max_parallel {
            let Some(slot) = self.state.ready.pop_front() else { break };
            let command = self.call(slot, 1, false, Duration::ZERO)?;
            self.state.open.insert(slot, Open::FIRST);
            out.push(command);
        }
        Ok(())
    }

    fn call(&mut self, slot: Slot, attempt: u32, fallback: bool, delay: Duration) -> Result<Command> {
        let workflow = Arc::clone(&self.state.workflow);
        let step = &workflow.steps[slot.step as usize];
        let list = &self.state.steps[slot.step as usize].list;
        let item =
            step.map.as_ref().and_then(|_| list.get(slot.item as usize)).map(|v| (v.clone(), slot.item));
        let question = self
            .state
            .scope
            .question(&workflow.environment, step.ask.as_deref(), item.as_ref())
            .map_err(|e| e.param("ask").context(format_args!("step {}", step.id)))?;
        let target = asked(step, slot, fallback);
        Ok(Command::Call { slot, step: Arc::clone(&step.id), target, question, attempt, delay })
    }

    fn failed(&mut self, slot: Slot, failure: &Failure, out: &mut Vec<Command>) -> Result<()> {
        let Some(open) = self.state.open.get(&slot).cloned() else { return Ok(()) };
        let workflow = Arc::clone(&self.state.workflow);
        let step = &workflow.steps[slot.step as usize];
        let policy = &step.on_error;
        if let Some(wait) = open.patience(policy, failure) {
            let waited = open.waited.saturating_add(wait);
            return self.ask_again(slot, Open { waits: open.waits + 1, waited, ..open.again() }, wait, out);
        }
        let tries = open.attempt - open.waits;
        let may_retry = !open.on_fallback && tries <= policy.retry;
        let may_fall_back = !open.on_fallback && policy.fallback.is_some();
        match workflow.recovery(step, &asked(step, slot, open.on_fallback), failure) {
            None | Some(Recovery::Retry) if may_retry => {
                let doubled = policy.delay_ms.saturating_mul(1 << (tries - 1).min(20));
                return self.ask_again(
                    slot,
                    open.again(),
                    Duration::from_millis(doubled.min(3_600_000)),
                    out,
                );
            }
            None | Some(Recovery::Retry | Recovery::Fallback) if may_fall_back => {
                let open = Open { on_fallback: true, ..open.again() };
                return self.ask_again(slot, open, Duration::ZERO, out);
            }
            Some(Recovery::Reset) if self.reset(slot, policy.retry) => return Ok(()),
            Some(Recovery::Terminate) => return Err(ends(step, failure)),
            Some(Recovery::Skip) => {}
            recovery => {
                if recovery == Some(Recovery::Escalate) {
                    let (step, failure) = (Arc::clone(&step.id), failure.clone());
                    out.push(Command::Escalate { step, failure });
                }
                self.last_resort(slot, failure)?;
            }
        }
        self.state.open.remove(&slot);
        self.answered(slot, None, out)
    }

    fn ask_again(&mut self, slot: Slot, open: Open, delay: Duration, out: &mut Vec<Command>) -> Result<()> {
        let command = self.call(slot, open.attempt, open.on_fallback, delay)?;
        self.state.open.insert(slot, open);
        out.push(command);
        Ok(())
    }

    /// Forgets what the agents of an item have answered, so that all are asked anew; false where that was done so often
    /// already. Those that are being asked are not asked twice.
    fn reset(&mut self, slot: Slot, most: u32) -> bool {
        let Some(item) = self.state.item(slot).filter(|item| item.resets < most) else { return false };
        item.resets += 1;
        item.missing = item.answers.len();
        item.answers.fill(None);
        let members = item.answers.len() as u32;
        self.state.open.remove(&slot);
        for member in 0..members {
            let slot = Slot { member, ..slot };
            if !self.state.open.contains_key(&slot) && !self.state.ready.contains(&slot) {
                self.state.ready.push_back(slot);
            }
        }
        true
    }

    /// Fails the run where the step says so.
    fn last_resort(&self, slot: Slot, failure: &Failure) -> Result<()> {
        let step = &self.state.workflow.steps[slot.step as usize];
        match step.on_error.then {
            Then::Skip => Ok(()),
            Then::Fail => Err(ends(step, failure)),
        }
    }

    fn answered(&mut self, slot: Slot, answer: Option<&AgentAnswer>, out: &mut Vec<Command>) -> Result<()> {
        let workflow = Arc::clone(&self.state.workflow);
        let step = &workflow.steps[slot.step as usize];
        let Some(item) = self.state.item(slot) else { return Ok(()) };
        item.answers[slot.member as usize] = answer.cloned();
        item.missing -= 1;
        if item.missing > 0 {
            if !self.is_decided(step, slot) {
                return Ok(());
            }
            self.cancel_others(slot, out);
        }
        let Some(item) = self.state.item(slot) else { return Ok(()) };
        let named = step.members.iter().zip(&item.answers);
        if step.join.is_some() {
            let answers = named.filter_map(|(member, answer)| {
                // A fallback answers in the name of the member it stands in for: weights belong to members.
                let Target::Name(agent) = member else { return None };
                let answer = answer.as_ref()?;
                Some(Answered { agent: agent.clone(), value: answer.value.clone(), cost: answer.cost })
            });
            let answers: Vec<Answered> = answers.collect();
            self.state.joining.insert((slot.step, slot.item), answers.clone());
            out.push(Command::Join { index: slot.step, item: slot.item, answers });
            return Ok(());
        }
        let value = |answer: &Option<AgentAnswer>| answer.as_ref().map_or(Value::Null, |a| a.value.clone());
        let output = match item.answers.as_slice() {
            [only] if workflow.spec.steps[slot.step as usize].parallel.is_empty() => value(only),
            _ => named.map(|(m, a)| (m.to_string(), value(a))).collect::<Map<_, _>>().into(),
        };
        self.item_done(slot, output, out)
    }

    /// Whether those who are still asked for an item can be done without.
    fn is_decided(&self, step: &Step, slot: Slot) -> bool {
        let Some(join) = step.join.as_ref().filter(|_| step.early_stop) else { return false };
        let State { steps, open, ready, .. } = &self.state;
        let Some(item) = steps.get(slot.step as usize).and_then(|s| s.items.get(slot.item as usize)) else {
            return false;
        };
        let mut members = Vec::with_capacity(step.members.len());
        for (place, (member, answer)) in step.members.iter().zip(&item.answers).enumerate() {
            let Target::Name(agent) = member else { return false };
            let slot = Slot { member: place as u32, ..slot };
            members.push(match answer {
                Some(answer) => Member::Answered { agent, value: &answer.value },
                None if open.contains_key(&slot) || ready.contains(&slot) => Member::Awaited(agent),
                None => Member::Failed,
            });
        }
        join.is_decided(&members)
    }

    /// Lets go of those who are still asked for an item.
    fn cancel_others(&mut self, slot: Slot, out: &mut Vec<Command>) {
        let is_other = |other: &Slot| (other.step, other.item) == (slot.step, slot.item);
        self.state.ready.retain(|other| !is_other(other));
        let under_way: Vec<Slot> = self.state.open.keys().filter(|other| is_other(other)).copied().collect();
        for slot in under_way {
            self.state.open.remove(&slot);
            out.push(Command::Cancel { slot });
        }
        if let Some(item) = self.state.item(slot) {
            item.missing = 0;
        }
    }

    fn item_done(&mut self, slot: Slot, output: Value, out: &mut Vec<Command>) -> Result<()> {
        let index = slot.step as usize;
        if let Some(item) = self.state.item(slot) {
            item.output = output;
        }
        let state = &mut self.state.steps[index];
        state.open_items -= 1;
        if state.open_items > 0 {
            return Ok(());
        }
        let mut outputs: Vec<Value> = state.items.iter_mut().map(|i| i.output.take()).collect();
        let output = match self.state.workflow.steps[index].map {
            Some(_) => Value::Array(outputs),
            None => outputs.pop().unwrap_or_default(),
        };
        self.step_done(index, StepStatus::Done, output, out)
    }

    fn step_done(
        &mut self,
        index: usize,
        status: StepStatus,
        output: Value,
        out: &mut Vec<Command>,
    ) -> Result<()> {
        self.state.steps[index].status = status;
        self.state.scope.set(Arc::clone(&self.state.workflow.steps[index].id), &output);
        self.start_steps(out)
    }

    /// The run's result: what `output` says, else the output of every step that no other needs.
    fn result(&self) -> Result<Value> {
        let workflow = &self.state.workflow;
        let eval = |name: &str, expression: &str| -> Result<(String, Value)> {
            let value = self.state.scope.json(&workflow.environment, expression, None);
            Ok((name.to_owned(), value.map_err(|e| e.param(format!("output.{name}")))?))
        };
        let parts: Result<Map<String, Value>> = if workflow.output.is_empty() {
            let needed = |i: usize| workflow.steps.iter().any(|s| s.needs.contains(&i));
            let leaves = workflow.steps.iter().enumerate().filter(|(i, _)| !needed(*i));
            leaves.map(|(_, step)| Ok((step.id.to_string(), self.state.scope.output(&step.id)?))).collect()
        } else {
            workflow.output.iter().map(|(name, expression)| eval(name, expression)).collect()
        };
        parts.map(Value::Object)
    }
}

/// Whom a call asks.
fn asked(step: &Step, slot: Slot, fallback: bool) -> Target {
    match &step.on_error.fallback {
        Some(agent) if fallback => Target::Name(agent.clone()),
        _ => step.members[slot.member as usize].clone(),
    }
}

/// The failure that ends a run.
fn ends(step: &Step, failure: &Failure) -> Error {
    Error::from(failure.clone()).context(format_args!("step {}", step.id))
}
