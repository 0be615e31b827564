//! Thompson sampling for each class of tasks.

use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use maof_core::{Name, Random, Result};

use crate::config::Thompson as Config;
use crate::learned::bandit::thompson::State;
use crate::learned::bandit::{Candidate, Drawn, Thompson};
use crate::pool::Seat;

/// The sampler of this node.
#[derive(Debug)]
pub(crate) struct Bandit {
    config: Config,
    sampler: RwLock<Sampler>,
}

#[derive(Debug)]
struct Sampler {
    thompson: Thompson,
    node: Name,
}

impl Bandit {
    pub(crate) fn new(config: &Config, node: Name) -> Result<Bandit> {
        let thompson = Thompson::new(config.belief, node.clone())?;
        Ok(Bandit { config: config.clone(), sampler: RwLock::new(Sampler { thompson, node }) })
    }

    /// Draws one of `seats` for a prompt of so many tokens.
    pub(crate) fn draw(
        &self,
        class: &Name,
        seats: &[&Seat],
        tokens: f32,
        random: &dyn Random,
    ) -> Option<Drawn> {
        let candidates = candidates(seats, tokens, self.config.cost_weight);
        let sampler = self.sampler.read().unwrap_or_else(PoisonError::into_inner);
        sampler.thompson.choose(class, &candidates, random)
    }

    /// What an arm's quality in a class is sure to be, nearly: a standard deviation below what is believed.
    pub(crate) fn sure_of(&self, class: &Name, arm: &Name) -> f64 {
        let sampler = self.sampler.read().unwrap_or_else(PoisonError::into_inner);
        let (mean, deviation) = sampler.thompson.quality(class, arm);
        mean - deviation
    }

    pub(crate) fn learn(&self, class: &Name, arm: &Name, quality: f64) -> Result<()> {
        self.write().thompson.observe(class, arm, quality)
    }

    pub(crate) fn state(&self) -> State {
        self.sampler.read().unwrap_or_else(PoisonError::into_inner).thompson.state().clone()
    }

    /// Under which name it learns.
    pub(crate) fn node(&self) -> Name {
        self.sampler.read().unwrap_or_else(PoisonError::into_inner).node.clone()
    }

    /// Goes on as the node that learned this.
    pub(crate) fn resume(&self, node: Name, state: &State) -> Result<()> {
        let mut thompson = Thompson::new(self.config.belief, node.clone())?;
        thompson.merge(state)?;
        *self.write() = Sampler { thompson, node };
        Ok(())
    }

    pub(crate) fn merge(&self, other: &State) -> Result<()> {
        self.write().thompson.merge(other)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Sampler> {
        self.sampler.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those who may be drawn for a prompt of so many tokens: what they cost is taken off their quality, of the dearest this much.
pub(super) fn candidates<'a>(seats: &[&'a Seat], tokens: f32, cost_weight: f64) -> Vec<Candidate<'a>> {
    let cost = |seat: &Seat| f64::from(seat.cost(tokens));
    let dearest = seats.iter().map(|seat| cost(seat)).fold(0.0, f64::max);
    let penalty = |seat: &Seat| if dearest > 0.0 { cost_weight * cost(seat) / dearest } else { 0.0 };
    seats.iter().map(|seat| Candidate { arm: &seat.drawn_as, penalty: penalty(seat) }).collect()
}
