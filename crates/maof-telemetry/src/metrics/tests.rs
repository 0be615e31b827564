//! What signals become.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use maof_core::{Operation, Origin, RunId, Unit, Usage};

use super::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn attempt(metrics: &Metrics, agent: &str, error: Option<ErrorKind>) {
    let usage = Usage::default().with(Unit::Input, 3).with(Unit::Output, 4);
    metrics.on(Signal::AttemptEnded {
        agent: &name(agent),
        endpoint: &name("e"),
        error,
        took: Duration::from_millis(20),
        usage: &usage,
        cost: Money::from_nanos(1_500_000_000),
    });
}

#[test]
fn signals_are_counted_under_the_promised_names() {
    let metrics = Metrics::new(&[name("a")], &[name("e")], &[name("t")]).unwrap();
    attempt(&metrics, "a", None);
    attempt(&metrics, "a", Some(ErrorKind::Timeout));
    metrics.on(Signal::CallBegan);
    metrics.on(Signal::CallEnded { operation: Operation::Chat, error: None, took: Duration::from_secs(1) });
    metrics.on(Signal::Circuit { endpoint: &name("e"), state: CircuitState::Open });
    let run = maof_core::RunId::from_uuid(Default::default());
    let age = Duration::from_secs(2);
    metrics.on(Signal::Run { run, task_type: &name("t"), state: RunState::Completed, age });
    let text = metrics.render();
    for line in [
        "maof_tokens_total{agent=\"a\",direction=\"input\"} 6",
        "maof_cost_total_usd{agent=\"a\"} 3",
        "maof_errors_total{agent=\"a\",error_type=\"timeout\"} 1",
        "maof_circuit_breaker_state{endpoint=\"e\"} 1",
        "maof_agent_health{endpoint=\"e\"} 0",
        "maof_active_requests 0",
        "maof_tasks_total{task_type=\"t\",status=\"completed\"} 1",
        "maof_task_duration_seconds_count{task_type=\"t\"} 1",
        "maof_calls_total{operation=\"chat\",outcome=\"ok\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_request_that_was_not_written_down_lowers_the_capture_rate() {
    let metrics = Metrics::new(&[name("a")], &[name("e")], &[]).unwrap();
    let check = |rate: &str| {
        let text = metrics.render();
        assert!(text.contains(&format!("\nmaof_capture_rate {rate}\n")), "{text}");
    };
    check("1");
    for _ in 0..4 {
        metrics.on(Signal::Sent { endpoint: &name("e") });
    }
    (0..3).for_each(|_| attempt(&metrics, "a", None));
    check("0.75");
    attempt(&metrics, "a", Some(ErrorKind::Timeout));
    check("1");
}

#[test]
fn made_up_names_add_no_series() {
    let metrics = Metrics::new(&[name("a")], &[name("e")], &[]).unwrap();
    attempt(&metrics, "x0", None);
    let before = metrics.render().lines().count();
    for i in 1..10_000 {
        attempt(&metrics, &format!("x{i}"), None);
    }
    let text = metrics.render();
    assert_eq!(text.lines().count(), before);
    assert!(text.contains("maof_tokens_total{agent=\"other\",direction=\"input\"} 30000\n"), "{text}");
    assert!(!text.contains("_total{agent=\"a\""), "nothing is counted under somebody else's name");
}

#[test]
fn every_promised_name_is_spelled_so() {
    let promised = [
        "maof_tasks_total",
        "maof_task_duration_seconds",
        "maof_tokens_total",
        "maof_cost_total_usd",
        "maof_errors_total",
        "maof_agent_health",
        "maof_circuit_breaker_state",
        "maof_active_requests",
    ];
    for name in promised {
        assert!(names::ALL.iter().any(|metric| metric.name == name), "{name}");
    }
}

/// Every signal, so that every metric has a series.
/// A decision on a call that fell to this arm.
fn fallen_to(arm: &str) -> maof_core::Decision {
    let id = maof_core::DecisionId::from_uuid(Default::default());
    let mut decision = maof_core::Decision::in_order(id, Vec::new(), "");
    decision.why.arm = Some(name(arm));
    decision
}

fn tell_everything(metrics: &Metrics) {
    let (a, e, t) = (name("a"), name("e"), name("t"));
    let (error, run) = (ErrorKind::Timeout, RunId::from_uuid(Default::default()));
    attempt(metrics, "a", Some(error));
    let age = Duration::ZERO;
    for signal in [
        Signal::CallBegan,
        Signal::CallEnded { operation: Operation::Embed, error: Some(error), took: age },
        Signal::Retried { endpoint: &e, error },
        Signal::FellBack { from: &a, to: &a, error },
        Signal::RetryRefused { endpoint: &e },
        Signal::Limited { endpoint: &e, by: Limit::Rate },
        Signal::Limited { endpoint: &e, by: Limit::Bulkhead },
        Signal::AgentRested { agent: &a, rested: true },
        Signal::Shed,
        Signal::ConcurrencyLimit { limit: 5 },
        Signal::Joined,
        Signal::FedBack,
        Signal::CallFailed { error: ErrorKind::Unavailable, origin: Origin::Provider },
        Signal::Escalated { run, step: "s", error: ErrorKind::Internal, origin: Origin::Maof },
        Signal::Cache(maof_core::CacheStatus::Miss),
        Signal::CacheSize { bytes: 7 },
        Signal::Hedged { from: &e, to: &e },
        Signal::Routed { decision: &fallen_to("b") },
        Signal::Routed { decision: &fallen_to("made-up") },
        Signal::Cascaded { kept: true },
        Signal::Shadowed { asked: true },
        Signal::Shadowed { asked: false },
        Signal::HoldRefused { account: "x" },
        Signal::NearLimit { account: &a },
        Signal::BudgetAlert { account: &a, percent: 80 },
        Signal::PriceUnknown { endpoint: &e },
        Signal::Sent { endpoint: &e },
        Signal::Run { run, task_type: &t, state: RunState::Failed, age },
    ] {
        metrics.on(signal);
    }
}

#[test]
fn every_metric_has_the_kind_labels_and_help_that_are_documented() {
    let (a, e, t) = ([name("a")], [name("e")], [name("t")]);
    let metrics = Metrics::splitting(&a, &e, &t, &[name("control"), name("b")]).unwrap();
    tell_everything(&metrics);
    let text = metrics.render();
    for line in [
        "maof_split_total{arm=\"b\"} 1",
        "maof_split_total{arm=\"other\"} 1",
        "maof_shadows_total{result=\"asked\"} 1",
        "maof_shadows_total{result=\"dropped\"} 1",
        "maof_limited_total{endpoint=\"e\",limit=\"rate\"} 1",
        "maof_limited_total{endpoint=\"e\",limit=\"bulkhead\"} 1",
        "maof_agent_available{agent=\"a\"} 0",
        "maof_concurrency_limit 5",
        "maof_cache_total{result=\"miss\"} 1",
        "maof_cache_bytes 7",
        "maof_prices_unknown_total{endpoint=\"e\"} 1",
        "maof_failures_total{category=\"NETWORK\",severity=\"high\"} 1",
        "maof_escalations_total{severity=\"critical\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    for metric in names::ALL {
        let kind = format!("{:?}", metric.kind).to_lowercase();
        assert!(text.contains(&format!("# TYPE {} {kind}\n", metric.name)), "{}\n{text}", metric.name);
        assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{}", metric.name);
        let line = text.lines().find(|l| !l.starts_with('#') && l.starts_with(metric.name)).unwrap();
        for label in metric.labels {
            assert!(line.contains(&format!("{label}=\"")), "{line} has no {label}");
        }
        assert_eq!(line.contains('{'), !metric.labels.is_empty() || line.contains("le="), "{line}");
    }
}

#[test]
fn outcomes_and_states_keep_their_names() {
    let metrics = Metrics::new(&[name("a")], &[name("e")], &[name("t")]).unwrap();
    let run = RunId::from_uuid(Default::default());
    for kind in ErrorKind::ALL {
        attempt(&metrics, "a", Some(kind));
    }
    for state in RunState::ALL {
        metrics.on(Signal::Run { run, task_type: &name("t"), state, age: Duration::ZERO });
    }
    let text = metrics.render();
    for kind in ErrorKind::ALL {
        let line = format!("maof_attempts_total{{endpoint=\"e\",outcome=\"{kind}\"}} 1");
        assert!(text.contains(&line), "{line}");
    }
    for state in RunState::ALL {
        let line = format!("maof_tasks_total{{task_type=\"t\",status=\"{}\"}} 1", state.as_str());
        assert_eq!(text.contains(&line), state != RunState::Running, "{line}");
    }
}

#[test]
fn what_many_threads_spend_adds_up_and_is_shown() {
    let metrics = Arc::new(Metrics::new(&[name("a")], &[name("e")], &[]).unwrap());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let metrics = Arc::clone(&metrics);
            std::thread::spawn(move || (0..500).for_each(|_| attempt(&metrics, "a", None)))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let text = metrics.render();
    assert!(text.contains("maof_cost_total_usd{agent=\"a\"} 3000\n"), "{text}");
    assert!(text.contains("maof_tokens_total{agent=\"a\",direction=\"output\"} 8000\n"), "{text}");
}

#[test]
fn two_of_them_share_nothing() {
    let [one, other] = [0, 1].map(|_| Metrics::new(&[], &[], &[]).unwrap());
    one.on(Signal::CallBegan);
    one.upkeep();
    assert!(one.render().contains("maof_active_requests 1"));
    assert!(other.render().contains("maof_active_requests 0"));
}
