//! Who did what in a run: how long it took, what it cost, and where they disagreed.

use std::collections::BTreeMap;

use maof_core::{Attempt, ErrorKind, Failure, Money, Name, Run, RunId, RunState, TaskId, Usage, Verdict};
use serde::Serialize;
use serde_json::Value;

use crate::record::AgentAnswer;
use crate::run::{ItemState, RunView};

/// A run, told to people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The task.
    pub task: TaskId,
    /// The run.
    pub run: RunId,
    /// The workflow.
    pub workflow: Name,
    /// Where it stands.
    pub state: RunState,
    /// From acceptance to its last change, in microseconds.
    pub micros: u64,
    /// What its answers cost, in nano-dollars.
    pub cost: Money,
    /// Each step.
    pub steps: Vec<StepReport>,
    /// Requests to upstreams that failed, whether or not another succeeded; from the ledger.
    pub failed_attempts: Vec<FailedAttempts>,
    /// The result, once there is one.
    pub result: Option<Value>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// Requests that failed in the same way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FailedAttempts {
    /// The step.
    pub step: String,
    /// The agent.
    pub agent: Name,
    /// The endpoint that was asked.
    pub endpoint: Name,
    /// How they failed.
    pub error: ErrorKind,
    /// How many there were.
    pub times: u32,
}

/// A step, told to people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepReport {
    /// Its name.
    pub step: String,
    /// Items it ran for.
    pub items: u32,
    /// Each agent that answered, by name.
    pub agents: Vec<AgentReport>,
    /// What became of the votes, where it joins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vote: Option<VoteReport>,
}

/// An agent's part in a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AgentReport {
    /// Its name.
    pub agent: String,
    /// Calls it answered.
    pub answered: u32,
    /// Calls it answered in the place of a candidate that could not.
    pub stood_in: u32,
    /// In whose place, why, and how often.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instead_of: Vec<Replaced>,
    /// Requests beyond the first of each call.
    pub retried: u32,
    /// Time of all its calls together, in microseconds.
    pub micros: u64,
    /// What it used.
    pub usage: Usage,
    /// What it cost, in nano-dollars.
    pub cost: Money,
    /// Joined items on which it was not of the verdict's opinion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dissented: Option<u32>,
    /// Of the items whose right answer is known, how many it got right, and how many there were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<(u32, u32)>,
}

/// An agent whose place another took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replaced {
    /// Its name.
    pub agent: Name,
    /// Why it did not answer.
    pub error: ErrorKind,
    /// How often.
    pub times: u32,
}

/// What became of a step's votes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct VoteReport {
    /// Items that were joined.
    pub items: u32,
    /// Items on which all agreed.
    pub unanimous: u32,
    /// Items that the tie rule decided.
    pub tied: u32,
    /// Of the items whose right answer is known, how many the verdict got right, and how many there were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<(u32, u32)>,
    /// The first items on which they disagreed.
    pub examples: Vec<Disagreement>,
}

/// One item on which agents disagreed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Disagreement {
    /// The item's place.
    pub item: u32,
    /// The verdict.
    pub verdict: Value,
    /// Who said otherwise, and what.
    pub dissent: BTreeMap<String, Value>,
}

/// Disagreements that a report shows.
const EXAMPLES: usize = 5;

impl Report {
    /// Adds the failed ones of the run's attempts.
    pub fn add_attempts<'a>(&mut self, attempts: impl IntoIterator<Item = &'a Attempt>) {
        for attempt in attempts {
            let Some(failure) = &attempt.failure else { continue };
            let step = attempt.step.as_deref().unwrap_or_default();
            let known = self.failed_attempts.iter_mut().find(|f| {
                f.step == step
                    && f.agent == attempt.agent
                    && f.endpoint == attempt.endpoint
                    && f.error == failure.kind
            });
            match known {
                Some(known) => known.times += 1,
                None => self.failed_attempts.push(FailedAttempts {
                    step: step.to_owned(),
                    agent: attempt.agent.clone(),
                    endpoint: attempt.endpoint.clone(),
                    error: failure.kind,
                    times: 1,
                }),
            }
        }
    }

    pub(crate) fn of(run: &Run, view: &RunView<'_>) -> Report {
        let steps = view.steps().map(|(step, _, items)| StepReport {
            step: step.to_owned(),
            items: items.len() as u32,
            agents: agents(items),
            vote: vote(items),
        });
        Report {
            task: run.task.id,
            run: run.id,
            workflow: run.workflow.clone(),
            state: run.state,
            micros: run.updated.since(run.created).as_micros() as u64,
            cost: view.cost(),
            steps: steps.collect(),
            failed_attempts: Vec::new(),
            result: run.result.clone(),
            failure: run.failure.clone(),
        }
    }
}

fn agents(items: &[ItemState]) -> Vec<AgentReport> {
    let mut agents: BTreeMap<&str, AgentReport> = BTreeMap::new();
    for item in items {
        for answer in item.answers.iter().flatten() {
            let report = agents.entry(answer.agent.as_str()).or_default();
            add(report, answer);
            if let Some(verdict) = &item.verdict {
                let dissents = verdict.dissent.iter().any(|d| d.value == answer.value);
                *report.dissented.get_or_insert(0) += u32::from(dissents);
            }
            if let Some(expected) = &item.expected {
                count(&mut report.right, is_right(&answer.value, expected));
            }
        }
    }
    let named = agents.into_iter().map(|(agent, report)| AgentReport { agent: agent.to_owned(), ..report });
    named.collect()
}

fn add(report: &mut AgentReport, answer: &AgentAnswer) {
    report.answered += 1;
    report.stood_in += u32::from(answer.fallbacks > 0);
    if let Some((agent, error)) = &answer.instead_of {
        match report.instead_of.iter_mut().find(|r| r.agent == *agent && r.error == *error) {
            Some(replaced) => replaced.times += 1,
            None => report.instead_of.push(Replaced { agent: agent.clone(), error: *error, times: 1 }),
        }
    }
    report.retried += answer.attempts.saturating_sub(1);
    report.micros = report.micros.saturating_add(answer.micros);
    report.usage += answer.usage;
    report.cost = report.cost.plus(answer.cost);
}

fn vote(items: &[ItemState]) -> Option<VoteReport> {
    let mut report = VoteReport::default();
    for (place, item) in items.iter().enumerate() {
        let Some(verdict) = &item.verdict else { continue };
        report.items += 1;
        report.tied += u32::from(verdict.tied);
        if let Some(expected) = &item.expected {
            count(&mut report.right, is_right(&verdict.value, expected));
        }
        if verdict.dissent.is_empty() {
            report.unanimous += 1;
        } else if report.examples.len() < EXAMPLES {
            report.examples.push(disagreement(place as u32, verdict));
        }
    }
    (report.items > 0).then_some(report)
}

fn disagreement(item: u32, verdict: &Verdict) -> Disagreement {
    let dissent = verdict.dissent.iter().map(|d| (d.agent.to_string(), d.value.clone()));
    Disagreement { item, verdict: verdict.value.clone(), dissent: dissent.collect() }
}

fn count(tally: &mut Option<(u32, u32)>, right: bool) {
    let (hits, of) = tally.get_or_insert((0, 0));
    *hits += u32::from(right);
    *of += 1;
}

/// Right if it equals the known answer, or if each part that the known answer names equals.
fn is_right(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Object(value), Value::Object(expected)) => {
            expected.iter().all(|(k, v)| value.get(k) == Some(v))
        }
        _ => value == expected,
    }
}
