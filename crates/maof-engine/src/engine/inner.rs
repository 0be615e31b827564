//! What an engine and its worker share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use maof_core::{Name, Result, RunId};
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
    /// How many more runs may be in flight.
    pub(crate) free: AtomicU32,
    /// Whether whatever is submitted may be begun here.
    pub(crate) working: AtomicBool,
    pub(crate) wake: Notify,
    /// Whether more may wait than there was room for.
    pub(crate) hungry: AtomicBool,
    pub(crate) closing: CancellationToken,
    pub(crate) tracker: TaskTracker,
    /// This worker's name in claims.
    pub(crate) owner: Arc<str>,
}

/// A run that this worker has: whose it is, the fence of its claim, and how to stop its driver.
pub(crate) struct Held {
    pub(crate) tenant: Name,
    pub(crate) fence: i64,
    pub(crate) stop: cell::Sender<Option<Stop>>,
}

/// Checks a workflow against what is configured, and compiles it.
pub type Compile = Arc<dyn Fn(WorkflowSpec) -> Result<Workflow> + Send + Sync>;

/// Workflow versions that are kept at hand; runs bring the others along.
const KNOWN: usize = 1_024;

impl Inner {
    /// Keeps a workflow at hand.
    pub(crate) fn know(&self, workflow: &Arc<Workflow>) {
        let same = |known: &Arc<Workflow>| Arc::ptr_eq(known, workflow);
        if self.workflows.read().get(&workflow.version).is_some_and(same) {
            return;
        }
        let mut known = self.workflows.write();
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(workflow.version.clone(), Arc::clone(workflow));
    }

    /// Whether this worker has the run, and it is the tenant's.
    pub(crate) fn holds(&self, tenant: &Name, run: RunId) -> bool {
        self.running.lock().get(&run).is_some_and(|held| held.tenant == *tenant)
    }

    /// A place for one more run in flight, if there is room.
    pub(crate) fn place(self: &Arc<Self>) -> Option<Place> {
        let one_less = |free: u32| free.checked_sub(1);
        let taken = self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        taken.is_ok().then(|| Place { inner: Arc::clone(self) })
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

/// A place among the runs in flight. Whoever leaves one says that there is room again.
pub(crate) struct Place {
    inner: Arc<Inner>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.inner.free.fetch_add(1, Ordering::SeqCst);
        if self.inner.hungry.load(Ordering::SeqCst) {
            self.inner.wake.notify_one();
        }
    }
}
