//! How good a score is at telling which prompts need the strong arm: the measures of RouteLLM
//! (I. Ong et al., arXiv 2406.18665), and what is saved at a stated quality.

use maof_core::Random;

/// One prompt whose outcome at both arms is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// Higher is sent to the strong arm first.
    pub score: f32,
    /// Quality of the cheap and of the strong arm's answer, 0 to 1.
    pub cheap: f32,
    /// See `cheap`.
    pub strong: f32,
    /// What the cheap and the strong arm's answer cost, in any one unit.
    pub cheap_cost: f64,
    /// See `cheap_cost`.
    pub strong_cost: f64,
}

/// Quality and cost at each share of strong calls: a curve of n + 1 points for n prompts.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Mean quality with 0, 1, … n prompts at the strong arm.
    quality: Vec<f64>,
    /// Mean cost there.
    cost: Vec<f64>,
    /// Mean cost of asking only the strong arm.
    strong_cost: f64,
}

impl Curve {
    /// The curve of these cases. In a `cascade` the cheap arm is asked and paid for every prompt.
    pub fn new(cases: &[Case], cascade: bool) -> Curve {
        let mut order: Vec<&Case> = cases.iter().collect();
        order.sort_by(|a, b| b.score.total_cmp(&a.score));
        let count = cases.len().max(1) as f64;
        let mut quality = cases.iter().map(|case| f64::from(case.cheap)).sum::<f64>() / count;
        let mut cost = cases.iter().map(|case| case.cheap_cost).sum::<f64>() / count;
        let strong_cost = cases.iter().map(|case| case.strong_cost).sum::<f64>() / count;
        let mut curve = Curve { quality: vec![quality], cost: vec![cost], strong_cost };
        for case in order {
            quality += f64::from(case.strong - case.cheap) / count;
            cost += (case.strong_cost - if cascade { 0.0 } else { case.cheap_cost }) / count;
            curve.quality.push(quality);
            curve.cost.push(cost);
        }
        curve
    }

    /// Average performance gap recovered: the mean over all shares of strong calls of how much of the gap between
    /// the arms is closed. A random mix has 0.5.
    pub fn apgr(&self) -> f64 {
        let steps = self.quality.len().saturating_sub(1).max(1) as f64;
        let recovered = |quality: &f64| self.recovered(*quality);
        let area = |pair: &[f64]| pair.iter().map(recovered).sum::<f64>() / 2.0;
        self.quality.windows(2).map(area).sum::<f64>() / steps
    }

    /// Call-performance threshold: the least share of strong calls, 0 to 1, that closes `part` of the gap.
    pub fn cpt(&self, part: f64) -> f64 {
        let steps = self.quality.len().saturating_sub(1).max(1) as f64;
        let at = self.quality.iter().position(|quality| self.recovered(*quality) >= part);
        at.map_or(1.0, |at| at as f64 / steps)
    }

    /// The part of the strong arm's cost that is saved at the least share of strong calls with at least `part` of
    /// its quality. Below zero where that is dearer.
    pub fn saving(&self, part: f64) -> f64 {
        // Sums in another order differ in the last digits; that is no loss of quality.
        let floor = part * self.strong() - 1e-9;
        let at = self.quality.iter().position(|quality| *quality >= floor);
        let cost = at.and_then(|at| self.cost.get(at)).unwrap_or(&self.strong_cost);
        1.0 - cost / self.strong_cost.max(f64::MIN_POSITIVE)
    }

    /// What a random mix of the arms saves at `part` of the strong arm's quality.
    pub fn random_saving(cases: &[Case], part: f64) -> f64 {
        let sum = |of: fn(&Case) -> f64| cases.iter().map(of).sum::<f64>();
        let (cheap, strong) = (sum(|c| f64::from(c.cheap)), sum(|c| f64::from(c.strong)));
        let (cheap_cost, strong_cost) = (sum(|c| c.cheap_cost), sum(|c| c.strong_cost));
        let gap = strong - cheap;
        let share = if gap > 0.0 { ((part * strong - cheap) / gap).clamp(0.0, 1.0) } else { 0.0 };
        1.0 - (share * strong_cost + (1.0 - share) * cheap_cost) / strong_cost.max(f64::MIN_POSITIVE)
    }

    fn cheap(&self) -> f64 {
        self.quality.first().copied().unwrap_or_default()
    }

    fn strong(&self) -> f64 {
        self.quality.last().copied().unwrap_or_default()
    }

    fn recovered(&self, quality: f64) -> f64 {
        let gap = self.strong() - self.cheap();
        if gap.abs() < f64::EPSILON { 0.0 } else { (quality - self.cheap()) / gap + 1e-12 }
    }
}

/// The middle 95 % of `statistic` over `rounds` samples of the cases, drawn with repeats (B. Efron, "Bootstrap
/// Methods: Another Look at the Jackknife", Annals of Statistics 1979).
pub fn interval<T: Clone>(
    cases: &[T],
    rounds: usize,
    random: &dyn Random,
    statistic: impl Fn(&[T]) -> f64,
) -> (f64, f64) {
    let mut found = Vec::with_capacity(rounds);
    let mut sample = Vec::with_capacity(cases.len());
    for _ in 0..rounds {
        sample.clear();
        let drawn = (0..cases.len()).filter_map(|_| cases.get(random.below(cases.len() as u64) as usize));
        sample.extend(drawn.cloned());
        found.push(statistic(&sample));
    }
    found.sort_by(f64::total_cmp);
    let at = |part: f64| found.get((part * rounds as f64) as usize).copied().unwrap_or(f64::NAN);
    (at(0.025), at(0.975))
}

#[cfg(test)]
mod tests {
    use super::super::seeded::Seeded;
    use super::*;

    /// Four prompts: two that only the strong arm can do, one that both, one that neither; a strong call costs ten.
    fn cases(scores: [f32; 4]) -> Vec<Case> {
        let outcomes = [(0.0, 1.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0)];
        let case =
            |(score, (cheap, strong))| Case { score, cheap, strong, cheap_cost: 1.0, strong_cost: 10.0 };
        scores.into_iter().zip(outcomes).map(case).collect()
    }

    #[test]
    fn the_measures_are_those_of_the_paper() {
        let near =
            |found: f64, expect: f64| assert!((found - expect).abs() < 1e-6, "{found} is not {expect}");
        let right = Curve::new(&cases([4.0, 3.0, 2.0, 1.0]), false);
        near(right.apgr(), (0.25 + 0.75 + 1.0 + 1.0) / 4.0);
        near(right.cpt(0.5), 0.25);
        near(right.cpt(0.8), 0.5);
        near(right.saving(1.0), 1.0 - 22.0 / 40.0);
        let wrong = Curve::new(&cases([1.0, 2.0, 3.0, 4.0]), false);
        near(wrong.apgr(), (0.0 + 0.0 + 0.25 + 0.75) / 4.0);
        near(wrong.cpt(0.5), 0.75);
        near(wrong.saving(1.0), 0.0);
        // In a cascade the cheap answers are paid as well.
        near(Curve::new(&cases([4.0, 3.0, 2.0, 1.0]), true).saving(1.0), 1.0 - 24.0 / 40.0);
        near(Curve::random_saving(&cases([0.0; 4]), 1.0), 0.0);
        near(Curve::random_saving(&cases([0.0; 4]), 2.0 / 3.0), 0.5 * 0.9);
    }

    #[test]
    fn nothing_and_no_gap_have_measures_too() {
        assert_eq!(Curve::new(&[], false).apgr(), 0.0);
        let same = Case { score: 1.0, cheap: 1.0, strong: 1.0, cheap_cost: 0.0, strong_cost: 0.0 };
        assert!(Curve::new(&[same], true).saving(0.95).is_finite());
    }

    #[test]
    fn an_interval_holds_the_mean_and_is_repeatable() {
        let cases: Vec<f64> = (0..400).map(|n| f64::from(n % 2)).collect();
        let mean = |sample: &[f64]| sample.iter().sum::<f64>() / sample.len() as f64;
        let (low, high) = interval(&cases, 500, &Seeded::new(7), mean);
        assert!(low < 0.5 && 0.5 < high && high - low < 0.12, "{low} {high}");
        assert_eq!((low, high), interval(&cases, 500, &Seeded::new(7), mean));
    }
}
