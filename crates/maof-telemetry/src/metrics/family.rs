//! The series of one metric: a place for each combination of label values from closed sets.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use maof_core::Name;
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::PrometheusRecorder;

use crate::names::{Metric, OTHER};

static METADATA: Metadata<'static> = Metadata::new("maof", Level::INFO, None);

/// A closed set of label values. A value is named by its place.
pub(super) struct Closed {
    values: Vec<Name>,
    places: HashMap<Name, usize>,
}

impl Closed {
    pub(super) fn new(values: &[Name]) -> Closed {
        let mut set = Closed { values: Vec::new(), places: HashMap::new() };
        for value in values {
            if !set.places.contains_key(value) {
                set.places.insert(value.clone(), set.values.len());
                set.values.push(value.clone());
            }
        }
        set
    }

    /// The place of a value; the last one for every value that is not in the set.
    pub(super) fn place(&self, value: &Name) -> usize {
        self.places.get(value).copied().unwrap_or(self.values.len())
    }

    /// Every value, at its place.
    pub(super) fn names(&self) -> &[Name] {
        &self.values
    }

    pub(super) fn has(&self, value: &Name) -> bool {
        self.places.contains_key(value)
    }
}

/// What a label can say.
#[derive(Clone)]
pub(super) enum Values {
    /// Names of the configuration, and one place for all others.
    Names(Arc<Closed>),
    /// Words of ours.
    Words(Vec<&'static str>),
    /// The metric has no such label.
    None,
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Values::Names(set) => set.values.len() + 1,
            Values::Words(words) => words.len(),
            Values::None => 1,
        }
    }

    fn at(&self, place: usize) -> &str {
        match self {
            Values::Names(set) => set.values.get(place).map_or(OTHER, Name::as_str),
            Values::Words(words) => words.get(place).copied().unwrap_or(OTHER),
            Values::None => OTHER,
        }
    }
}

/// The handle of one series.
pub(super) trait Handle: Sized {
    fn register(recorder: &PrometheusRecorder, key: &Key) -> Self;
}

impl Handle for Counter {
    fn register(recorder: &PrometheusRecorder, key: &Key) -> Self {
        recorder.register_counter(key, &METADATA)
    }
}

impl Handle for Gauge {
    fn register(recorder: &PrometheusRecorder, key: &Key) -> Self {
        recorder.register_gauge(key, &METADATA)
    }
}

impl Handle for Histogram {
    fn register(recorder: &PrometheusRecorder, key: &Key) -> Self {
        recorder.register_histogram(key, &METADATA)
    }
}

/// The series of one metric with at most two labels. A series is made when it is first asked for and then kept,
/// so that telling costs neither a lock nor an allocation nor a look-up by text. A row of the table is made
/// when the first of its series is: a metric from each agent to each other one stays small.
pub(super) struct Family<H> {
    metric: &'static Metric,
    rows: Box<[OnceLock<Row<H>>]>,
    labels: [Values; 2],
    recorder: Arc<PrometheusRecorder>,
}

type Row<H> = Box<[OnceLock<H>]>;

impl<H: Handle> Family<H> {
    pub(super) fn new(
        metric: &'static Metric,
        labels: [Values; 2],
        recorder: &Arc<PrometheusRecorder>,
    ) -> Self {
        let rows = (0..labels[0].len()).map(|_| OnceLock::new()).collect();
        Family { metric, rows, labels, recorder: Arc::clone(recorder) }
    }

    /// Does this with the series at these places; there is none at places that no set has.
    pub(super) fn with(&self, row: usize, column: usize, act: impl FnOnce(&H)) {
        let width = self.labels[1].len();
        let cells =
            self.rows.get(row).map(|r| r.get_or_init(|| (0..width).map(|_| OnceLock::new()).collect()));
        if let Some(cell) = cells.and_then(|cells| cells.get(column)) {
            act(cell.get_or_init(|| H::register(&self.recorder, &self.key(row, column))));
        }
    }

    fn key(&self, row: usize, column: usize) -> Key {
        let values = [self.labels[0].at(row), self.labels[1].at(column)];
        let labels = self.metric.labels.iter().zip(values);
        let labels: Vec<Label> = labels.map(|(name, value)| Label::new(*name, value.to_owned())).collect();
        Key::from_parts(self.metric.name, labels)
    }
}
