//! A workflow that was checked: steps in a graph, templates compiled, joins made.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use maof_core::{Aggregate, Error, Failure, Name, OutputFormat, Recovery, Result, Target};
use minijinja::Environment;
use serde_json::Value;

use super::recovery::{self, check_recoveries, in_field};
use super::scope::{environment, syntax_error};
use super::spec::{OnError, StepSpec, WorkflowSpec};
use crate::record::Record;

/// Makes a join from what a workflow file says of it.
pub type MakeAggregate<'a> = &'a dyn Fn(&Value) -> Result<Arc<dyn Aggregate>>;

/// Refuses every join; for workflows without any.
///
/// # Errors
/// Always `invalid_request`.
pub fn no_joins(_: &Value) -> Result<Arc<dyn Aggregate>> {
    Err(Error::invalid_request("no join strategies are available here").param("join"))
}

/// Most steps of a workflow, and most agents that one step asks.
const MOST: usize = 256;

/// One step that was checked.
#[derive(Debug)]
pub struct Step {
    /// Its name.
    pub id: Arc<str>,
    /// Steps that must have ended, by index.
    pub needs: Vec<usize>,
    /// Whom it asks, in order.
    pub members: Vec<Target>,
    /// How answers are folded.
    pub join: Option<Arc<dyn Aggregate>>,
    /// Whether who is still awaited is cancelled once the join is decided.
    pub early_stop: bool,
    /// What happens when an agent fails.
    pub on_error: OnError,
    pub(crate) when: Option<String>,
    pub(crate) map: Option<String>,
    pub(crate) expect: Option<String>,
    /// The name of the template of its question, if it has one of its own.
    pub(crate) ask: Option<String>,
    /// The shape that each answer must have.
    pub(crate) output: Option<OutputFormat>,
}

/// A workflow that was checked and can be run.
pub struct Workflow {
    /// Its name.
    pub name: Name,
    /// The hash of its definition; runs are pinned to it.
    pub version: String,
    /// Calls that one run makes at the same time, at most.
    pub max_parallel: usize,
    /// Its steps, in the order in which they are written.
    pub steps: Vec<Step>,
    /// What was written.
    pub spec: WorkflowSpec,
    pub(crate) output: BTreeMap<String, String>,
    pub(crate) environment: Environment<'static>,
    /// The record that a run of it was accepted, encoded: the first of every journal.
    pub(crate) accepted: Bytes,
}

impl Workflow {
    /// Checks a workflow and compiles it.
    ///
    /// # Errors
    /// `invalid_request` naming the step and the field: an unknown or doubled step, a cycle, a step that
    /// asks nobody, an expression that does not parse, a join that is not known.
    pub fn compile(spec: WorkflowSpec, make: MakeAggregate<'_>) -> Result<Workflow> {
        if spec.steps.is_empty() || spec.steps.len() > MOST {
            return Err(Error::invalid_request("a workflow has 1 to 256 steps").param("steps"));
        }
        if !(1..=4096).contains(&spec.max_parallel) {
            return Err(Error::invalid_request("must be between 1 and 4096").param("max_parallel"));
        }
        let mut index = HashMap::new();
        for (i, step) in spec.steps.iter().enumerate() {
            Name::new(&step.id).map_err(|e| at(step, "id", e))?;
            if index.insert(step.id.as_str(), i).is_some() {
                return Err(at(step, "id", Error::invalid_request("another step has this id")));
            }
        }
        let mut environment = environment();
        let mut steps = Vec::with_capacity(spec.steps.len());
        for (i, step) in spec.steps.iter().enumerate() {
            steps.push(compile_step(i, step, &index, &mut environment, make)?);
        }
        refuse_cycles(&steps)?;
        for (name, expression) in &spec.output {
            environment
                .compile_expression_owned(expression.clone())
                .map_err(|e| syntax_error(&e).param(format!("output.{name}")))?;
        }
        for (agent, table) in &spec.recovery {
            check_recoveries(table).map_err(|e| in_field(e, &format!("recovery.{agent}")))?;
        }
        let version = version_of(&spec)?;
        let written = serde_json::to_value(&spec)
            .map_err(|e| Error::internal("a workflow could not be written as JSON").because(e))?;
        Ok(Workflow {
            accepted: Record::Accepted { workflow: written }.encode()?,
            name: spec.name.clone(),
            version,
            max_parallel: spec.max_parallel as usize,
            output: spec.output.clone(),
            steps,
            spec,
            environment,
        })
    }

    /// The workflow of one step that asks whoever the agent map names for tasks of this type.
    ///
    /// # Errors
    /// As [`Workflow::compile`].
    pub fn single(task_type: &Name) -> Result<Workflow> {
        let step = StepSpec {
            id: "answer".into(),
            needs: None,
            when: None,
            map: None,
            agent: None,
            capability: None,
            task_type: Some(task_type.clone()),
            parallel: Vec::new(),
            ask: None,
            schema: None,
            join: None,
            early_stop: false,
            expect: None,
            on_error: OnError::default(),
        };
        let spec = WorkflowSpec {
            name: task_type.clone(),
            description: String::new(),
            max_parallel: 1,
            inputs: BTreeMap::new(),
            recovery: BTreeMap::new(),
            steps: vec![step],
            output: BTreeMap::from([("answer".into(), "steps.answer".into())]),
        };
        Workflow::compile(spec, &no_joins)
    }

    /// Every agent that it names, fallbacks included; for checking against those that are configured.
    pub fn agents(&self) -> impl Iterator<Item = (&str, &Name)> {
        self.steps.iter().flat_map(|step| {
            let members = step.members.iter().filter_map(|m| match m {
                Target::Name(name) => Some(name),
                _ => None,
            });
            members.chain(&step.on_error.fallback).map(|name| (&*step.id, name))
        })
    }

    /// What is done about a failure of whoever was asked, where its step or the agent's own table says something of it.
    pub(crate) fn recovery(&self, step: &Step, asked: &Target, failure: &Failure) -> Option<Recovery> {
        let of_agent = match asked {
            Target::Name(agent) => self.spec.recovery.get(agent),
            Target::TaskType(_) | Target::Capability(_) => None,
        };
        let tables = [Some(&step.on_error.recovery), of_agent];
        tables.into_iter().flatten().find_map(|table| recovery::recovery(table, failure))
    }

    /// Every capability that it asks for.
    pub fn capabilities(&self) -> impl Iterator<Item = (&str, &Name)> {
        self.steps.iter().flat_map(|step| {
            step.members.iter().filter_map(|m| match m {
                Target::Capability(name) => Some((&*step.id, name)),
                _ => None,
            })
        })
    }
}

impl fmt::Debug for Workflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workflow")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

/// The error as one of this step's field.
fn at(step: &StepSpec, field: &str, error: Error) -> Error {
    in_field(error, &format!("steps.{}.{field}", step.id))
}

fn compile_step(
    i: usize,
    step: &StepSpec,
    index: &HashMap<&str, usize>,
    environment: &mut Environment<'static>,
    make: MakeAggregate<'_>,
) -> Result<Step> {
    let needs = match &step.needs {
        None => i.checked_sub(1).into_iter().collect(),
        Some(names) => names
            .iter()
            .map(|name| {
                index.get(name.as_str()).copied().ok_or_else(|| {
                    at(step, "needs", Error::invalid_request(format!("no step is called `{name}`")))
                })
            })
            .collect::<Result<Vec<_>>>()?,
    };
    for (field, expression) in [("when", &step.when), ("map", &step.map), ("expect", &step.expect)] {
        if let Some(expression) = expression {
            environment
                .compile_expression_owned(expression.clone())
                .map_err(|e| at(step, field, syntax_error(&e)))?;
        }
    }
    let ask = match &step.ask {
        None => None,
        Some(template) => {
            environment
                .add_template_owned(step.id.clone(), template.clone())
                .map_err(|e| at(step, "ask", syntax_error(&e)))?;
            Some(step.id.clone())
        }
    };
    recovery::check(&step.on_error).map_err(|e| at(step, "on_error", e))?;
    let join = match &step.join {
        None => None,
        Some(_) if step.parallel.is_empty() => {
            let why = Error::invalid_request("only the answers of `parallel` agents can be joined");
            return Err(at(step, "join", why));
        }
        Some(join) => Some(make(join).map_err(|e| at(step, "join", e))?),
    };
    if step.early_stop && join.is_none() {
        let why = Error::invalid_request("only a `join` can be decided early");
        return Err(at(step, "early_stop", why));
    }
    Ok(Step {
        id: step.id.as_str().into(),
        needs,
        members: members(step)?,
        join,
        early_stop: step.early_stop,
        on_error: step.on_error.clone(),
        when: step.when.clone(),
        map: step.map.clone(),
        expect: step.expect.clone(),
        ask,
        output: step.schema.clone().map(|schema| OutputFormat::JsonSchema {
            name: "answer".to_owned(),
            schema,
            strict: None,
        }),
    })
}

fn members(step: &StepSpec) -> Result<Vec<Target>> {
    let mut said: Vec<Vec<Target>> = Vec::new();
    said.extend(step.agent.clone().map(|n| vec![Target::Name(n)]));
    said.extend(step.capability.clone().map(|n| vec![Target::Capability(n)]));
    said.extend(step.task_type.clone().map(|n| vec![Target::TaskType(n)]));
    if !step.parallel.is_empty() {
        said.push(step.parallel.iter().cloned().map(Target::Name).collect());
    }
    match (said.pop(), said.is_empty()) {
        (Some(members), true) if members.len() <= MOST => {
            let mut seen = HashSet::new();
            match members.iter().find(|m| !seen.insert(*m)) {
                None => Ok(members),
                Some(twice) => {
                    let why = Error::invalid_request(format!("{twice} is named twice"));
                    Err(at(step, "parallel", why))
                }
            }
        }
        (Some(_), true) => Err(at(step, "parallel", Error::invalid_request("at most 256 agents"))),
        _ => {
            let why = "a step names exactly one of `agent`, `capability`, `task_type` and `parallel`";
            Err(Error::invalid_request(why).param(format!("steps.{}", step.id)))
        }
    }
}

/// Kahn's algorithm; what is left over is in a cycle or behind one.
fn refuse_cycles(steps: &[Step]) -> Result<()> {
    let mut missing: Vec<usize> = steps.iter().map(|s| s.needs.len()).collect();
    let mut free: Vec<usize> = (0..steps.len()).filter(|&i| missing[i] == 0).collect();
    let mut seen = 0;
    while let Some(done) = free.pop() {
        seen += 1;
        for (i, step) in steps.iter().enumerate() {
            let met = step.needs.iter().filter(|&&n| n == done).count();
            if met > 0 {
                missing[i] -= met;
                if missing[i] == 0 {
                    free.push(i);
                }
            }
        }
    }
    if seen == steps.len() {
        return Ok(());
    }
    let stuck: Vec<&str> = steps.iter().zip(&missing).filter(|(_, m)| **m > 0).map(|(s, _)| &*s.id).collect();
    let why = format!("these steps wait for one another: {}", stuck.join(", "));
    Err(Error::invalid_request(why).param(format!("steps.{}.needs", stuck.first().unwrap_or(&""))))
}

/// FNV-1a in 128 bits over the definition's canonical JSON: names a definition, guards nothing.
fn version_of(spec: &WorkflowSpec) -> Result<String> {
    let text = serde_json::to_string(spec)
        .map_err(|e| Error::internal("a workflow could not be written as JSON").because(e))?;
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in text.bytes() {
        hash ^= u128::from(byte);
        hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    Ok(format!("{hash:032x}"))
}
