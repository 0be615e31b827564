//! The machine is pure by replay, and says what a workflow means.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use maof_core::{Answered, Error, Finished, Member, Money, Name, RunState, Usage, Verdict};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::step::{Command, Machine};
use crate::record::{AgentAnswer, Record, Slot};
use crate::workflow::Workflow;

#[derive(Debug)]
struct Any;

impl maof_core::Aggregate for Any {
    fn aggregate<'a, 'b>(
        &'a self,
        _: Vec<Answered>,
    ) -> std::pin::Pin<Box<dyn Future<Output = maof_core::Result<Verdict>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(std::future::ready(Err(Error::internal("the test joins by itself"))))
    }

    /// Two answers are enough for it.
    fn is_decided(&self, members: &[Member<'_>]) -> bool {
        members.iter().filter(|member| matches!(member, Member::Answered { .. })).count() >= 2
    }
}

fn workflow(spec: Value) -> maof_core::Result<Arc<Workflow>> {
    let spec = serde_json::from_value(spec).map_err(|e| Error::invalid_request(e.to_string()))?;
    Workflow::compile(spec, &|_| Ok(Arc::new(Any))).map(Arc::new)
}

fn answer(agent: &str, value: Value) -> Box<AgentAnswer> {
    let agent = Name::new(agent).unwrap();
    Box::new(AgentAnswer {
        decision: None,
        endpoint: agent.clone(),
        agent,
        value,
        usage: Usage::default(),
        cost: Money::from_nanos(1),
        micros: 1,
        attempts: 1,
        fallbacks: 0,
        instead_of: None,
    })
}

/// Answers a command: an agent repeats its question in capitals, or fails if its name is `broken`.
fn obey(command: &Command) -> Option<Record> {
    match command {
        Command::Finish(_) | Command::Escalate { .. } | Command::Cancel { .. } => None,
        Command::Call { slot, step, target, question, attempt, .. } => {
            let (slot, step) = (*slot, step.clone());
            Some(if target.to_string() == "broken" {
                Record::Failed { slot, step, attempt: *attempt, failure: Error::unavailable("no").failure() }
            } else {
                let value = json!(question.to_uppercase());
                Record::Answered { slot, step, answer: answer(&target.to_string(), value) }
            })
        }
        Command::Join { index, item, answers } => {
            let verdict = Verdict {
                value: json!(answers.len()),
                agreement_ppm: 1_000_000,
                dissent: vec![],
                costs: vec![],
                tied: false,
            };
            let step = "joined".into();
            Some(Record::Joined { index: *index, item: *item, step, verdict: Box::new(verdict) })
        }
    }
}

/// Runs to the end; `pick` chooses which of the commands in flight is answered next.
fn run(
    workflow: &Arc<Workflow>,
    input: &Value,
    mut pick: impl FnMut(usize) -> usize,
) -> (Vec<Record>, Finished) {
    let mut machine = Machine::new(workflow.clone(), input);
    let mut journal = vec![Record::Accepted { workflow: json!(null) }];
    let mut flight = machine.step(&journal[0]);
    for _ in 0..10_000 {
        if let Some(Command::Finish(end)) = flight.iter().find(|c| matches!(c, Command::Finish(_))) {
            let end = end.clone();
            return (journal, end);
        }
        let cancelled: Vec<Slot> = flight
            .iter()
            .filter_map(|c| if let Command::Cancel { slot } = c { Some(*slot) } else { None })
            .collect();
        flight.retain(|c| !matches!(c, Command::Call { slot, .. } | Command::Cancel { slot } if cancelled.contains(slot)));
        let calls = flight.iter().filter(|c| matches!(c, Command::Call { .. })).count();
        assert!(calls <= workflow.max_parallel, "too many calls in flight");
        let command = flight.remove(pick(flight.len()));
        let Some(record) = obey(&command) else { continue };
        flight.extend(machine.step(&record));
        journal.push(record);
    }
    panic!("the run does not end");
}

fn check(spec: Value, input: Value, expect: Result<Value, &str>) {
    let workflow = workflow(spec).unwrap();
    let (_, end) = run(&workflow, &input, |_| 0);
    match expect {
        Ok(result) => {
            assert_eq!(end.failure, None);
            assert_eq!((end.state, end.result), (RunState::Completed, Some(result)));
        }
        Err(part) => {
            let message = end.failure.unwrap().message;
            assert_eq!(end.state, RunState::Failed);
            assert!(message.contains(part), "{message}");
        }
    }
}

#[test]
fn steps_follow_one_another_unless_needs_say_otherwise() {
    check(
        json!({"name": "w", "steps": [
            {"id": "a", "agent": "x", "ask": "hello {{ input }}"},
            {"id": "b", "agent": "x", "ask": "{{ steps.a }}!"},
            {"id": "c", "agent": "x", "needs": [], "ask": "side"},
        ], "output": {"b": "steps.b", "c": "steps.c"}}),
        json!("you"),
        Ok(json!({"b": "HELLO YOU!", "c": "SIDE"})),
    );
}

#[test]
fn a_map_asks_for_every_item_and_keeps_their_order() {
    let spec = json!({"name": "w", "max_parallel": 2, "steps": [
        {"id": "m", "map": "input.list", "agent": "x", "ask": "{{ index }}{{ item }}"},
    ]});
    check(spec.clone(), json!({"list": ["a", "b", "c"]}), Ok(json!({"m": ["0A", "1B", "2C"]})));
    check(spec.clone(), json!({"list": []}), Ok(json!({"m": []})));
    check(spec.clone(), json!({"list": 3}), Err("is no list"));
    check(spec, json!({}), Err("step m"));
}

#[test]
fn parallel_answers_are_joined_or_given_by_name() {
    let step = json!({"id": "p", "parallel": ["x", "y"], "ask": "q"});
    check(json!({"name": "w", "steps": [step]}), json!(1), Ok(json!({"p": {"x": "Q", "y": "Q"}})));
    let step = json!({"id": "p", "parallel": ["x", "broken", "y"], "join": {}, "on_error": {"then": "skip"}});
    check(json!({"name": "w", "steps": [step]}), json!("z"), Ok(json!({"p": 2})));
}

#[test]
fn a_failing_agent_is_asked_again_then_replaced_then_skipped_or_ends_the_run() {
    let spec = |on_error: Value| json!({"name": "w", "steps": [{"id": "s", "agent": "broken", "on_error": on_error}]});
    check(spec(json!({})), json!("q"), Err("step s: no"));
    check(spec(json!({"retry": 2, "fallback": "x"})), json!("q"), Ok(json!({"s": "Q"})));
    check(spec(json!({"fallback": "broken", "then": "skip"})), json!("q"), Ok(json!({"s": null})));
    let (journal, _) =
        run(&workflow(spec(json!({"retry": 2, "fallback": "x"}))).unwrap(), &json!("q"), |_| 0);
    let attempts: Vec<u32> = journal
        .iter()
        .filter_map(|r| if let Record::Failed { attempt, .. } = r { Some(*attempt) } else { None })
        .collect();
    assert_eq!(attempts, [1, 2, 3]);
}

/// What a step commands after each of these failures of its agent `x`, in words.
fn commands(on_error: Value, failures: Vec<Error>, expect: &str) {
    let spec = json!({"name": "w", "recovery": {"x": {"conflict": "skip"}},
                      "steps": [{"id": "s", "agent": "x", "on_error": on_error}]});
    let mut machine = Machine::new(workflow(spec).unwrap(), &json!("q"));
    let slot = crate::record::Slot { step: 0, item: 0, member: 0 };
    let mut said = Vec::new();
    machine.step(&Record::Accepted { workflow: json!(null) });
    for (attempt, error) in (1..).zip(failures) {
        let failed = Record::Failed { slot, step: "s".into(), attempt, failure: error.failure() };
        said.extend(machine.step(&failed).iter().map(|command| match command {
            Command::Call { target, attempt, delay, .. } => {
                format!("{target}#{attempt}+{}", delay.as_millis())
            }
            Command::Escalate { step, failure } => format!("tell {step} {}", failure.kind),
            Command::Finish(end) => end.state.as_str().to_owned(),
            Command::Join { .. } => "join".to_owned(),
            Command::Cancel { .. } => "cancel".to_owned(),
        }));
    }
    assert_eq!(said.join(" "), expect, "{on_error}");
}

#[test]
fn a_table_says_what_is_done_about_which_failure() {
    let down = || Error::unavailable("x");
    let late = || Error::timed_out("x");
    let table = |recovery: Value| json!({"retry": 2, "delay_ms": 10, "fallback": "y", "then": "skip", "recovery": recovery});
    commands(table(json!({})), vec![down(), down(), down(), down()], "x#2+10 x#3+20 y#4+0 completed");
    commands(
        table(json!({"NETWORK": "retry"})),
        vec![down(), late(), down(), down()],
        "x#2+10 x#3+20 y#4+0 completed",
    );
    commands(
        table(json!({"unavailable": "fallback"})),
        vec![late(), down(), down()],
        "x#2+10 y#3+0 completed",
    );
    commands(table(json!({"unavailable": "skip"})), vec![down()], "completed");
    commands(table(json!({"unavailable": "terminate"})), vec![down()], "failed");
    commands(table(json!({"unavailable": "escalate"})), vec![down()], "tell s unavailable completed");
    commands(table(json!({"unavailable": "reset"})), vec![down(), down(), down()], "x#1+0 x#1+0 completed");
    commands(
        json!({"recovery": {"NETWORK@provider": "escalate"}}),
        vec![down()],
        "tell s unavailable failed",
    );
    commands(json!({"recovery": {"NETWORK@tool": "skip"}}), vec![down()], "failed");
    // What is said of the agent holds where the step says nothing.
    commands(table(json!({})), vec![Error::conflict("x")], "completed");
    commands(table(json!({"conflict": "terminate"})), vec![Error::conflict("x")], "failed");
}

#[test]
fn a_rate_limit_is_waited_for_and_costs_no_attempt() {
    use std::time::Duration;
    let limited =
        |seconds| Error::rate_limited("x").retry_is(maof_core::Retry::After(Duration::from_secs(seconds)));
    let down = || Error::unavailable("x");
    let policy = json!({"retry": 1, "delay_ms": 10, "wait_ms": 60_000});
    commands(
        policy.clone(),
        vec![limited(20), down(), limited(40), down()],
        "x#2+20000 x#3+10 x#4+40000 failed",
    );
    commands(policy.clone(), vec![limited(61), limited(61)], "x#2+10 failed");
    let unsaid = || Error::rate_limited("x");
    commands(policy.clone(), vec![unsaid(), unsaid(), limited(0)], "x#2+1000 x#3+2000 x#4+100");
    commands(policy, vec![unsaid().retry_is(maof_core::Retry::Never), unsaid()], "x#2+10 x#3+1000");
    commands(json!({}), vec![limited(1)], "failed");
}

#[test]
fn a_reset_asks_all_agents_of_the_item_anew_and_not_for_ever() {
    let step = json!({"id": "p", "parallel": ["x", "broken", "y"],
                      "on_error": {"retry": 2, "then": "skip", "recovery": {"NETWORK": "reset"}}});
    let workflow = workflow(json!({"name": "w", "steps": [step]})).unwrap();
    for order in [0_usize, 1, 2, 7] {
        let (journal, end) = run(&workflow, &json!("q"), |n| order % n);
        assert_eq!(end.result, Some(json!({"p": {"x": "Q", "broken": null, "y": "Q"}})));
        let failures = journal.iter().filter(|record| matches!(record, Record::Failed { .. })).count();
        let answers = journal.iter().filter(|record| matches!(record, Record::Answered { .. })).count();
        assert_eq!(failures, 3);
        assert!((2..=6).contains(&answers), "{answers}");
    }
}

#[test]
fn who_can_change_nothing_any_more_is_cancelled_and_not_waited_for() {
    let step = json!({"id": "s", "parallel": ["a", "b", "c", "d"], "join": {}, "early_stop": true,
                      "on_error": {"then": "skip"}});
    let workflow = workflow(json!({"name": "w", "max_parallel": 3, "steps": [step]})).unwrap();
    let slot = |member| Slot { step: 0, item: 0, member };
    let says = |member| Record::Answered {
        slot: slot(member),
        step: "s".into(),
        answer: answer("x", json!(member)),
    };
    let (step, failure) = ("s".into(), Error::unavailable("no").failure());
    let fails = Record::Failed { slot: slot(0), step, attempt: 1, failure };
    let check = |records: &[Record], expect: &[u32]| {
        let mut machine = Machine::new(workflow.clone(), &json!("q"));
        assert_eq!(machine.step(&Record::Accepted { workflow: Value::Null }).len(), 3, "d waits for room");
        let (last, before) = records.split_last().unwrap();
        for record in before {
            assert!(!machine.step(record).iter().any(|c| matches!(c, Command::Cancel { .. })));
        }
        let mut told = machine.step(last);
        let Some(Command::Join { answers, .. }) = told.pop() else { panic!("no join: {told:?}") };
        assert_eq!(answers.len(), 2);
        let expect: Vec<Command> =
            expect.iter().map(|member| Command::Cancel { slot: slot(*member) }).collect();
        assert_eq!(told, expect);
        assert_eq!(machine.step(&says(3)), [], "nobody waits for it");
        assert!(matches!(machine.outstanding()[..], [Command::Join { .. }]));
    };
    check(&[says(1), says(0)], &[2, 3]);
    check(&[fails, says(1), says(2)], &[3]);
}

#[test]
fn a_step_whose_when_is_false_is_skipped() {
    check(
        json!({"name": "w", "steps": [
            {"id": "a", "agent": "broken", "when": "input.deep"},
            {"id": "b", "agent": "x", "ask": "{{ steps.a is none }}"},
        ]}),
        json!({"deep": false}),
        Ok(json!({"b": "TRUE"})),
    );
}

#[test]
fn a_wrong_workflow_is_refused_by_field() {
    let check = |steps: Value, field: &str, part: &str| {
        let error = workflow(json!({"name": "w", "steps": steps})).unwrap_err();
        assert!(error.message().contains(part), "{error}");
        assert_eq!(error.field().unwrap_or_default(), field);
    };
    let s = |id: &str, more: Value| {
        let mut step = json!({"id": id, "agent": "x"});
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        step
    };
    check(json!([]), "steps", "1 to 256");
    check(json!([s("a", json!({})), s("a", json!({}))]), "steps.a.id", "another step");
    check(json!([s("a", json!({"needs": ["z"]}))]), "steps.a.needs", "`z`");
    check(json!([s("a", json!({"needs": ["b"]})), s("b", json!({}))]), "steps.a.needs", "a, b");
    check(json!([s("a", json!({"ask": "{{ oh"}))]), "steps.a.ask", "syntax error");
    check(json!([s("a", json!({"map": "1 +"}))]), "steps.a.map", "syntax error");
    check(json!([s("a", json!({"capability": "y"}))]), "steps.a", "exactly one");
    check(json!([{"id": "a"}]), "steps.a", "exactly one");
    check(json!([s("a", json!({"join": {}}))]), "steps.a.join", "parallel");
    check(json!([s("a", json!({"early_stop": true}))]), "steps.a.early_stop", "join");
    check(json!([{"id": "a", "parallel": ["x", "x"]}]), "steps.a.parallel", "twice");
    check(json!([s("a", json!({"on_error": {"retry": 101}}))]), "steps.a.on_error.retry", "100");
    let on_error = |more: Value| json!([s("a", json!({"on_error": more}))]);
    check(on_error(json!({"wait_ms": 86_400_001})), "steps.a.on_error.wait_ms", "a day");
    check(on_error(json!({"recovery": {"tmeout": "skip"}})), "steps.a.on_error.recovery.tmeout", "cause");
    check(
        on_error(json!({"recovery": {"TOOL": "RESET"}})),
        "steps.a.on_error.recovery.TOOL",
        "on_error.retry",
    );
    let fallback = json!({"recovery": {"timeout@tool": "fallback"}});
    check(on_error(fallback), "steps.a.on_error.recovery.timeout@tool", "on_error.fallback");
    check(json!([s("a b", json!({}))]), "steps.a b.id", "name");
}

fn rich() -> Arc<Workflow> {
    workflow(json!({"name": "w", "max_parallel": 3, "steps": [
        {"id": "vote", "map": "input", "parallel": ["x", "y", "broken"], "join": {},
         "on_error": {"retry": 1, "then": "skip", "recovery": {"unavailable@provider": "reset", "TIMEOUT": "escalate"}}},
        {"id": "side", "needs": [], "agent": "x", "ask": "side"},
        {"id": "quick", "needs": [], "parallel": ["x", "y", "z"], "join": {}, "early_stop": true},
        {"id": "none", "needs": ["side"], "agent": "x", "when": "false"},
        {"id": "last", "needs": ["vote", "none"], "agent": "y", "ask": "{{ steps.vote }}{{ steps.side }}"},
    ]}))
    .unwrap()
}

proptest! {
    /// Whatever the order in which answers come back: the result is the same, and replaying any prefix of
    /// the journal leaves exactly the commands outstanding that were outstanding then.
    #[test]
    fn replaying_any_prefix_gives_the_same_commands(seed in any::<u64>(), items in 0_usize..6) {
        let input = json!((0..items).map(|i| format!("q{i}")).collect::<Vec<_>>());
        let workflow = rich();
        let mut random = seed;
        let (journal, end) = run(&workflow, &input, |n| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) as usize % n
        });
        let (_, reference) = run(&workflow, &input, |_| 0);
        prop_assert_eq!(&end, &reference);

        let mut live = Machine::new(workflow.clone(), &input);
        for (i, record) in journal.iter().enumerate() {
            let commands = live.step(record);
            let mut replayed = Machine::new(workflow.clone(), &input);
            let mut again = Vec::new();
            for record in &journal[..=i] {
                again = replayed.step(record);
            }
            prop_assert_eq!(commands, again);
            prop_assert_eq!(live.outstanding(), replayed.outstanding());
        }
    }

    /// Records that nobody waits for change nothing.
    #[test]
    fn a_record_that_comes_twice_counts_once(at in 0_usize..200) {
        let input = json!(["a", "b"]);
        let workflow = rich();
        let (journal, end) = run(&workflow, &input, |_| 0);
        let twice = &journal[1 + at % (journal.len() - 1)];
        prop_assume!(matches!(twice, Record::Answered { .. } | Record::Joined { .. }));
        let mut machine = Machine::new(workflow.clone(), &input);
        let mut last = Vec::new();
        for record in &journal {
            let commands = machine.step(record);
            if record == twice {
                // Only the end is said again, until it is written down.
                let again = machine.step(record);
                prop_assert!(again.iter().all(|c| matches!(c, Command::Finish(_))), "{again:?}");
            }
            last = commands;
        }
        prop_assert!(last.contains(&Command::Finish(end)));
    }
}
