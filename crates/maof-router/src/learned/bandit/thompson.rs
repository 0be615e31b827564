//! Discounted Thompson sampling per task class and arm, without features: the default, since it needs no training and
//! follows when the quality of an arm shifts.
//!
//! V. Raj and S. Kalyani, "Taming Non-stationary Bandits: A Bayesian Approach", arXiv 1707.09727: every feedback
//! weighs a little less with each one that follows it in the same class.
//!
//! # Several nodes
//! The state is one register for each class and node, written by that node only: what it saw, how often it wrote, and
//! at which count of all nodes' feedback. Merging keeps the register with more writes, so it is commutative and
//! associative, and merging a state twice changes nothing. What a node that is gone has seen fades as the others go on.
//! A node that lost its state gets it back by merging, or takes a new name.

use std::collections::BTreeMap;

use maof_core::{Error, Name, Random, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::matching::{Belief, Drawn, draw};

/// The version of [`State`].
const VERSION: u16 = 1;
/// The most classes, nodes and arms that are told apart.
const MAX_CLASSES: usize = 1024;
const MAX_NODES: usize = 64;
const MAX_ARMS: usize = 64;

/// How fast is forgotten, and what is believed before there is feedback.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What a feedback weighs after the next one in its class. Default 0.999: the last thousand count. Above 0.5, at
    /// most 1 (nothing is forgotten).
    pub discount: f64,
    /// How wide the belief is taken when drawing, where 1 is Thompson's own. Default 0.5: on outcomes in the thousands,
    /// less is lost on trying (O. Chapelle and L. Li, "An Empirical Evaluation of Thompson Sampling", NIPS 2011).
    /// Above 0, at most 10.
    pub explore: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { discount: 0.999, explore: 0.5 }
    }
}

impl Config {
    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        if !(self.discount > 0.5 && self.discount <= 1.0) {
            return Err(
                Error::invalid_request("`discount` must be above 0.5 and at most 1").param("discount")
            );
        }
        if !(self.explore > 0.0 && self.explore <= 10.0) {
            return Err(Error::invalid_request("`explore` must be above 0 and at most 10").param("explore"));
        }
        Ok(())
    }
}

/// What all nodes saw, as far as this one heard. Small, versioned; kept in the store and sent to other nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    version: u16,
    classes: BTreeMap<Name, Class>,
}

/// One class: a register for each node.
type Class = BTreeMap<Name, Register>;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    /// Feedbacks that this node wrote in this class.
    writes: u64,
    /// Feedbacks of all nodes in this class that it knew of at the last write: when the tallies are from.
    at: u64,
    tallies: BTreeMap<Name, Tally>,
}

/// Good and bad feedback, discounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tally {
    good: f64,
    bad: f64,
}

impl Default for State {
    fn default() -> Self {
        Self { version: VERSION, classes: BTreeMap::new() }
    }
}

impl State {
    /// Takes over what `other` knows and this does not.
    ///
    /// # Errors
    /// `invalid_request` naming `state`, of another version or with numbers that no feedback gives; nothing is merged
    /// then.
    pub fn merge(&mut self, other: &State) -> Result<()> {
        other.check()?;
        for (name, class) in &other.classes {
            merge_class(self.classes.entry(name.clone()).or_default(), class);
        }
        // By name, so that whoever merges the same states keeps the same ones.
        while self.classes.len() > MAX_CLASSES {
            self.classes.pop_last();
        }
        Ok(())
    }

    /// What each arm's answers were worth, over all classes and nodes: the sum of scores, and how many they are. Older
    /// scores count for less.
    pub fn worth(&self) -> BTreeMap<Name, (f64, f64)> {
        let mut worth: BTreeMap<Name, (f64, f64)> = BTreeMap::new();
        let tallies = self.classes.values().flat_map(BTreeMap::values).flat_map(|register| &register.tallies);
        for (arm, tally) in tallies {
            let (sum, scores) = worth.entry(arm.clone()).or_default();
            *sum += tally.good;
            *scores += tally.good + tally.bad;
        }
        worth
    }

    fn check(&self) -> Result<()> {
        let wrong = |why: String| Err(Error::invalid_request(why).param("state"));
        if self.version != VERSION {
            return wrong(format!("the state has version {}, this build reads {VERSION}", self.version));
        }
        for register in self.classes.values().flat_map(BTreeMap::values) {
            let sound = |tally: &Tally| (0.0..1e18).contains(&tally.good) && (0.0..1e18).contains(&tally.bad);
            if register.tallies.len() > MAX_ARMS || !register.tallies.values().all(sound) {
                return wrong("the state holds numbers that no feedback gives".to_owned());
            }
        }
        Ok(())
    }
}

fn merge_class(ours: &mut Class, theirs: &Class) {
    for (node, register) in theirs {
        let known = ours.entry(node.clone()).or_default();
        if register.writes > known.writes {
            known.clone_from(register);
        }
    }
    while ours.len() > MAX_NODES {
        ours.pop_last();
    }
}

/// Feedbacks of all nodes in a class.
fn seen(class: &Class) -> u64 {
    class.values().map(|register| register.writes).fold(0, u64::saturating_add)
}

/// What a tally from `at` weighs at `now`.
fn faded(discount: f64, at: u64, now: u64) -> f64 {
    discount.powf(now.saturating_sub(at) as f64)
}

/// One who may be chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate<'a> {
    /// The arm.
    pub arm: &'a Name,
    /// What is taken off its quality (0 to 1) for what it costs. 0 where cost does not matter.
    pub penalty: f64,
}

/// The sampler of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Thompson {
    config: Config,
    node: Name,
    state: State,
}

impl Thompson {
    /// A sampler that knows nothing; merge a state into it to go on from there. No two nodes may have one name.
    ///
    /// # Errors
    /// `invalid_request` naming the field of `config`.
    pub fn new(config: Config, node: Name) -> Result<Thompson> {
        config.validate()?;
        Ok(Thompson { config, node, state: State::default() })
    }

    /// What is known, to be stored or sent.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes over what another state knows; see [`State::merge`].
    ///
    /// # Errors
    /// As [`State::merge`].
    pub fn merge(&mut self, other: &State) -> Result<()> {
        self.state.merge(other)
    }

    /// Draws one of `candidates` for a request of this class, as often as it is believed to be the best; none of
    /// none.
    pub fn choose(&self, class: &Name, candidates: &[Candidate<'_>], random: &dyn Random) -> Option<Drawn> {
        let beliefs: Vec<Belief> = candidates.iter().map(|one| self.belief(class, one)).collect();
        draw(&beliefs, random)
    }

    /// What is believed of an arm's quality in a class: mean and standard deviation (as it is taken when drawing).
    pub fn quality(&self, class: &Name, arm: &Name) -> (f64, f64) {
        let belief = self.belief(class, &Candidate { arm, penalty: 0.0 });
        (belief.mean, belief.deviation)
    }

    /// Learns that an answer of `arm` to a request of this class was this good, 0 to 1.
    ///
    /// # Errors
    /// `invalid_request` naming `quality`, `too_large` naming `class` or `arm` when there are too many; nothing is
    /// learned then.
    pub fn observe(&mut self, class: &Name, arm: &Name, quality: f64) -> Result<()> {
        if !(0.0..=1.0).contains(&quality) {
            return Err(Error::invalid_request("`quality` must be 0 to 1").param("quality"));
        }
        if !self.state.classes.contains_key(class) && self.state.classes.len() >= MAX_CLASSES {
            return Err(Error::too_large(format!("more than {MAX_CLASSES} classes")).param("class"));
        }
        let class = self.state.classes.entry(class.clone()).or_default();
        let now = seen(class);
        let register = class.entry(self.node.clone()).or_default();
        if !register.tallies.contains_key(arm) && register.tallies.len() >= MAX_ARMS {
            return Err(Error::too_large(format!("more than {MAX_ARMS} arms")).param("arm"));
        }
        let fade = faded(self.config.discount, register.at, now) * self.config.discount;
        for tally in register.tallies.values_mut() {
            tally.good *= fade;
            tally.bad *= fade;
        }
        let tally = register.tallies.entry(arm.clone()).or_default();
        tally.good += quality;
        tally.bad += 1.0 - quality;
        register.writes = register.writes.saturating_add(1);
        register.at = now.saturating_add(1);
        Ok(())
    }

    /// The moments of Beta(1 + good, 1 + bad).
    fn belief(&self, class: &Name, candidate: &Candidate<'_>) -> Belief {
        let own = self.tally(class, candidate.arm);
        let (good, total) = (1.0 + own.good, 2.0 + own.good + own.bad);
        let mean = good / total;
        let deviation = self.config.explore * (mean * (1.0 - mean) / (total + 1.0)).sqrt();
        Belief { mean: mean - candidate.penalty, deviation }
    }

    /// What all nodes saw of an arm, as it weighs now.
    fn tally(&self, class: &Name, arm: &Name) -> Tally {
        let mut sum = Tally::default();
        let Some(class) = self.state.classes.get(class) else { return sum };
        let now = seen(class);
        for register in class.values() {
            if let Some(tally) = register.tallies.get(arm) {
                let fade = faded(self.config.discount, register.at, now);
                sum.good += fade * tally.good;
                sum.bad += fade * tally.bad;
            }
        }
        sum
    }
}
