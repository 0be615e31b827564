//! Metrics: signals counted under the names of [`crate::names`], rendered for Prometheus.
//!
//! Label values come from closed sets that are given at the start: what is not in them is counted under
//! [`OTHER`], so that made-up names can never add a series. Handles are made once for
//! each combination and kept, because a handle costs a few nanoseconds where a macro with labels costs
//! hundreds.

use std::collections::HashMap;
use std::fmt;

use maof_core::{CircuitState, Error, ErrorKind, Money, Name, Observe, Result, RunState, Signal};
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;

use crate::names::{self, Kind, Metric, OTHER};

static METADATA: Metadata<'static> = Metadata::new("maof", Level::INFO, None);

/// Counts signals; see the [module](self).
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    agents: Vec<Name>,
    endpoints: Vec<Name>,
    task_types: Vec<Name>,
    made: Mutex<Made>,
}

/// Handles by metric and label values.
#[derive(Default)]
struct Made {
    counters: HashMap<(&'static str, Values), Counter>,
    gauges: HashMap<(&'static str, Values), Gauge>,
    histograms: HashMap<(&'static str, Values), Histogram>,
    /// What each agent has cost, exactly; the gauge is set from it.
    spent: HashMap<String, Money>,
}

type Values = [Box<str>; 2];

impl Metrics {
    /// Counts by these agents, endpoints and task types.
    ///
    /// # Errors
    /// `internal` when the recorder refuses its buckets.
    pub fn new(agents: &[Name], endpoints: &[Name], task_types: &[Name]) -> Result<Metrics> {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), names::BUCKETS)
            .map_err(|e| Error::internal("the metrics' buckets were refused").because(e))?;
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        for metric in names::ALL {
            let (key, help) = (metric.name.into(), SharedString::const_str(metric.help));
            match metric.kind {
                Kind::Counter => recorder.describe_counter(key, None, help),
                Kind::Gauge => recorder.describe_gauge(key, None, help),
                Kind::Histogram => recorder.describe_histogram(key, None, help),
            }
        }
        let metrics = Metrics {
            recorder,
            handle,
            agents: agents.to_vec(),
            endpoints: endpoints.to_vec(),
            task_types: task_types.to_vec(),
            made: Mutex::new(Made::default()),
        };
        metrics.begin();
        Ok(metrics)
    }

    /// Series that must be there before anything happens.
    fn begin(&self) {
        self.gauge(&names::ACTIVE, ["", ""], |g| g.set(0.0));
        for endpoint in &self.endpoints {
            self.gauge(&names::AGENT_HEALTH, [endpoint.as_str(), ""], |g| g.set(1.0));
            self.gauge(&names::CIRCUIT, [endpoint.as_str(), ""], |g| g.set(0.0));
        }
    }

    /// Prometheus' text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Drains histograms; to be called every few seconds, or they grow without bound.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn count(&self, metric: &Metric, values: [&str; 2], by: u64) {
        let key = (metric.name, values.map(Box::from));
        let mut made = self.made.lock();
        let counter = made
            .counters
            .entry(key)
            .or_insert_with(|| self.recorder.register_counter(&key_of(metric, values), &METADATA));
        counter.increment(by);
    }

    fn gauge(&self, metric: &Metric, values: [&str; 2], change: impl FnOnce(&Gauge)) {
        let key = (metric.name, values.map(Box::from));
        let mut made = self.made.lock();
        let gauge = made
            .gauges
            .entry(key)
            .or_insert_with(|| self.recorder.register_gauge(&key_of(metric, values), &METADATA));
        change(gauge);
    }

    fn record(&self, metric: &Metric, values: [&str; 2], seconds: f64) {
        let key = (metric.name, values.map(Box::from));
        let mut made = self.made.lock();
        let histogram = made
            .histograms
            .entry(key)
            .or_insert_with(|| self.recorder.register_histogram(&key_of(metric, values), &METADATA));
        histogram.record(seconds);
    }

    fn spend(&self, agent: &str, cost: Money) {
        let total = {
            let mut made = self.made.lock();
            let spent = made.spent.entry(agent.to_owned()).or_default();
            *spent = spent.plus(cost);
            *spent
        };
        self.gauge(&names::COST, [agent, ""], |g| g.set(total.as_dollars_lossy()));
    }
}

fn key_of(metric: &Metric, values: [&str; 2]) -> Key {
    let labels = metric.labels.iter().zip(values);
    let labels: Vec<Label> = labels.map(|(name, value)| Label::new(*name, value.to_owned())).collect();
    Key::from_parts(metric.name, labels)
}

/// The name, if it is of the closed set.
fn among<'a>(known: &[Name], name: &'a Name) -> &'a str {
    match known.contains(name) {
        true => name.as_str(),
        false => OTHER,
    }
}

fn outcome(error: Option<ErrorKind>) -> &'static str {
    error.map_or("ok", ErrorKind::as_str)
}

impl Observe for Metrics {
    fn on(&self, signal: Signal<'_>) {
        match signal {
            Signal::CallBegan => self.gauge(&names::ACTIVE, ["", ""], |g| g.increment(1.0)),
            Signal::CallEnded { operation, error, took } => {
                self.gauge(&names::ACTIVE, ["", ""], |g| g.decrement(1.0));
                self.count(&names::CALLS, [operation.as_str(), outcome(error)], 1);
                self.record(&names::CALL_DURATION, [operation.as_str(), ""], took.as_secs_f64());
            }
            Signal::AttemptEnded { agent, endpoint, error, took, usage, cost } => {
                let (agent, endpoint) = (among(&self.agents, agent), among(&self.endpoints, endpoint));
                self.count(&names::ATTEMPTS, [endpoint, outcome(error)], 1);
                self.record(&names::ATTEMPT_DURATION, [endpoint, ""], took.as_secs_f64());
                self.count(&names::TOKENS, [agent, "input"], usage.input_tokens());
                self.count(&names::TOKENS, [agent, "output"], usage.output_tokens());
                self.spend(agent, cost);
                if let Some(kind) = error {
                    self.count(&names::ERRORS, [agent, kind.as_str()], 1);
                }
            }
            Signal::Retried { endpoint, .. } => {
                self.count(&names::RETRIES, [among(&self.endpoints, endpoint), ""], 1);
            }
            Signal::FellBack { from, to, .. } => {
                self.count(&names::FALLBACKS, [among(&self.agents, from), among(&self.agents, to)], 1);
            }
            Signal::Circuit { endpoint, state } => {
                let endpoint = among(&self.endpoints, endpoint);
                let (number, up) = match state {
                    CircuitState::Closed => (0.0, 1.0),
                    CircuitState::Open => (1.0, 0.0),
                    CircuitState::HalfOpen => (2.0, 1.0),
                };
                self.gauge(&names::CIRCUIT, [endpoint, ""], |g| g.set(number));
                self.gauge(&names::AGENT_HEALTH, [endpoint, ""], |g| g.set(up));
            }
            Signal::HoldRefused { .. } => self.count(&names::HOLDS_REFUSED, ["", ""], 1),
            Signal::Run { task_type, state, age, .. } => {
                let task_type = among(&self.task_types, task_type);
                if state.is_final() || state == RunState::Queued {
                    self.count(&names::TASKS, [task_type, state.as_str()], 1);
                }
                if state.is_final() {
                    self.record(&names::TASK_DURATION, [task_type, ""], age.as_secs_f64());
                }
            }
            _ => {}
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("agents", &self.agents.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use maof_core::{Operation, Unit, Usage};
    use std::time::Duration;

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
        metrics.on(Signal::CallEnded {
            operation: Operation::Chat,
            error: None,
            took: Duration::from_secs(1),
        });
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
    fn made_up_names_add_no_series() {
        let metrics = Metrics::new(&[name("a")], &[name("e")], &[]).unwrap();
        attempt(&metrics, "x0", None);
        let before = metrics.render().lines().count();
        for i in 1..10_000 {
            attempt(&metrics, &format!("x{i}"), None);
        }
        assert_eq!(metrics.render().lines().count(), before);
    }
}
