//! Linear Thompson sampling: each arm's quality is taken to be linear in what is known of the request.
//!
//! S. Agrawal and N. Goyal, "Thompson Sampling for Contextual Bandits with Linear Payoffs", ICML 2013. The inverse of
//! each arm's matrix is kept by the formula of J. Sherman and W. Morrison (Annals of Mathematical Statistics 1950), so
//! that a feedback costs the square of the dimension. Warm start: observe recorded outcomes before the first request.
//! Nothing is forgotten; where quality shifts, take [`super::Thompson`].
//!
//! The state is merged as [`super::thompson`] says: one register for each arm and node.

use std::collections::BTreeMap;

use maof_core::{Error, Name, Random, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::matching::{Belief, Drawn, draw};
use super::thompson::Candidate;

/// The largest dimension of a context.
pub const MAX_DIMENSION: usize = 78;

const VERSION: u16 = 1;
const MAX_NODES: usize = 64;
const MAX_ARMS: usize = 64;

/// The shape of the belief.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Numbers in a context. Default 78, what [`crate::learned::Contexts`] gives; 1 to 78.
    pub dimension: usize,
    /// How strongly an arm without feedback is taken to be of no quality. Default 1; above 0, at most 1000.
    pub ridge: f64,
    /// How much is explored: the standard deviation of one feedback. Default 0.1; 0 (never) to 10.
    pub noise: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { dimension: MAX_DIMENSION, ridge: 1.0, noise: 0.1 }
    }
}

impl Config {
    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        let rules = [
            ("dimension", (1..=MAX_DIMENSION).contains(&self.dimension), "must be 1 to 78"),
            ("ridge", self.ridge > 0.0 && self.ridge <= 1000.0, "must be above 0 and at most 1000"),
            ("noise", (0.0..=10.0).contains(&self.noise), "must be 0 to 10"),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            None => Ok(()),
            Some((field, _, rule)) => Err(Error::invalid_request(format!("`{field}` {rule}")).param(field)),
        }
    }
}

/// What all nodes saw, as far as this one heard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    version: u16,
    dimension: usize,
    arms: BTreeMap<Name, BTreeMap<Name, Register>>,
}

/// What one node saw of one arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    writes: u64,
    /// The sum of x xᵀ: its lower triangle, row by row.
    gram: Vec<f64>,
    /// The sum of quality times x.
    moment: Vec<f64>,
}

impl Register {
    fn blank(dimension: usize) -> Register {
        Register { writes: 0, gram: vec![0.0; dimension * (dimension + 1) / 2], moment: vec![0.0; dimension] }
    }
}

impl State {
    fn check(&self, dimension: usize) -> Result<()> {
        let wrong = |why: String| Err(Error::invalid_request(why).param("state"));
        if self.version != VERSION {
            return wrong(format!("the state has version {}, this build reads {VERSION}", self.version));
        }
        if self.dimension != dimension {
            return wrong(format!("the state has dimension {}, not {dimension}", self.dimension));
        }
        for register in self.arms.values().flat_map(BTreeMap::values) {
            let finite = register.gram.iter().chain(&register.moment).all(|value| value.is_finite());
            let sizes = (register.gram.len(), register.moment.len());
            // A sum of squares has no negative diagonal; what has one cannot be inverted.
            let diagonal =
                (0..dimension).all(|i| register.gram.get(i * (i + 3) / 2).is_some_and(|v| *v >= 0.0));
            if !finite || !diagonal || sizes != (dimension * (dimension + 1) / 2, dimension) {
                return wrong("the state holds numbers that no feedback gives".to_owned());
            }
        }
        Ok(())
    }
}

/// An arm's belief, worked out from the state.
#[derive(Clone, Debug, PartialEq)]
struct Solved {
    /// The inverse of ridge + sum of x xᵀ, row by row.
    inverse: Vec<f64>,
    /// The inverse times the sum of quality times x.
    weights: Vec<f64>,
}

/// The sampler of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    config: Config,
    node: Name,
    state: State,
    solved: BTreeMap<Name, Solved>,
}

impl Linear {
    /// A sampler that knows nothing; merge a state into it to go on from there. No two nodes may have one name.
    ///
    /// # Errors
    /// `invalid_request` naming the field of `config`.
    pub fn new(config: Config, node: Name) -> Result<Linear> {
        config.validate()?;
        let state = State { version: VERSION, dimension: config.dimension, arms: BTreeMap::new() };
        Ok(Linear { config, node, state, solved: BTreeMap::new() })
    }

    /// What is known, to be stored or sent.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Draws one of `candidates` for a request of this context, as often as it is believed to have the highest
    /// quality less penalty; none of none.
    ///
    /// # Errors
    /// `invalid_request` naming `context`, when it is not of the dimension that is configured or not finite.
    pub fn choose(
        &self,
        context: &[f64],
        candidates: &[Candidate<'_>],
        random: &dyn Random,
    ) -> Result<Option<Drawn>> {
        self.check(context)?;
        let beliefs: Vec<Belief> = candidates.iter().map(|one| self.belief(context, one)).collect();
        Ok(draw(&beliefs, random))
    }

    /// Learns that an answer of `arm` to a request of this context was this good, 0 to 1.
    ///
    /// # Errors
    /// `invalid_request` naming `context` or `quality`, `too_large` naming `arm` when there are too many; nothing is
    /// learned then.
    pub fn observe(&mut self, context: &[f64], arm: &Name, quality: f64) -> Result<()> {
        self.check(context)?;
        if !(0.0..=1.0).contains(&quality) {
            return Err(Error::invalid_request("`quality` must be 0 to 1").param("quality"));
        }
        if !self.state.arms.contains_key(arm) && self.state.arms.len() >= MAX_ARMS {
            return Err(Error::too_large(format!("more than {MAX_ARMS} arms")).param("arm"));
        }
        let dimension = self.config.dimension;
        let registers = self.state.arms.entry(arm.clone()).or_default();
        let register = registers.entry(self.node.clone()).or_insert_with(|| Register::blank(dimension));
        register.writes = register.writes.saturating_add(1);
        let rows = (0..dimension).flat_map(|i| (0..=i).map(move |j| (i, j)));
        for (sum, (i, j)) in register.gram.iter_mut().zip(rows) {
            *sum += context[i] * context[j];
        }
        for (sum, x) in register.moment.iter_mut().zip(context) {
            *sum += quality * x;
        }
        let ridge = self.config.ridge;
        let solved = self.solved.entry(arm.clone()).or_insert_with(|| Solved::blank(dimension, ridge));
        solved.observe(context, quality);
        Ok(())
    }

    /// Takes over what `other` knows and this does not. Arms that changed are solved anew, each at a cost of the cube
    /// of the dimension: about half a millisecond at 78.
    ///
    /// # Errors
    /// `invalid_request` naming `state`, of another version or dimension or with numbers that no feedback gives;
    /// nothing is merged then.
    pub fn merge(&mut self, other: &State) -> Result<()> {
        other.check(self.config.dimension)?;
        for (arm, theirs) in &other.arms {
            let ours = self.state.arms.entry(arm.clone()).or_default();
            let mut changed = false;
            for (node, register) in theirs {
                if ours.get(node).is_none_or(|known| register.writes > known.writes) {
                    ours.insert(node.clone(), register.clone());
                    changed = true;
                }
            }
            while ours.len() > MAX_NODES {
                ours.pop_last();
            }
            if changed {
                let solved = Solved::of(ours, self.config.dimension, self.config.ridge);
                self.solved.insert(arm.clone(), solved);
            }
        }
        while self.state.arms.len() > MAX_ARMS {
            if let Some((arm, _)) = self.state.arms.pop_last() {
                self.solved.remove(&arm);
            }
        }
        Ok(())
    }

    fn check(&self, context: &[f64]) -> Result<()> {
        let dimension = self.config.dimension;
        if context.len() != dimension || !context.iter().all(|x| x.is_finite()) {
            let why = format!("`context` must have {dimension} finite numbers");
            return Err(Error::invalid_request(why).param("context"));
        }
        Ok(())
    }

    pub(super) fn belief(&self, context: &[f64], candidate: &Candidate<'_>) -> Belief {
        let (mean, variance) = match self.solved.get(candidate.arm) {
            Some(solved) => (dot(&solved.weights, context), solved.spread(context)),
            None => (0.0, dot(context, context) / self.config.ridge),
        };
        Belief { mean: mean - candidate.penalty, deviation: self.config.noise * variance.max(0.0).sqrt() }
    }
}

impl Solved {
    fn blank(dimension: usize, ridge: f64) -> Solved {
        let mut inverse = vec![0.0; dimension * dimension];
        inverse.iter_mut().step_by(dimension + 1).for_each(|value| *value = 1.0 / ridge);
        Solved { inverse, weights: vec![0.0; dimension] }
    }

    /// Sherman and Morrison: (A + x xᵀ)⁻¹ = A⁻¹ - A⁻¹x xᵀA⁻¹ / (1 + xᵀA⁻¹x).
    fn observe(&mut self, x: &[f64], quality: f64) {
        let along: Vec<f64> = self.rows(x).map(|row| dot(row, x)).collect();
        let scale = 1.0 / (1.0 + dot(&along, x));
        let error = quality - dot(&self.weights, x);
        for (weight, step) in self.weights.iter_mut().zip(&along) {
            *weight += scale * error * step;
        }
        for (row, a) in self.inverse.chunks_exact_mut(x.len()).zip(&along) {
            for (value, b) in row.iter_mut().zip(&along) {
                *value -= scale * a * b;
            }
        }
    }

    /// xᵀA⁻¹x, by the lower half: the inverse is symmetric.
    fn spread(&self, x: &[f64]) -> f64 {
        let rows = self.rows(x).zip(x).enumerate();
        let each = rows.map(|(at, (row, x_i))| {
            let (below, diagonal) =
                (row.get(..at).unwrap_or_default(), row.get(at).copied().unwrap_or_default());
            x_i * (2.0 * dot(below, x) + diagonal * x_i)
        });
        each.sum()
    }

    fn rows(&self, x: &[f64]) -> std::slice::ChunksExact<'_, f64> {
        self.inverse.chunks_exact(x.len().max(1))
    }

    /// From what all nodes saw: by Gauss and Jordan, without exchange of rows, which a sum of squares does not need.
    fn of(registers: &BTreeMap<Name, Register>, dimension: usize, ridge: f64) -> Solved {
        let mut solved = Solved::blank(dimension, 1.0);
        let mut moment = vec![0.0; dimension];
        let mut matrix = vec![0.0; dimension * dimension];
        matrix.iter_mut().step_by(dimension + 1).for_each(|value| *value = ridge);
        for register in registers.values() {
            let cells = (0..dimension).flat_map(|i| (0..=i).map(move |j| (i, j)));
            for (value, (i, j)) in register.gram.iter().zip(cells) {
                matrix[i * dimension + j] += value;
                if i != j {
                    matrix[j * dimension + i] += value;
                }
            }
            for (sum, value) in moment.iter_mut().zip(&register.moment) {
                *sum += value;
            }
        }
        invert(&mut matrix, &mut solved.inverse, dimension);
        solved.weights = solved.inverse.chunks_exact(dimension).map(|row| dot(row, &moment)).collect();
        solved
    }
}

/// Turns `matrix` into the unit matrix and `inverse`, the unit matrix, into its inverse.
fn invert(matrix: &mut [f64], inverse: &mut [f64], dimension: usize) {
    for pivot in 0..dimension {
        let scale = 1.0 / matrix[pivot * dimension + pivot].max(1e-12);
        for both in [&mut *matrix, &mut *inverse] {
            both[pivot * dimension..][..dimension].iter_mut().for_each(|value| *value *= scale);
        }
        for row in (0..dimension).filter(|row| *row != pivot) {
            let factor = matrix[row * dimension + pivot];
            for both in [&mut *matrix, &mut *inverse] {
                for column in 0..dimension {
                    both[row * dimension + column] -= factor * both[pivot * dimension + column];
                }
            }
        }
    }
}

/// In four sums side by side, which a processor adds up at once.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [0.0; 4];
    for (a, b) in a.iter().zip(b) {
        sums = std::array::from_fn(|at| sums[at] + a[at] * b[at]);
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}
