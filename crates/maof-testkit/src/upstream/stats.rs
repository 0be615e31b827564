//! What the scripted upstream has counted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// How many requests are kept in full.
const KEPT: usize = 256;

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

#[derive(Debug, Default)]
struct Inner {
    stats: Stats,
    received: VecDeque<Received>,
}

/// The counters, shared by all connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters(Arc<Mutex<Inner>>);

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
        inner.received.push_back(request);
        if inner.received.len() > KEPT {
            inner.received.pop_front();
        }
        Open { counters: self.clone(), finished: false }
    }

    /// A client has connected.
    pub(super) fn connected(&self) {
        self.0.lock().stats.connections += 1;
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
    finished: bool,
}

impl Open {
    /// Everything was sent that the script wanted sent.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let stats = &mut self.counters.0.lock().stats;
        stats.open -= 1;
        match self.finished {
            true => stats.finished += 1,
            false => stats.aborted += 1,
        }
    }
}
