//! Thompson sampling for each class of tasks.

use std::sync::{PoisonError, RwLock};

use maof_core::{Name, Random, Result};

use crate::config::Thompson as Config;
use crate::learned::bandit::thompson::State;
use crate::learned::bandit::{Candidate, Drawn, Thompson};
use crate::pool::Seat;

/// The sampler of this node.
#[derive(Debug)]
pub(crate) struct Bandit {
    cost_weight: f64,
    sampler: RwLock<Thompson>,
}

impl Bandit {
    pub(crate) fn new(config: &Config, node: Name) -> Result<Bandit> {
        let sampler = RwLock::new(Thompson::new(config.belief, node)?);
        Ok(Bandit { cost_weight: config.cost_weight, sampler })
    }

    /// Draws one of `seats` for a prompt of so many tokens.
    pub(crate) fn draw(
        &self,
        class: &Name,
        seats: &[&Seat],
        tokens: f32,
        random: &dyn Random,
    ) -> Option<Drawn> {
        let cost = |seat: &Seat| f64::from(seat.cost(tokens));
        let dearest = seats.iter().map(|seat| cost(seat)).fold(0.0, f64::max);
        let penalty = |seat| if dearest > 0.0 { self.cost_weight * cost(seat) / dearest } else { 0.0 };
        let candidates: Vec<Candidate<'_>> =
            seats.iter().map(|seat| Candidate { arm: &seat.drawn_as, penalty: penalty(seat) }).collect();
        let sampler = self.sampler.read().unwrap_or_else(PoisonError::into_inner);
        sampler.choose(class, &candidates, random)
    }

    pub(crate) fn learn(&self, class: &Name, arm: &Name, quality: f64) -> Result<()> {
        self.sampler.write().unwrap_or_else(PoisonError::into_inner).observe(class, arm, quality)
    }

    pub(crate) fn state(&self) -> State {
        self.sampler.read().unwrap_or_else(PoisonError::into_inner).state().clone()
    }

    pub(crate) fn merge(&self, other: &State) -> Result<()> {
        self.sampler.write().unwrap_or_else(PoisonError::into_inner).merge(other)
    }
}
