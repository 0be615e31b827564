//! Linear Thompson sampling: what is known of the prompt itself tells whom to ask.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use maof_core::{Name, Random, Result};

use super::bandit::candidates;
use crate::config::LinearThompson as Config;
use crate::learned::bandit::linear::State;
use crate::learned::bandit::{Drawn, Linear as Bandit};
use crate::learned::{Context, Contexts, Outcome, Scratch};
use crate::pool::Seat;

/// The node that recorded outcomes are of.
const RECORDED: &str = "recorded";

thread_local! {
    /// Room to work in, so that looking at a prompt allocates its context alone.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The sampler of this node.
#[derive(Debug)]
pub(crate) struct Linear {
    config: Config,
    contexts: Contexts,
    sampler: RwLock<Sampler>,
}

#[derive(Debug)]
struct Sampler {
    bandit: Bandit,
    node: Name,
}

impl Linear {
    pub(crate) fn new(config: &Config, node: Name) -> Result<Linear> {
        let bandit = Bandit::new(config.belief(), node.clone())?;
        let (config, contexts) = (config.clone(), Contexts::default());
        Ok(Linear { config, contexts, sampler: RwLock::new(Sampler { bandit, node }) })
    }

    /// What is seen of a prompt; shared by what is drawn by it and what is learned of it.
    pub(crate) fn look(&self, prompt: &str) -> Arc<Context> {
        SCRATCH.with_borrow_mut(|scratch| Arc::new(self.contexts.of(prompt, scratch)))
    }

    /// Draws one of `seats` for a prompt of this context and so many tokens; none where it cannot tell.
    pub(crate) fn draw(
        &self,
        context: &Context,
        seats: &[&Seat],
        tokens: f32,
        random: &dyn Random,
    ) -> Option<Drawn> {
        let candidates = candidates(seats, tokens, self.config.cost_weight);
        let sampler = self.sampler.read().unwrap_or_else(PoisonError::into_inner);
        sampler.bandit.choose(context, &candidates, random).ok().flatten()
    }

    pub(crate) fn learn(&self, context: &Context, arm: &Name, quality: f64) -> Result<()> {
        self.write().bandit.observe(context, arm, quality)
    }

    pub(crate) fn state(&self) -> State {
        self.sampler.read().unwrap_or_else(PoisonError::into_inner).bandit.state().clone()
    }

    /// Under which name it learns.
    pub(crate) fn node(&self) -> Name {
        self.sampler.read().unwrap_or_else(PoisonError::into_inner).node.clone()
    }

    /// Goes on as the node that learned this, and keeps what others learned that is known here.
    pub(crate) fn resume(&self, node: Name, state: &State) -> Result<()> {
        let mut bandit = Bandit::new(self.config.belief(), node.clone())?;
        bandit.merge(state)?;
        bandit.merge(&self.state())?;
        *self.write() = Sampler { bandit, node };
        Ok(())
    }

    /// Learns from recorded outcomes under a name of their own, so that the same ones again change nothing. `arms` says as what
    /// each arm is recorded.
    pub(crate) fn warm(&self, outcomes: &[Outcome], arms: &BTreeMap<Name, Name>) -> Result<()> {
        let mut bandit = Bandit::new(self.config.belief(), Name::new(RECORDED)?)?;
        for outcome in outcomes {
            let context = self.look(&outcome.prompt);
            for (arm, recorded) in arms {
                if let Some(quality) = outcome.quality.get(recorded) {
                    bandit.observe(&*context, arm, f64::from(*quality))?;
                }
            }
        }
        self.merge(bandit.state())
    }

    pub(crate) fn merge(&self, other: &State) -> Result<()> {
        self.write().bandit.merge(other)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Sampler> {
        self.sampler.write().unwrap_or_else(PoisonError::into_inner)
    }
}
