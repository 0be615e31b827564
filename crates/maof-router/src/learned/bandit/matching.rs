//! Probability matching: each arm is chosen as often as it is believed to be the best.
//!
//! This is what Thompson sampling does (W. Thompson, "On the Likelihood that One Unknown Probability Exceeds Another",
//! Biometrika 1933), with the belief in each arm's utility taken as a normal distribution. The probabilities are
//! computed and the arm is drawn from them, so that the propensity that is logged is the true one; estimates of what
//! another policy would have done (inverse propensity, doubly robust) divide by it.

use maof_core::Random;

use super::super::seeded::uniform;

/// Gauss and Hermite's abscissas and weights for the standard normal distribution, 16 points, one half of them
/// (M. Abramowitz and I. Stegun, "Handbook of Mathematical Functions", table 25.10, rescaled).
const POINTS: [(f64, f64); 8] = [
    (0.386_760_604_500_557_3, 0.286_568_521_238_012_4),
    (1.163_829_100_554_964_9, 0.158_338_372_750_949_3),
    (1.951_980_345_716_333_8, 0.047_284_752_354_014_1),
    (2.760_245_047_630_705, 0.007_266_937_601_184_64),
    (3.600_873_624_171_549, 5.259_849_265_739_088e-4),
    (4.492_955_302_520_013, 1.530_003_216_248_729e-5),
    (5.472_225_705_949_344, 1.309_473_216_286_841e-7),
    (6.630_878_198_393_129, 1.497_814_723_161_838e-10),
];

/// What is believed of an arm's utility: its mean and its standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Belief {
    pub(super) mean: f64,
    pub(super) deviation: f64,
}

/// Which arm was drawn, and how probable that was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// The arm's place in the list that was given.
    pub arm: usize,
    /// The probability with which it was drawn, above 0; to be logged with the decision.
    pub propensity: f64,
}

/// Draws an arm as often as it is believed to be the best; none of none.
pub(super) fn draw(beliefs: &[Belief], random: &dyn Random) -> Option<Drawn> {
    let chances: Vec<f64> = (0..beliefs.len()).map(|arm| chance(beliefs, arm)).collect();
    let total: f64 = chances.iter().sum();
    let mut left = uniform(random) * total;
    let mut last = None;
    for (arm, chance) in chances.into_iter().enumerate().filter(|(_, chance)| *chance > 0.0) {
        last = Some(Drawn { arm, propensity: chance / total });
        left -= chance;
        if left < 0.0 {
            break;
        }
    }
    last
}

/// The probability that `arm` is the best, up to a factor that all arms share.
fn chance(beliefs: &[Belief], arm: usize) -> f64 {
    let Some(own) = beliefs.get(arm) else { return 0.0 };
    let at = |z: f64, weight: f64| {
        let utility = own.mean + own.deviation * z;
        let others = beliefs.iter().enumerate().filter(|(other, _)| *other != arm);
        let mut product = weight;
        for (_, other) in others {
            product *= normal((utility - other.mean) / other.deviation.max(1e-9));
            if product < 1e-12 {
                // Far below what is ever drawn. Not zero: of arms that are all alike, all may come to this.
                return 1e-12 * weight;
            }
        }
        product
    };
    POINTS.iter().map(|(z, weight)| at(*z, *weight) + at(-z, *weight)).sum()
}

/// The standard normal distribution function, to 0.0002 (S. Bowling et al., "A Logistic Approximation to the
/// Cumulative Normal Distribution", JIEM 2009).
fn normal(x: f64) -> f64 {
    1.0 / (1.0 + (-0.07056 * x.powi(3) - 1.5976 * x).exp())
}

#[cfg(test)]
mod tests {
    use super::super::super::seeded::Seeded;
    use super::*;

    fn beliefs(of: &[(f64, f64)]) -> Vec<Belief> {
        of.iter().map(|(mean, deviation)| Belief { mean: *mean, deviation: *deviation }).collect()
    }

    /// The chances by drawing from the beliefs themselves, Box and Muller.
    fn sampled(beliefs: &[Belief], rounds: u32) -> Vec<f64> {
        let random = Seeded::new(3);
        let mut best = vec![0.0; beliefs.len()];
        for _ in 0..rounds {
            let utility = |belief: &Belief| {
                let (u, v) = (1.0 - uniform(&random), uniform(&random));
                belief.mean + belief.deviation * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
            };
            let drawn: Vec<f64> = beliefs.iter().map(utility).collect();
            let top = (0..drawn.len()).max_by(|a, b| drawn[*a].total_cmp(&drawn[*b])).unwrap();
            best[top] += 1.0 / f64::from(rounds);
        }
        best
    }

    #[test]
    fn chances_are_those_of_sampling_from_the_beliefs() {
        for of in [
            &[(0.5, 0.1), (0.5, 0.1)][..],
            &[(0.6, 0.05), (0.5, 0.1), (0.4, 0.3)],
            &[(0.5, 0.29); 9],
            &[(0.7, 0.02), (0.69, 0.02), (0.3, 0.1)],
        ] {
            let beliefs = beliefs(of);
            let chances: Vec<f64> = (0..beliefs.len()).map(|arm| chance(&beliefs, arm)).collect();
            let total: f64 = chances.iter().sum();
            for (found, expect) in chances.iter().zip(sampled(&beliefs, 40_000)) {
                assert!((found / total - expect).abs() < 0.04, "{of:?}: {found} is not {expect}");
            }
        }
    }

    #[test]
    fn arms_are_drawn_as_often_as_their_propensity_says() {
        let beliefs = beliefs(&[(0.6, 0.1), (0.5, 0.1), (0.45, 0.2)]);
        let random = Seeded::new(5);
        let mut count = [0.0; 3];
        let mut propensity = [0.0; 3];
        for _ in 0..20_000 {
            let drawn = draw(&beliefs, &random).unwrap();
            count[drawn.arm] += 1.0 / 20_000.0;
            propensity[drawn.arm] = drawn.propensity;
        }
        for (count, propensity) in count.iter().zip(propensity) {
            assert!((count - propensity).abs() < 0.015, "{count} is not {propensity}");
        }
        assert!((propensity.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn certain_single_and_no_arms_are_drawn_too() {
        let draw =
            |of: &[(f64, f64)]| draw(&beliefs(of), &Seeded::new(1)).map(|d| (d.arm, d.propensity > 0.0));
        assert_eq!(draw(&[]), None);
        assert_eq!(draw(&[(0.1, 0.5)]), Some((0, true)));
        assert_eq!(draw(&[(0.1, 0.0), (0.9, 0.0)]), Some((1, true)));
        assert!(draw(&[(0.5, 0.0); 32]).is_some());
    }
}
