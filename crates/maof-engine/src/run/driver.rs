//! Drives one run: does what the machine commands, and journals before and after.
//!
//! A call is made only after the record that it is about to be made was committed, and its answer moves
//! the run on only together with the record of it. The record of the next call travels with the answer
//! that led to it, so that a chain of n steps takes n + 1 commits.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context as Cx, Poll, Waker};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use maof_core::{
    Batch, Body, Call, CallId, ChatRequest, Chosen, Error, ErrorKind, Failure, Finished, Principal,
    Provenance, Result, Run, RunState, Signal, Target, Verdict,
};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tower::ServiceExt;

use super::begun::{Begun, announced, the_end};
use super::step::{Command, Machine};
use crate::engine::Context;
use crate::record::{AgentAnswer, Record, Slot};
use crate::workflow::{Workflow, is_shallow};

/// Why a driver stops before its run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Somebody wishes the run cancelled: it ends.
    Cancel,
    /// The worker shuts down: the run goes back to the queue.
    Suspend,
    /// Somebody else has the run: nothing more is written.
    Lost,
}

/// One run in the hands of this worker.
pub(crate) struct Driver {
    context: Arc<Context>,
    run: Run,
    workflow: Arc<Workflow>,
    machine: Machine,
    /// What is commanded first.
    first: Vec<Command>,
    /// Whether the journal says already that the commands are about to be obeyed.
    announced: bool,
    principal: Arc<Principal>,
    /// The only work there is, done within the driver's own task: a chain wakes no other thread.
    alone: Option<BoxFuture<'static, Record>>,
    /// Work that runs side by side.
    tasks: JoinSet<Record>,
    /// The calls among it.
    calls: HashMap<Slot, AbortHandle>,
}

impl Driver {
    /// A driver of a claimed run. One that begins is given with its first calls announced already.
    pub(crate) fn new(
        context: Arc<Context>,
        run: Run,
        workflow: Arc<Workflow>,
        begun: Option<Begun>,
    ) -> Self {
        let announced = begun.is_some();
        let begun = begun.unwrap_or_else(|| Begun::new(&workflow, &run.task));
        let principal = Arc::new(run.task.principal.clone());
        Driver {
            context,
            run,
            workflow,
            machine: begun.machine,
            first: begun.commands,
            announced,
            principal,
            alone: None,
            tasks: JoinSet::new(),
            calls: HashMap::new(),
        }
    }

    /// Runs to the end, or until told to stop. Calls in flight are dropped on the way out, which aborts
    /// their upstreams.
    pub(crate) async fn drive(mut self, mut stop: watch::Receiver<Option<Stop>>) {
        let outcome = self.run_to_end(&mut stop).await;
        self.alone = None;
        self.tasks.abort_all();
        match outcome {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Conflict => {
                tracing::info!(run = %self.run.id, "the run belongs to another worker now");
            }
            Err(error) => {
                tracing::warn!(run = %self.run.id, error = %error, "the run goes back to the queue");
                self.release().await;
            }
        }
    }

    async fn run_to_end(&mut self, stop: &mut watch::Receiver<Option<Stop>>) -> Result<()> {
        let mut commands = self.replay().await?;
        let mut records = Vec::new();
        let deadline = self.context.until(self.run.task.deadline);
        loop {
            commands = self.resolve_joins(commands, &mut records);
            commands.retain(|command| !self.escalated(command) && !self.cancelled(command));
            if let Some(finished) = the_end(&commands) {
                let finished = finished.clone();
                return self.finish(records, finished).await;
            }
            let asked = *stop.borrow();
            if let Some(asked) = asked {
                return self.stop(asked, records).await;
            }
            if !std::mem::take(&mut self.announced) {
                records.extend(announced(&commands));
                self.commit(&records, None).await?;
                records.clear();
            }
            let asked = *stop.borrow();
            if let Some(asked) = asked {
                return self.stop(asked, records).await;
            }
            self.obey(commands);
            commands = tokio::select! {
                biased;
                asked = stopped(stop) => return self.stop(asked, records).await,
                () = sleep_until(deadline) => {
                    let late = Error::timed_out("the task's deadline has passed");
                    return self.finish(records, failed(late.failure())).await;
                }
                next = next(&mut self.alone, &mut self.tasks) => {
                    let Some(next) = next else {
                        let stuck = Error::internal("the run has nothing left to do and has not ended");
                        return self.finish(records, failed(stuck.failure())).await;
                    };
                    self.absorb(next, &mut records)?
                }
            };
            // What else came back in the meantime shares the commit.
            while let Some(next) = self.tasks.try_join_next() {
                commands.extend(self.absorb(next, &mut records)?);
            }
        }
    }

    /// Rebuilds the machine from the journal; what is outstanding is to be done (again).
    async fn replay(&mut self) -> Result<Vec<Command>> {
        if self.announced || self.run.seq == 1 {
            // Nothing but its acceptance is written.
            return Ok(std::mem::take(&mut self.first));
        }
        let journal = self.context.journal.load(&self.run.task.principal.tenant, self.run.id).await?;
        self.run.seq = journal.len() as u64;
        let mut fresh = Vec::new();
        for record in journal.iter().skip(1) {
            fresh = self.machine.step(&Record::decode(&record.bytes)?);
        }
        // An end that was commanded and not written is no outstanding call; it is commanded once.
        match the_end(&fresh) {
            Some(end) => Ok(vec![Command::Finish(end.clone())]),
            None => Ok(self.machine.outstanding()),
        }
    }

    /// Starts what is commanded.
    fn obey(&mut self, commands: Vec<Command>) {
        let only = commands.len() == 1 && self.tasks.is_empty() && self.alone.is_none();
        for command in commands {
            let slot = match &command {
                Command::Call { slot, .. } => Some(*slot),
                _ => None,
            };
            let work = match command {
                Command::Finish(_) | Command::Escalate { .. } | Command::Cancel { .. } => continue,
                Command::Join { index, item, answers } => {
                    let workflow = Arc::clone(&self.workflow);
                    async move { join(&workflow, index, item, answers).await }.boxed()
                }
                Command::Call { slot, step, target, question, attempt, delay } => {
                    let call = self.make_call(slot, &step, target, question);
                    let context = Arc::clone(&self.context);
                    async move {
                        if !delay.is_zero() {
                            tokio::time::sleep(delay).await;
                        }
                        match guarded(ask(&context, call)).await {
                            Ok(answer) => Record::Answered { slot, step, answer: Box::new(answer) },
                            Err(error) => Record::Failed { slot, step, attempt, failure: error.failure() },
                        }
                    }
                    .boxed()
                }
            };
            match only {
                true => self.alone = Some(work),
                // Spawned, so that calls that compute run side by side; owned, so that they end with the driver.
                false => {
                    let handle = self.tasks.spawn(work);
                    if let Some(slot) = slot {
                        self.calls.insert(slot, handle);
                    }
                }
            }
        }
    }

    fn make_call(&self, slot: Slot, step: &Arc<str>, target: Target, question: String) -> Call {
        let output = self.workflow.steps.get(slot.step as usize).and_then(|step| step.output.clone());
        let mut call = Call::new(
            CallId::from_uuid(self.context.ids.next()),
            target,
            Arc::clone(&self.principal),
            Body::from(ChatRequest { output, ..ChatRequest::user(question) }),
        );
        call.deadline = self.context.until(self.run.task.deadline);
        call.provenance = Provenance {
            run: Some(self.run.id),
            effect: Some(effect_key(&self.run, slot).into()),
            step: Some(Arc::clone(step)),
            task_type: Some(self.run.task.task_type.clone()),
            session: self.run.task.session.clone(),
            tags: self.run.task.tags.clone(),
            ..Provenance::default()
        };
        call
    }

    /// Takes in what came back.
    fn absorb(
        &mut self,
        next: Result<Record, tokio::task::JoinError>,
        records: &mut Vec<Record>,
    ) -> Result<Vec<Command>> {
        let record = match next {
            Ok(record) => record,
            // It was cancelled here: its guards have settled what it cost.
            Err(error) if error.is_cancelled() => return Ok(Vec::new()),
            Err(error) => return Err(Error::internal("a call of the run was lost").because(error)),
        };
        if let Record::Answered { slot, .. } | Record::Failed { slot, .. } = &record {
            self.calls.remove(slot);
        }
        let commands = self.machine.step(&record);
        records.push(record);
        Ok(commands)
    }

    /// Folds what can be folded without waiting, and takes the verdicts in.
    fn resolve_joins(&mut self, commands: Vec<Command>, records: &mut Vec<Record>) -> Vec<Command> {
        let mut left = Vec::with_capacity(commands.len());
        let mut todo: std::collections::VecDeque<Command> = commands.into();
        while let Some(command) = todo.pop_front() {
            let Command::Join { index, item, answers } = command else {
                left.push(command);
                continue;
            };
            let again = answers.clone();
            let mut folding = Box::pin(join(&self.workflow, index, item, answers));
            match folding.as_mut().poll(&mut Cx::from_waker(Waker::noop())) {
                Poll::Pending => left.push(Command::Join { index, item, answers: again }),
                Poll::Ready(record) => {
                    drop(folding);
                    todo.extend(self.machine.step(&record));
                    records.push(record);
                }
            }
        }
        left
    }

    /// Aborts a call's upstream, where that is commanded. It need not wait for the commit: a worker that takes over before that
    /// asks again, and comes to the same.
    fn cancelled(&mut self, command: &Command) -> bool {
        let Command::Cancel { slot } = command else { return false };
        if let Some(call) = self.calls.remove(slot) {
            call.abort();
        }
        true
    }

    /// Tells the operators, where that is commanded.
    fn escalated(&self, command: &Command) -> bool {
        let Command::Escalate { step, failure } = command else { return false };
        let (run, error, origin) = (self.run.id, failure.kind, failure.origin);
        tracing::error!(
            %run,
            step = %step,
            error.type = error.as_str(),
            error.origin = origin.as_str(),
            error.message = failure.message,
            "a step's failure is to be looked at"
        );
        self.context.observe.on(Signal::Escalated { run, step, error, origin });
        true
    }

    async fn commit(&mut self, records: &[Record], finished: Option<Finished>) -> Result<()> {
        if records.is_empty() && finished.is_none() {
            return Ok(());
        }
        let at = self.context.clock.now();
        let batch = Batch {
            run: self.run.id,
            fence: self.run.fence,
            seq: self.run.seq,
            records: Record::encode_all(records)?,
            finished,
            at,
        };
        self.context.journal.commit(batch).await?;
        self.run.seq += records.len() as u64;
        self.run.updated = at;
        self.context.tell(self.run.id);
        Ok(())
    }

    async fn finish(&mut self, mut records: Vec<Record>, finished: Finished) -> Result<()> {
        self.alone = None;
        self.tasks.abort_all();
        records.push(Record::Finished { state: finished.state, failure: finished.failure.clone() });
        // Large results are not copied for nobody.
        let told = self.context.waiting.anybody(self.run.id).then(|| finished.clone());
        let state = finished.state;
        self.commit(&records, Some(finished)).await?;
        self.context.observe.on(Signal::Run {
            run: self.run.id,
            task_type: &self.run.task.task_type,
            state,
            age: self.context.clock.now().since(self.run.created),
        });
        if let Some(Finished { state, result, failure }) = told {
            (self.run.state, self.run.result, self.run.failure) = (state, result, failure);
            self.context.waiting.hand_over(&self.run);
        }
        Ok(())
    }

    /// Stops. Answers that are there already are written down: they are paid for.
    async fn stop(&mut self, why: Stop, mut records: Vec<Record>) -> Result<()> {
        while let Some(next) = self.tasks.try_join_next() {
            // Commands that follow are somebody else's to obey.
            let _ = self.absorb(next, &mut records)?;
        }
        // Dropping the calls aborts their upstreams, and their guards settle, before anything is written.
        self.alone = None;
        self.tasks.shutdown().await;
        match why {
            Stop::Lost => {}
            Stop::Suspend => {
                self.commit(&records, None).await?;
                self.release().await;
            }
            Stop::Cancel => {
                self.run.cancel = true;
                let finished = Finished {
                    state: RunState::Cancelled,
                    result: None,
                    failure: Some(Error::cancelled("the task was cancelled").failure()),
                };
                self.finish(records, finished).await?;
            }
        }
        Ok(())
    }

    async fn release(&mut self) {
        if let Err(error) = self.context.journal.release(self.run.id, self.run.fence).await {
            // The lease runs out by itself.
            tracing::warn!(run = %self.run.id, error = %error, "the run could not be given back");
        }
    }
}

/// What comes back next; none when nothing is under way.
async fn next(
    alone: &mut Option<BoxFuture<'static, Record>>,
    tasks: &mut JoinSet<Record>,
) -> Option<Result<Record, tokio::task::JoinError>> {
    if let Some(work) = alone {
        let record = work.await;
        *alone = None;
        return Some(Ok(record));
    }
    tasks.join_next().await
}

/// Constant over attempts and restarts.
fn effect_key(run: &Run, slot: Slot) -> String {
    format!("{}/{}/{}/{}", run.id, slot.step, slot.item, slot.member)
}

async fn ask(context: &Context, call: Call) -> Result<AgentAnswer> {
    let began = context.clock.instant();
    let reply = context.calls.clone().oneshot(call).await?;
    let head = reply.head.clone();
    let (response, end) = reply.collect().await?;
    let text = response.text()?;
    let chosen: Option<&Chosen> = head.chosen.as_deref();
    let unnamed = || Error::internal("a reply does not say who answered");
    Ok(AgentAnswer {
        decision: chosen.map(|c| c.decision),
        agent: chosen.map(|c| c.agent.clone()).ok_or_else(unnamed)?,
        endpoint: chosen.map(|c| c.endpoint.clone()).ok_or_else(unnamed)?,
        value: value_of(text),
        usage: end.usage.unwrap_or_default(),
        cost: end.cost.unwrap_or_default(),
        micros: context.clock.instant().saturating_duration_since(began).as_micros() as u64,
        attempts: head.attempts.max(1),
        fallbacks: chosen.map_or(0, |c| c.fallbacks),
        instead_of: chosen.and_then(|c| c.instead_of.clone()),
    })
}

/// A call that panics has failed; it does not take the run with it.
async fn guarded<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let caught = std::panic::AssertUnwindSafe(work).catch_unwind().await;
    caught.unwrap_or_else(|_| Err(Error::internal("the call ended in a defect; see the log")))
}

/// JSON where the text is a JSON object or list that is not too deep to be kept, else the text.
fn value_of(text: String) -> Value {
    let parsed =
        (text.starts_with(['{', '[']) && is_shallow(&text)).then(|| serde_json::from_str(&text).ok());
    parsed.flatten().unwrap_or(Value::String(text))
}

async fn join(workflow: &Workflow, index: u32, item: u32, answers: Vec<maof_core::Answered>) -> Record {
    let step = &workflow.steps[index as usize];
    let name = Arc::clone(&step.id);
    let verdict: Result<Verdict> = match &step.join {
        Some(join) => join.aggregate(answers).await,
        None => Err(Error::internal("a step without a join was joined")),
    };
    match verdict {
        Ok(verdict) => Record::Joined { index, item, step: name, verdict: Box::new(verdict) },
        Err(error) => Record::JoinFailed { index, item, step: name, failure: error.failure() },
    }
}

fn failed(failure: Failure) -> Finished {
    Finished { state: RunState::Failed, result: None, failure: Some(failure) }
}

async fn stopped(stop: &mut watch::Receiver<Option<Stop>>) -> Stop {
    match stop.wait_for(Option::is_some).await {
        Ok(why) => (*why).unwrap_or(Stop::Suspend),
        // The engine is gone.
        Err(_) => Stop::Suspend,
    }
}

async fn sleep_until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
