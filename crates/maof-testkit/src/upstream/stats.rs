//! What the scripted upstream has counted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use maof_core::Clock as _;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::clock::TokioClock;

/// How many requests are kept in full.
const KEPT: usize = 256;
/// How many times of requests are kept for each model.
const TIMES: usize = 65_536;

/// Counts since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Requests for answers, embeddings and counts of tokens.
    pub requests: u64,
    /// Of them, by model.
    pub models: BTreeMap<String, u64>,
    /// Of them, by the text of the last message.
    pub prompts: BTreeMap<String, u64>,
    /// Of them, by `Idempotency-Key`.
    pub effects: BTreeMap<String, u64>,
    /// Answered to the end, errors included.
    pub finished: u64,
    /// Given up by the client before the end.
    pub aborted: u64,
    /// Not yet ended.
    pub open: u64,
    /// The most that were open at once.
    pub max_open: u64,
    /// Connections that were accepted.
    pub connections: u64,
    /// Of them, not yet closed; idle ones that a client keeps included.
    pub open_connections: u64,
    /// Bytes that were written.
    pub bytes: u64,
    /// More of each model.
    pub by_model: BTreeMap<String, ModelStats>,
}

/// Counts of one model since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelStats {
    /// When requests came, in milliseconds since the upstream's start; the first 65,536.
    pub at_ms: Vec<u64>,
    /// Not yet ended.
    pub open: u64,
    /// The most that were open at once.
    pub max_open: u64,
    /// Answered to the end, errors included.
    pub finished: u64,
    /// Given up by the client before the end.
    pub aborted: u64,
    /// Tokens of questions that were answered, wholly or in part, or would have been if somebody had waited.
    #[serde(default)]
    pub billed_input: u64,
    /// Tokens of answers that were sent, read or not; a frame counts as a token.
    #[serde(default)]
    pub billed_output: u64,
}

/// A request as it was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its path.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Bytes,
}

#[derive(Debug)]
struct Inner {
    stats: Stats,
    received: VecDeque<Received>,
    clock: TokioClock,
    since: Instant,
}

/// The counters, shared by all connections.
#[derive(Clone, Debug)]
pub(super) struct Counters(Arc<Mutex<Inner>>);

impl Default for Counters {
    fn default() -> Self {
        let clock = TokioClock::default();
        let since = clock.instant();
        let inner = Inner { stats: Stats::default(), received: VecDeque::new(), clock, since };
        Self(Arc::new(Mutex::new(inner)))
    }
}

impl Counters {
    /// A request has come; the guard counts its end.
    pub(super) fn begin(&self, request: Received, model: &str, prompt: &str) -> Open {
        let mut inner = self.0.lock();
        let inner = &mut *inner;
        let stats = &mut inner.stats;
        stats.requests += 1;
        *stats.models.entry(model.to_owned()).or_default() += 1;
        *stats.prompts.entry(prompt.to_owned()).or_default() += 1;
        if let Some(key) = request.headers.get("idempotency-key") {
            *stats.effects.entry(key.clone()).or_default() += 1;
        }
        stats.open += 1;
        stats.max_open = stats.max_open.max(stats.open);
        let of_model = stats.by_model.entry(model.to_owned()).or_default();
        of_model.open += 1;
        of_model.max_open = of_model.max_open.max(of_model.open);
        let now = inner.clock.instant().saturating_duration_since(inner.since);
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        if of_model.at_ms.len() < TIMES {
            of_model.at_ms.push(now);
        }
        let age_ms = of_model.at_ms.first().map_or(0, |first| now.saturating_sub(*first));
        inner.received.push_back(request);
        if inner.received.len() > KEPT {
            inner.received.pop_front();
        }
        Open {
            counters: self.clone(),
            model: model.to_owned(),
            age_ms,
            finished: false,
            bill: Bill::default(),
        }
    }

    /// A client has connected; the guard counts its end.
    pub(super) fn connected(&self) -> Connected {
        let stats = &mut self.0.lock().stats;
        stats.connections += 1;
        stats.open_connections += 1;
        Connected(self.clone())
    }

    pub(super) fn stats(&self) -> Stats {
        self.0.lock().stats.clone()
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.0.lock().received.iter().cloned().collect()
    }
}

/// A request that has not ended; dropped before it is finished, it was aborted.
#[derive(Debug)]
pub(super) struct Open {
    counters: Counters,
    model: String,
    /// How long ago the model was first asked, in milliseconds.
    pub(super) age_ms: u64,
    finished: bool,
    bill: Bill,
}

/// Tokens of a request: what a provider bills.
#[derive(Debug, Default)]
struct Bill {
    input: u64,
    /// Of the whole answer.
    output: u64,
    /// Frames that were sent.
    sent: u64,
}

impl Open {
    /// Everything was sent that the script wanted sent.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    /// So much was asked, and so much is the answer, of which each frame that is sent is billed.
    pub(super) fn bills(&mut self, input: usize, output: usize) {
        self.bill = Bill { input: input as u64, output: output as u64, sent: 0 };
    }

    /// A frame was sent.
    pub(super) fn sent(&mut self) {
        self.bill.sent += 1;
    }

    /// The whole answer was sent.
    pub(super) fn sent_all(&mut self) {
        self.bill.sent = self.bill.output;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let stats = &mut self.counters.0.lock().stats;
        stats.open -= 1;
        let of_model = stats.by_model.entry(std::mem::take(&mut self.model)).or_default();
        of_model.open -= 1;
        of_model.billed_input += self.bill.input;
        of_model.billed_output += self.bill.sent.min(self.bill.output);
        let (all, of_model) = match self.finished {
            true => (&mut stats.finished, &mut of_model.finished),
            false => (&mut stats.aborted, &mut of_model.aborted),
        };
        *all += 1;
        *of_model += 1;
    }
}

/// A connection that has not ended.
#[derive(Debug)]
pub(super) struct Connected(Counters);

impl Connected {
    /// This many bytes were written.
    pub(super) fn wrote(&self, bytes: usize) {
        self.0.0.lock().stats.bytes += bytes as u64;
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.0.lock().stats.open_connections -= 1;
    }
}
