//! What a threshold is worth, as found on prompts that the heads had not seen: so that configuration says
//! `quality >= 0.95` and not a number that means something else for every model.

use super::evaluate::Case;

/// How many steps the shares of strong calls are stored in, besides none.
pub(super) const STEPS: usize = 100;
/// Standard errors by which a quality must be above the floor that is asked for: so that it is kept nineteen times in
/// twenty, as far as the held-out outcomes are a fair sample of what is asked later.
const MARGIN: f32 = 1.64;

/// What happens when every prompt with at least this score goes to the strong arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The score.
    pub threshold: f32,
    /// The quality, where that of the strong arm alone is 1.
    pub quality: f32,
    /// The standard error of the quality.
    pub error: f32,
}

/// What happens when quality is weighed against cost at this rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tradeoff {
    /// How much quality (0 to 1) one mean call of the strong arm must add to be worth its cost.
    pub cost_weight: f32,
    /// The quality, where that of the best single arm is 1.
    pub quality: f32,
    /// The standard error of the quality.
    pub error: f32,
    /// The cost, where that of the best single arm is 1.
    pub cost: f32,
}

/// The tables of a model. Empty for one that was not trained.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    /// Between the cheap and the strong arm, by the prompt: 0, 1, … 100 % of strong calls.
    pub by_prompt: Vec<Step>,
    /// The same, by the prompt and the cheap arm's answer. Empty where no answers were recorded.
    pub by_answer: Vec<Step>,
    /// Among all arms, dearest first.
    pub tradeoffs: Vec<Tradeoff>,
}

/// The weights of cost that are tried.
pub(super) fn cost_weights() -> impl Iterator<Item = f32> {
    let grid = (0..60_i16).map(|n| 0.002 * 1.125_f32.powi(i32::from(n)));
    std::iter::once(0.0).chain(grid)
}

/// The steps of a score on cases that it was not learned from.
pub(super) fn steps(cases: &[Case]) -> Vec<Step> {
    let mut order: Vec<&Case> = cases.iter().collect();
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    let Some(highest) = order.first().map(|case| case.score) else { return Vec::new() };
    let count = order.len() as f32;
    let strong = order.iter().map(|case| case.strong).sum::<f32>() / count;
    let mut lost: f32 = order.iter().map(|case| case.strong - case.cheap).sum();
    let mut squares: f32 = order.iter().map(|case| (case.strong - case.cheap).powi(2)).sum();
    let mut taken = 0;
    let mut steps = Vec::with_capacity(STEPS + 1);
    for share in 0..=STEPS {
        let target = share * order.len() / STEPS;
        for case in order.iter().take(target).skip(taken) {
            lost -= case.strong - case.cheap;
            squares -= (case.strong - case.cheap).powi(2);
        }
        taken = target;
        // Just above the first that is left out; all of them for the last step.
        let threshold = match (taken.checked_sub(1).and_then(|at| order.get(at)), order.get(taken)) {
            (None, _) => highest + 1e-3,
            (Some(_), None) => f32::NEG_INFINITY,
            (Some(last), Some(_)) => last.score,
        };
        let variance = (squares.max(0.0) / count - (lost / count).powi(2)).max(0.0);
        let scale = strong.max(1e-6);
        let (quality, error) = (1.0 - lost / count / scale, (variance / count).sqrt() / scale);
        steps.push(Step { threshold, quality, error });
    }
    steps
}

impl Calibration {
    /// The threshold at which about this share of prompts (0 to 1) goes to the strong arm; none without a table.
    pub fn at_share(steps: &[Step], share: f32) -> Option<f32> {
        let at = (share.clamp(0.0, 1.0) * STEPS as f32).round() as usize;
        steps.get(at).map(|step| step.threshold)
    }

    /// The step with the fewest strong calls that keeps this part of the strong arm's quality, by 1.64
    /// standard errors to be sure. The last, all strong, where none does; none without a table.
    pub fn at_quality(steps: &[Step], floor: f32) -> Option<&Step> {
        let kept = steps.iter().find(|step| step.quality - MARGIN * step.error >= floor);
        kept.or_else(|| steps.last())
    }

    /// The share of strong calls (0 to 1) at [`Calibration::at_quality`].
    pub fn share_at_quality(steps: &[Step], floor: f32) -> Option<f32> {
        let kept = steps.iter().position(|step| step.quality - MARGIN * step.error >= floor);
        (!steps.is_empty()).then(|| kept.unwrap_or(STEPS) as f32 / STEPS as f32)
    }

    /// The average performance gap recovered, as [`super::evaluate::Curve::apgr`] has it, up to the width of the
    /// steps; none without a table.
    pub fn apgr(steps: &[Step]) -> Option<f32> {
        let cheap = steps.first()?.quality;
        let recovered = |step: &Step| (step.quality - cheap) / (1.0 - cheap);
        let area = |pair: &[Step]| pair.iter().map(recovered).sum::<f32>() / 2.0;
        Some(steps.windows(2).map(area).sum::<f32>() / STEPS as f32)
    }

    /// The cheapest tradeoff that keeps this part of the best single arm's quality, by 1.64 standard errors to
    /// be sure; none where no tradeoff does.
    pub fn tradeoff(&self, floor: f32) -> Option<&Tradeoff> {
        let kept = self.tradeoffs.iter().filter(|at| at.quality - MARGIN * at.error >= floor);
        kept.min_by(|a, b| a.cost.total_cmp(&b.cost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred prompts; only those with a score of at least 80 need the strong arm.
    fn table() -> Vec<Step> {
        let case = |n: u8| Case {
            score: f32::from(n),
            cheap: if n >= 80 { 0.0 } else { 1.0 },
            strong: 1.0,
            cheap_cost: 1.0,
            strong_cost: 10.0,
        };
        steps(&(0..100).map(case).collect::<Vec<_>>())
    }

    #[test]
    fn a_floor_of_quality_becomes_a_threshold() {
        let steps = table();
        assert_eq!(steps.len(), STEPS + 1);
        let check = |floor: f32, expect: std::ops::RangeInclusive<f32>| {
            let found = Calibration::at_quality(&steps, floor).unwrap();
            assert!(expect.contains(&found.threshold), "{floor}: {found:?}");
        };
        check(1.0, 80.0..=80.0);
        // Ninety-five of a hundred answers good, and to spare.
        check(0.95, 81.0..=84.0);
        check(0.5, 99.0..=101.0);
        check(1.1, f32::NEG_INFINITY..=f32::NEG_INFINITY);
    }

    #[test]
    fn a_share_becomes_a_threshold() {
        let steps = table();
        assert_eq!(Calibration::at_share(&steps, 0.25), Some(75.0));
        assert_eq!(Calibration::at_share(&steps, 1.0), Some(f32::NEG_INFINITY));
        assert!(Calibration::at_share(&steps, 0.0).unwrap() > 99.0);
        assert_eq!(Calibration::at_share(&[], 0.5), None);
        assert!(super::steps(&[]).is_empty());
    }

    #[test]
    fn the_cheapest_tradeoff_that_keeps_the_quality_is_taken() {
        let at = |cost_weight, quality, cost| Tradeoff { cost_weight, quality, error: 0.01, cost };
        let tradeoffs = vec![at(0.0, 1.05, 0.9), at(0.1, 1.02, 0.5), at(0.2, 0.97, 0.3)];
        let calibration = Calibration { tradeoffs, ..Calibration::default() };
        let weight = |floor| calibration.tradeoff(floor).map(|at| at.cost_weight);
        assert_eq!(weight(0.95), Some(0.2));
        assert_eq!(weight(0.97), Some(0.1));
        assert_eq!(weight(1.0), Some(0.1));
        assert_eq!(weight(1.1), None);
    }
}
