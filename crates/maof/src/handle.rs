//! The handle: both doors, and what can be asked of a running MAOF.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use maof_core::{
    Audit, AuditRow, Body, Call, CallId, Clock, DecisionId, Dialect, Envelope, Error, Ids, Journal, Ledger,
    Name, Observe as _, Principal, Record as Row, Reply, Result, Role, Route, Run, RunFilter, RunId, Signal,
    Target, Task, TaskId, Timestamp,
};
use maof_engine::{AgentAnswer, Engine, Record, Report, RunEvent, Workflow, WorkflowSpec};
use maof_security::Keyring;
use parking_lot::RwLock;
use serde::Serialize;
use serde_json::Value;
use tower::ServiceExt;

use crate::config::Config;
use crate::live::{Ground, Live, Now};
use crate::reload::Source;

/// Attempts that a report looks at; the latest.
pub(crate) const REPORTED_ATTEMPTS: u32 = 100_000;

/// A running MAOF. Cheap to clone; every clone is the same one.
#[derive(Clone)]
pub struct Maof {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    /// Endpoints, agents and who decides among them, as they are now.
    pub(crate) live: Arc<Now<Live>>,
    pub(crate) ground: Ground,
    /// Where the configuration is read again, where it can be.
    pub(crate) source: Option<Source>,
    /// The configured workflows; held while all is replaced, so that there is one change after the other.
    pub(crate) configured: parking_lot::Mutex<Vec<Name>>,
    /// Keeps what the router learns, where that is kept.
    pub(crate) learning: Option<Arc<crate::learning::Learning>>,
    pub(crate) engine: Engine,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) keyring: Keyring,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) started: Timestamp,
    /// Workflows by the type of task that they serve.
    pub(crate) workflows: RwLock<HashMap<Name, Arc<Workflow>>>,
    /// Stops background work (metrics' upkeep): at shutdown, or with the last handle.
    pub(crate) closing: tokio_util::sync::CancellationToken,
    /// All that runs beside its callers.
    pub(crate) tracker: tokio_util::task::TaskTracker,
    pub(crate) _guard: tokio_util::sync::DropGuard,
}

/// What is asked for at the durable door.
#[derive(Clone, Debug)]
pub struct TaskRequest {
    /// Its type: a workflow's name, or a type of the agent map.
    pub task_type: Name,
    /// The question: text or JSON; must not be empty.
    pub content: Value,
    /// Higher goes first; 0 is usual.
    pub priority: i16,
    /// How long the answer is of use.
    pub deadline: Option<Duration>,
    /// The session that it belongs to, as the caller names it.
    pub session: Option<Arc<str>>,
    /// What else the caller says of it, for rules of routing.
    pub tags: Option<Arc<BTreeMap<Name, Name>>>,
    /// The same key twice is the same run.
    pub idempotency_key: Option<String>,
    /// The workflow, where it is not one of the configured ones.
    pub workflow: Option<Arc<Workflow>>,
}

/// An agent, for those who may use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgentInfo {
    /// Its name.
    pub name: Name,
    /// What it is for.
    pub description: String,
    /// What it can do.
    pub capabilities: Vec<Name>,
    /// The endpoints that it may use, in order.
    pub endpoints: Vec<Name>,
}

/// One agent's answer within a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunAnswer {
    /// The step.
    pub step: Arc<str>,
    /// The item of the step's map.
    pub item: u32,
    /// The answer.
    pub answer: AgentAnswer,
}

impl fmt::Debug for Maof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maof").field("agents", &self.live().agents.len()).finish_non_exhaustive()
    }
}

impl Maof {
    /// Endpoints, agents and who decides among them, as they are now.
    pub(crate) fn live(&self) -> Arc<Live> {
        self.inner.live.get()
    }

    /// The configuration it runs with now.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.live().config)
    }

    /// When it began.
    pub fn started(&self) -> Timestamp {
        self.inner.started
    }

    /// The clock that it goes by.
    pub fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    // The gateway door.

    /// A call with an id and the configured total deadline. An alias becomes the name that it stands for.
    pub fn new_call(&self, target: Target, principal: Arc<Principal>, body: Body) -> Call {
        let live = self.live();
        let target = match target {
            Target::Name(name) => Target::Name(live.aliases.get(&name).cloned().unwrap_or(name)),
            other => other,
        };
        let id = CallId::from_uuid(self.inner.ids.next());
        let mut call = Call::new(id, target, principal, body);
        let total = Duration::from_millis(live.config.resilience.timeout.total_ms);
        call.deadline = self.inner.clock.instant().checked_add(total);
        call
    }

    /// Who decides who answers now: what it would decide, feedback on what it decided, who is drained.
    pub fn router(&self) -> Arc<maof_router::Router> {
        Arc::clone(&self.live().route)
    }

    /// Makes a call: no run, no journal; the ledger's rows are written behind it.
    ///
    /// # Errors
    /// What refused or failed it; see `docs/errors/`.
    pub async fn call(&self, call: Call) -> Result<Reply> {
        let calls = self.live().calls.clone();
        calls.oneshot(call).await
    }

    /// Work that goes on without who began it. [`Maof::shutdown`] waits for it, so it must be bounded in time.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.inner.tracker.spawn(work);
    }

    /// What a caller is told of a reply beside the reply.
    pub fn envelope(&self, dialect: &dyn Dialect, model: &str, include_usage: bool) -> Envelope {
        Envelope {
            id: format!("{}{}", dialect.id_prefix(), self.inner.ids.next().simple()),
            model: model.to_owned(),
            created: self.inner.clock.now().as_secs(),
            include_usage,
        }
    }

    // The durable door.

    /// Checks a workflow against what is configured here.
    ///
    /// # Errors
    /// `invalid_request` naming the step and the field; an agent that is not known among them.
    pub fn compile(&self, spec: WorkflowSpec) -> Result<Arc<Workflow>> {
        self.compile_as_written(self.live().config.with_recoveries(spec))
    }

    fn compile_as_written(&self, spec: WorkflowSpec) -> Result<Arc<Workflow>> {
        let live = self.live();
        crate::config::compile(spec, live.agent_names(), &live.config.structured).map(Arc::new)
    }

    /// Makes a workflow the one that serves tasks of its name.
    pub fn add_workflow(&self, workflow: Arc<Workflow>) {
        self.inner.engine.add_workflow(Arc::clone(&workflow));
        self.inner.workflows.write().insert(workflow.name.clone(), workflow);
    }

    /// Accepts a task; it is synced to disk when this returns.
    ///
    /// # Errors
    /// `invalid_request` when the content is empty; `permission_denied`; `conflict` when the idempotency key
    /// was used for another task; `unavailable` when the store cannot be reached or MAOF shuts down.
    pub async fn submit(&self, principal: &Arc<Principal>, request: TaskRequest) -> Result<Run> {
        if !principal.may_call() {
            return Err(Error::permission_denied("this principal may not submit tasks"));
        }
        refuse_empty(&request.content)?;
        refuse_unkept(&request.content)?;
        if !(-10..=10).contains(&request.priority) {
            return Err(Error::invalid_request("must be -10 to 10").param("priority"));
        }
        if let Some(key) = &request.idempotency_key
            && (key.is_empty() || key.len() > 255)
        {
            let why = "an idempotency key has 1 to 255 bytes";
            return Err(Error::invalid_request(why).param("Idempotency-Key"));
        }
        let workflow = match request.workflow {
            Some(workflow) => workflow,
            None => self.workflow_for(principal, &request.task_type)?,
        };
        let now = self.inner.clock.now();
        let task = Task {
            id: TaskId::from_uuid(self.inner.ids.next()),
            task_type: request.task_type,
            content: request.content,
            priority: request.priority,
            principal: (**principal).clone(),
            deadline: request.deadline.map(|d| now.plus(d)),
            session: request.session,
            tags: request.tags,
        };
        let run = self.inner.engine.submit(task, &workflow, request.idempotency_key).await?;
        self.note(principal, "task.submit", run.id.to_string());
        Ok(run)
    }

    /// The workflow of this type of task, else one step that asks whoever the router names for it.
    fn workflow_for(&self, principal: &Arc<Principal>, task_type: &Name) -> Result<Arc<Workflow>> {
        if let Some(known) = self.inner.workflows.read().get(task_type) {
            return Ok(Arc::clone(known));
        }
        // Refused now, not after it was accepted, if nobody answers tasks of this type.
        let body = Body::from(maof_core::ChatRequest::default());
        let target = Target::TaskType(task_type.clone());
        self.live().route.candidates(&self.new_call(target, Arc::clone(principal), body))?;
        Ok(Arc::new(Workflow::single(task_type)?))
    }

    /// Waits until a run has ended.
    ///
    /// # Errors
    /// `not_found`; `unavailable` when the store cannot be reached.
    pub async fn wait(&self, principal: &Principal, run: RunId) -> Result<Run> {
        self.inner.engine.wait(&principal.tenant, run).await
    }

    /// One run.
    ///
    /// # Errors
    /// `not_found`; `unavailable` when the store cannot be reached.
    pub async fn run(&self, principal: &Principal, run: RunId) -> Result<Run> {
        self.inner.journal.run(&principal.tenant, run).await
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be reached.
    pub async fn runs(&self, principal: &Principal, filter: RunFilter) -> Result<Vec<Run>> {
        self.inner.journal.runs(&principal.tenant, filter).await
    }

    /// Cancels a run; true if it had not ended.
    ///
    /// # Errors
    /// `not_found`; `unavailable` when the store cannot be reached.
    pub async fn cancel(&self, principal: &Principal, run: RunId) -> Result<bool> {
        let cancelled = self.inner.engine.cancel(&principal.tenant, run).await?;
        self.note(principal, "task.cancel", run.to_string());
        Ok(cancelled)
    }

    /// What happened to a run after the record `after`, then what happens, until it ends.
    pub fn events(
        &self,
        principal: &Principal,
        run: RunId,
        after: u64,
    ) -> impl Stream<Item = Result<RunEvent>> + Send + use<> {
        self.inner.engine.events(principal.tenant.clone(), run, after)
    }

    /// Who did what in a run, how long it took, what it cost, and where they disagreed.
    ///
    /// # Errors
    /// `not_found`; `unavailable` when the store cannot be reached.
    pub async fn report(&self, principal: &Principal, run: RunId) -> Result<Report> {
        let mut report = self.inner.engine.report(&principal.tenant, run).await?;
        self.inner.ground.ledger.flush().await?;
        let attempts =
            self.inner.ground.ledger.attempts(&principal.tenant, Some(run), REPORTED_ATTEMPTS).await?;
        report.add_attempts(&attempts);
        Ok(report)
    }

    /// The report, and every answer in the order in which they came.
    ///
    /// # Errors
    /// As [`Maof::report`].
    pub async fn report_with_answers(
        &self,
        principal: &Principal,
        run: RunId,
    ) -> Result<(Report, Vec<RunAnswer>)> {
        let report = self.report(principal, run).await?;
        let journal: Vec<Row> = self.inner.journal.load(&principal.tenant, run).await?;
        let mut answers = Vec::new();
        for row in &journal {
            if let Record::Answered { slot, step, answer } = Record::decode(&row.bytes)? {
                answers.push(RunAnswer { step, item: slot.item, answer: *answer });
            }
        }
        Ok((report, answers))
    }

    /// Begins to work on tasks, until [`Maof::shutdown`].
    pub fn work(&self) {
        self.inner.engine.start();
    }

    /// Works on this one run only, with the workflow that it is pinned to.
    ///
    /// # Errors
    /// `not_found`; `invalid_request` when its workflow names an agent that is not configured here.
    pub async fn work_on(&self, principal: &Principal, run: RunId) -> Result<()> {
        let journal = self.inner.journal.load(&principal.tenant, run).await?;
        let first = journal.first().map(|row| Record::decode(&row.bytes)).transpose()?;
        if let Some(Record::Accepted { workflow }) = first {
            // Compiled here, so that what does not fit is said before anything runs.
            let spec: WorkflowSpec = serde_json::from_value(workflow)
                .map_err(|e| Error::internal("the run's workflow is damaged").because(e))?;
            self.inner.engine.add_workflow(self.compile_as_written(spec)?);
        }
        self.inner.engine.start_only(run);
        Ok(())
    }

    // What can be asked.

    /// The principal behind an API key.
    ///
    /// # Errors
    /// `unauthenticated` when nobody has it.
    pub fn authenticate(&self, key: &str) -> Result<Arc<Principal>> {
        self.inner.keyring.authenticate(key)
    }

    /// The agents that a principal may use.
    pub fn agents(&self, principal: &Principal) -> Vec<AgentInfo> {
        let live = self.live();
        let allowed = live.agents.iter().filter(|a| principal.grant.allows(a.name.as_str()));
        allowed.cloned().collect()
    }

    /// Names that a principal may give as a model, each with its owner: agents, endpoints, each `provider/model`, then
    /// aliases of these.
    pub fn models(&self, principal: &Principal) -> Vec<(Name, Name)> {
        let live = self.live();
        let cards = || live.endpoints.iter().map(|endpoint| endpoint.card());
        let owner = |name: &Name| {
            let of = cards().find(|card| card.name == *name);
            of.map_or_else(|| name.clone(), |card| card.provider.clone())
        };
        let agents = live.agents.iter().map(|a| (a.name.clone(), owner(&a.name)));
        let mut models: Vec<(Name, Name)> = agents.collect();
        for card in cards() {
            if !models.iter().any(|(name, _)| *name == card.name) {
                models.push((card.name.clone(), card.provider.clone()));
            }
        }
        for card in cards() {
            if let Some(name) = card.at_provider()
                && !models.iter().any(|(known, _)| *known == name)
            {
                models.push((name, card.provider.clone()));
            }
        }
        models.retain(|(name, _)| principal.grant.allows(name.as_str()));
        let aliases = live.aliases.iter().filter_map(|(alias, stands_for)| {
            let (_, owner) = models.iter().find(|(name, _)| name == stands_for)?;
            Some((alias.clone(), owner.clone()))
        });
        let aliases: Vec<_> = aliases.collect();
        models.extend(aliases);
        models
    }

    /// The ledger, for balances and attempts.
    pub fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.inner.ground.ledger
    }

    /// Reports on what was spent.
    pub fn costs(&self) -> Arc<crate::costs::Costs> {
        Arc::clone(&self.live().costs)
    }

    /// Sets the limit of an account that a budget is configured for, and notes it in the audit trail; see
    /// [`Costs::change`](crate::costs::Costs::change).
    ///
    /// # Errors
    /// As there.
    pub async fn change_budget(
        &self,
        principal: &Principal,
        new: &crate::costs::NewLimit,
    ) -> Result<crate::costs::Standing> {
        let (standing, was) = self.costs().change(principal, new).await?;
        let crate::costs::Standing { account, measure, window, limit, .. } = &standing;
        let measure = measure.as_str();
        let subject = format!("{account} ({measure} per {window}): {was} to {limit}");
        self.note(principal, "budget.update", subject);
        Ok(standing)
    }

    /// The audit trail.
    pub fn audit(&self) -> &Arc<dyn Audit> {
        &self.inner.ground.audit
    }

    /// Forgets the answers that are kept for the principal's tenant, or those of the agent or endpoint called `by`; how
    /// many there were.
    ///
    /// # Errors
    /// `permission_denied` unless the principal is an admin; `not_found` where no cache is configured; `unavailable`
    /// when it cannot be reached.
    pub async fn forget_answers(&self, principal: &Principal, by: Option<&Name>) -> Result<u64> {
        if !principal.is(Role::Admin) {
            return Err(Error::permission_denied("only an admin may clear the cache"));
        }
        let Some(cache) = &self.inner.ground.cache else {
            return Err(Error::not_found(
                "no cache is configured here; `cache: {}` in the configuration makes one",
            ));
        };
        let gone = cache.forget(&principal.tenant, by, self.inner.clock.now()).await?;
        self.note(principal, "cache.clear", by.map_or_else(String::new, Name::to_string));
        Ok(gone)
    }

    /// What the answer under `decision`, made for the principal's tenant, was worth, 0 to 1. It may come late or never;
    /// what comes again changes nothing.
    ///
    /// # Errors
    /// `permission_denied` when the principal may not call; `not_found` naming `decision`: never made for this tenant, or
    /// forgotten; `invalid_request` naming `score`, or `strategy` where it learns nothing.
    pub fn feedback(&self, principal: &Principal, decision: DecisionId, score: f64) -> Result<()> {
        if !principal.may_call() {
            return Err(Error::permission_denied("this principal may not give feedback"));
        }
        self.live().route.feedback(&principal.tenant, decision, score)?;
        self.live().metrics.on(Signal::FedBack);
        self.note(principal, "feedback", decision.to_string());
        Ok(())
    }

    /// Metrics in Prometheus' text format.
    pub fn metrics(&self) -> String {
        self.live().metrics.render()
    }

    /// How each endpoint does.
    pub fn health(&self) -> Value {
        serde_json::to_value(self.inner.ground.health.snapshot()).unwrap_or_default()
    }

    /// Whether work can be accepted.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be reached.
    pub async fn ready(&self) -> Result<()> {
        let nobody = Principal::local();
        let filter = RunFilter { limit: 1, ..RunFilter::default() };
        self.inner.journal.runs(&nobody.tenant, filter).await?;
        // Reading is not enough: a full disk reads well.
        let written = tokio::time::timeout(Duration::from_secs(2), self.inner.ground.ledger.flush()).await;
        written.map_err(|_| Error::unavailable("the database does not write"))?
    }

    /// Gives runs in flight back to the queue and waits until everything is written.
    pub async fn shutdown(&self) {
        self.inner.closing.cancel();
        self.inner.engine.shutdown().await;
        if let Some(learning) = &self.inner.learning {
            learning.keep().await;
        }
        if let Err(error) = self.inner.ground.ledger.retire().await {
            tracing::error!(error = ?error, "the ledger could not be flushed");
        }
    }

    fn note(&self, principal: &Principal, action: &str, subject: String) {
        self.note_outcome(principal, action, subject, "ok");
    }

    /// Writes down who did what, and what came of it.
    pub(crate) fn note_outcome(&self, principal: &Principal, action: &str, subject: String, outcome: &str) {
        self.inner.ground.audit.note(AuditRow {
            at: self.inner.clock.now(),
            tenant: principal.tenant.clone(),
            user: principal.user.clone(),
            action: action.to_owned(),
            subject,
            outcome: outcome.to_owned(),
        });
    }
}

/// Bytes that a task's content may have as JSON.
const MAX_CONTENT: usize = 64 << 20;

/// What is accepted must be readable again.
fn refuse_unkept(content: &Value) -> Result<()> {
    let mut size = Counted(0);
    serde_json::to_writer(&mut size, content)
        .map_err(|e| Error::invalid_request("the content is no JSON").param("content").because(e))?;
    if size.0 > MAX_CONTENT {
        return Err(Error::too_large("a task's content has at most 64 MiB").param("content"));
    }
    match maof_engine::is_shallow_value(content) {
        true => Ok(()),
        false => {
            Err(Error::invalid_request("the content is nested more than 64 levels deep").param("content"))
        }
    }
}

/// Counts what is written to it, and keeps nothing.
struct Counted(usize);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn refuse_empty(content: &Value) -> Result<()> {
    let empty = match content {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    match empty {
        true => Err(Error::invalid_request("the task is empty; say what is asked").param("content")),
        false => Ok(()),
    }
}
