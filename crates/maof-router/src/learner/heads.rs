//! The heads of a trained model, which go on learning from feedback.

use std::cell::RefCell;
use std::sync::{PoisonError, RwLock};

use maof_core::{Name, Result};

use crate::config::Learned as Config;
use crate::learned::{Model, Policy, Scratch, Seen, hash};

thread_local! {
    /// Room to work in, so that deciding allocates nothing.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A model that serves.
#[derive(Debug)]
pub(crate) struct Heads {
    policy: Policy,
    /// The check sum of the model as it was configured.
    at_first: u64,
    model: RwLock<Model>,
}

impl Heads {
    pub(crate) fn new(config: &Config, model: Model) -> Heads {
        let weight = config.cost_weight.unwrap_or_default();
        let policy = config.quality.map_or(Policy::Weigh(weight), |floor| model.at_quality(floor));
        let at_first = hash(&model.to_bytes());
        Heads { policy, at_first, model: RwLock::new(model) }
    }

    /// What each arm's answer to `prompt` is worth less its cost, in the order of the model; and what was seen.
    pub(crate) fn utilities(&self, prompt: &str) -> (Vec<f32>, Seen) {
        let model = self.model.read().unwrap_or_else(PoisonError::into_inner);
        let strong = model.strong().map(|arm| &arm.name);
        SCRATCH.with_borrow_mut(|scratch| {
            let prospects = model.prospects(prompt, scratch);
            let utilities = prospects.map(|prospect| match self.policy {
                Policy::Weigh(weight) => prospect.quality - weight * prospect.cost,
                // Above all others, which come as good as they are.
                Policy::Strong if Some(&prospect.arm.name) == strong => 1.0 + prospect.quality,
                Policy::Strong => prospect.quality,
            });
            (utilities.collect(), scratch.seen())
        })
    }

    pub(crate) fn learn(&self, seen: &Seen, arm: &Name, quality: f32) -> Result<()> {
        let mut model = self.model.write().unwrap_or_else(PoisonError::into_inner);
        SCRATCH.with_borrow_mut(|scratch| model.observe_seen(seen, arm, quality, scratch))
    }

    /// The name of an arm.
    pub(crate) fn arm(&self, arm: usize) -> Option<Name> {
        let model = self.model.read().unwrap_or_else(PoisonError::into_inner);
        model.arms().get(arm).map(|arm| arm.name.clone())
    }

    /// The check sum of the model before feedback moved it.
    pub(crate) fn at_first(&self) -> u64 {
        self.at_first
    }

    /// Goes on with another model.
    pub(crate) fn resume(&self, model: Model) {
        *self.model.write().unwrap_or_else(PoisonError::into_inner) = model;
    }

    /// The model as it is now.
    pub(crate) fn model(&self) -> Model {
        self.model.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
