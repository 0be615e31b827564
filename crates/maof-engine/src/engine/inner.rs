//! What an engine and its worker share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use maof_core::{Result, RunId};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, watch as cell};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::context::Context;
use crate::config::Config;
use crate::run::Stop;
use crate::workflow::{Workflow, WorkflowSpec};

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) context: Arc<Context>,
    /// Every workflow by version; claimed runs find theirs here.
    pub(crate) workflows: RwLock<HashMap<String, Arc<Workflow>>>,
    /// Checks and compiles a workflow that a run brings along.
    pub(crate) compile: Compile,
    pub(crate) running: Mutex<HashMap<RunId, Held>>,
    pub(crate) wake: Notify,
    /// Whether more may wait than there was room for.
    pub(crate) hungry: AtomicBool,
    pub(crate) closing: CancellationToken,
    pub(crate) tracker: TaskTracker,
    /// This worker's name in claims.
    pub(crate) owner: String,
}

/// A run that this worker has: the fence of its claim, and how to stop its driver.
pub(crate) struct Held {
    pub(crate) fence: i64,
    pub(crate) stop: cell::Sender<Option<Stop>>,
}

/// Checks a workflow against what is configured, and compiles it.
pub type Compile = Arc<dyn Fn(WorkflowSpec) -> Result<Workflow> + Send + Sync>;

/// Workflow versions that are kept at hand; runs bring the others along.
const KNOWN: usize = 1_024;

impl Inner {
    /// Keeps a workflow at hand.
    pub(crate) fn know(&self, workflow: Arc<Workflow>) {
        let mut known = self.workflows.write();
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(workflow.version.clone(), workflow);
    }

    pub(crate) fn tell(&self, run: RunId, why: Stop) {
        if let Some(held) = self.running.lock().get(&run) {
            held.stop.send_if_modified(|now| {
                let first = now.is_none();
                *now = now.or(Some(why));
                first
            });
        }
    }
}
