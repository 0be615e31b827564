//! What a linear bandit sees of a prompt: a few numbers that nobody trained, so that what several nodes learned of them
//! fits together, and goes on fitting.

use super::bandit::linear::MAX_DIMENSION;
use super::features::{Encoder, SCALARS};
use super::heads::DENSE;
use super::model::Scratch;

/// The first of the numbers: words and pairs of them, folded.
const FOLDED: u32 = (MAX_DIMENSION - DENSE) as u32;
/// What prompts are like in general, and how much they differ, number by number: rounded from four public sets of
/// questions (those of docs/routing.md and MMLU-Pro), each counting the same. Somebody else's may be others; it only matters
/// that they are about as large, so that each number is learned from about as fast.
const MEAN: [f32; SCALARS] = [5.6, 4.0, 1.1, 0.5, 1.7, 0.9, 0.1, 0.2, 1.1, 4.2, 0.7, 0.04, 0.65];
/// See [`MEAN`].
const DEVIATION: [f32; SCALARS] = [1.0, 1.0, 1.2, 0.4, 1.0, 1.0, 0.3, 0.6, 1.0, 0.8, 0.2, 0.04, 0.7];

/// A prompt in [`MAX_DIMENSION`] numbers.
pub type Context = [f64; MAX_DIMENSION];

/// Turns prompts into contexts for [`super::bandit::Linear`]. The same prompt gives the same numbers everywhere.
///
/// ```
/// use maof_core::Name;
/// use maof_router::learned::bandit::{Candidate, Linear, linear};
/// use maof_router::learned::{Contexts, Scratch, Seeded};
///
/// let (contexts, mut scratch) = (Contexts::default(), Scratch::default());
/// let mut bandit = Linear::new(linear::Config::default(), Name::new("node-1")?)?;
/// let (small, big) = (Name::new("small")?, Name::new("big")?);
/// for n in 0..200 {
///     for (prompt, worth) in [(format!("add {n} and {n}"), 1.0), (format!("prove lemma {n} by induction"), 0.0)] {
///         let context = contexts.of(&prompt, &mut scratch);
///         bandit.observe(&context, &small, worth)?;
///         bandit.observe(&context, &big, 0.8)?;
///     }
/// }
/// let arms = [&small, &big].map(|arm| Candidate { arm, penalty: 0.0 });
/// let random = Seeded::new(1);
/// let mut drawn = |prompt| bandit.choose(&contexts.of(prompt, &mut scratch), &arms, &random).map(|drawn| drawn.map(|d| d.arm));
/// assert_eq!(drawn("add 777 and 777")?, Some(0));
/// assert_eq!(drawn("prove lemma 777 by induction")?, Some(1));
/// # Ok::<(), maof_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Contexts(Encoder);

impl Default for Contexts {
    fn default() -> Self {
        Contexts(Encoder::general(MEAN, DEVIATION))
    }
}

impl Contexts {
    /// What is seen of a prompt: words and pairs folded into 64 numbers, then thirteen plain numbers, then a one.
    pub fn of(&self, prompt: &str, scratch: &mut Scratch) -> Context {
        scratch.features.read(prompt);
        self.0.encode(&mut scratch.features);
        let mut context = [0.0; MAX_DIMENSION];
        for (bucket, value) in &scratch.features.grams {
            // The next bit is the sign, so that those who share a place cancel out rather than add up.
            let sign = if (bucket / FOLDED).is_multiple_of(2) { 1.0 } else { -1.0 };
            if let Some(sum) = context.get_mut((bucket % FOLDED) as usize) {
                *sum += sign * f64::from(*value);
            }
        }
        let dense = scratch.features.scalars.iter().copied().chain([1.0]);
        for (place, value) in context.iter_mut().skip(FOLDED as usize).zip(dense) {
            *place = f64::from(value);
        }
        context
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_finite_whatever_the_prompt_and_other_prompts_have_another() {
        let (contexts, mut scratch) = (Contexts::default(), Scratch::default());
        let mut of = |prompt: &str| contexts.of(prompt, &mut scratch);
        for prompt in ["", " ", "?", "Äpfel und Birnen", &"1 ".repeat(100_000)] {
            let context = of(prompt);
            assert!(context.iter().all(|x| x.is_finite() && x.abs() <= 2.0), "{prompt:.20}: {context:?}");
            assert_eq!(context[MAX_DIMENSION - 1], 1.0);
        }
        assert_eq!(of("add 1 and 2")[..FOLDED as usize], of("Add 1, and 2!")[..FOLDED as usize]);
        assert_ne!(of("add 1 and 2"), of("prove the lemma"));
    }
}
