//! Training: from recorded outcomes to a model and its calibration.

use std::collections::BTreeSet;

use maof_core::{Error, Name, Random, Result};

use super::calibration::{Calibration, Tradeoff, cost_weights, steps};
use super::cascade::{Cascade, Checked};
use super::config::Config;
use super::data::{Data, Held};
use super::evaluate::Case;
use super::model::{Arm, Model};
use super::outcome::Outcome;
use super::prices::Prices;
use super::verify::{Answer, verify};

/// The fewest outcomes that anything can be learned from.
pub const MIN_OUTCOMES: usize = 20;

/// What to train on.
#[derive(Clone, Debug, Default)]
pub struct Training {
    /// How.
    pub config: Config,
    /// What the arms charge.
    pub prices: Prices,
    /// The strong arm. Default: the one with the best mean.
    pub strong: Option<Name>,
    /// The cheap arm. Default: the one with the lowest price, of equal ones the best; without prices the one with
    /// the lowest mean.
    pub cheap: Option<Name>,
}

/// The arms that outcomes name, in the order of their names.
pub fn arms_of(outcomes: &[Outcome]) -> Vec<Name> {
    let names: BTreeSet<&Name> = outcomes.iter().flat_map(|outcome| outcome.quality.keys()).collect();
    names.into_iter().cloned().collect()
}

impl Training {
    /// Learns from `outcomes`. The same outcomes, settings and random numbers give the same model.
    ///
    /// # Errors
    /// `invalid_request` when there are too few outcomes, too many arms or an arm without enough of them.
    pub fn train(&self, outcomes: &[Outcome], random: &dyn Random) -> Result<Model> {
        self.config.validate()?;
        let data = Data::new(outcomes, &self.config)?;
        let means: Vec<f32> = (0..data.names.len()).map(|arm| data.mean(arm)).collect();
        let arms: Vec<Arm> = (data.names.iter().zip(&data.output_tokens))
            .map(|(name, tokens)| Arm {
                name: name.clone(),
                tariff: self.prices.of(name),
                output_tokens: *tokens,
            })
            .collect();
        let (strong, cheap) = self.roles(&arms, &means)?;
        let all: Vec<usize> = (0..outcomes.len()).collect();
        let fitted = data.fit(&all, &self.config, random);
        let (held, shares) = data.held_out(&self.config, random);
        // Where they tell nothing they are not kept.
        let neighbours = fitted.neighbours.with_share(shares.near);
        let forest = fitted.forest.with_share(shares.forest);
        let (encoder, heads) = (fitted.encoder, fitted.heads);
        let chars = data.prompts.iter().map(|prompt| f64::from(prompt.chars)).sum::<f64>();
        let mean_chars = (chars / outcomes.len().max(1) as f64) as u32;
        let cost_unit = arms.get(strong).map_or(0.0, |arm| arm.cost(mean_chars));
        let (cascade, calibration) = (Cascade::untrained(), Calibration::default());
        let mut model = Model {
            arms,
            strong,
            cheap,
            encoder,
            heads,
            neighbours,
            forest,
            cascade,
            calibration,
            cost_unit,
        };
        let gain = |held: &Held| Some(held.quality.get(strong)? - held.quality.get(cheap)?);
        model.calibration.by_prompt = steps(&data.cases(&model, |row| gain(held.get(row)?)));
        model.calibration.tradeoffs = data.tradeoffs(&model, &held);
        self.learn_cascade(&data, &mut model, &held);
        Ok(model)
    }

    /// Which arm is the strong and which the cheap one.
    fn roles(&self, arms: &[Arm], means: &[f32]) -> Result<(usize, usize)> {
        let named = |name: &Option<Name>, field: &'static str| match name {
            None => Ok(None),
            Some(name) => match arms.iter().position(|arm| arm.name == *name) {
                Some(at) => Ok(Some(at)),
                None => Err(Error::invalid_request(format!("no outcome names `{name}`")).param(field)),
            },
        };
        let (strong, cheap) = (named(&self.strong, "strong")?, named(&self.cheap, "cheap")?);
        let others = |but: Option<usize>| (0..arms.len()).filter(move |at| Some(*at) != but);
        let mean = |at: &usize| means.get(*at).copied().unwrap_or_default();
        let best = others(cheap).max_by(|a, b| mean(a).total_cmp(&mean(b)).then(b.cmp(a)));
        let strong = strong.or(best).unwrap_or_default();
        let cost = |at: &usize| arms.get(*at).map_or(0.0, |arm| arm.cost(400));
        let priced = arms.iter().any(|arm| !arm.tariff.is_free());
        let cheapest = others(Some(strong)).min_by(|a, b| match priced {
            true => cost(a).total_cmp(&cost(b)).then(mean(b).total_cmp(&mean(a))),
            false => mean(a).total_cmp(&mean(b)),
        });
        let cheap = cheap.or(cheapest).unwrap_or_default();
        if strong == cheap {
            let why = "the strong and the cheap arm must be two";
            return Err(Error::invalid_request(why).param("cheap"));
        }
        Ok((strong, cheap))
    }

    /// Learns when the cheap answer is right, where there are answers, and calibrates it on folds held out.
    fn learn_cascade(&self, data: &Data<'_>, model: &mut Model, held: &[Held]) {
        let Some(cheap) = data.names.get(model.cheap) else { return };
        let checked: Vec<Option<Checked>> = (data.outcomes.iter().zip(held))
            .map(|(outcome, held)| {
                Some(Checked {
                    evidence: verify(&outcome.prompt, &Answer::new(outcome.answers.get(cheap)?)),
                    prospect: *held.quality.get(model.cheap)?,
                    quality: *outcome.quality.get(cheap)?,
                })
            })
            .collect();
        let known = |keep: &dyn Fn(usize) -> bool| -> Vec<Checked> {
            let kept = checked.iter().enumerate().filter(|(row, _)| keep(*row));
            kept.filter_map(|(_, checked)| *checked).collect()
        };
        let all = known(&|_| true);
        if all.len() < MIN_OUTCOMES {
            return;
        }
        model.cascade = Cascade::fit(&all);
        let folds: Vec<Cascade> = (0..self.config.folds)
            .map(|fold| Cascade::fit(&known(&|row| held.get(row).is_some_and(|held| held.fold != fold))))
            .collect();
        let cases = data.cases(model, |row| {
            let (held, checked) = (held.get(row)?, checked.get(row)?.as_ref()?);
            let layer = folds.get(held.fold as usize)?;
            Some(held.quality.get(model.strong)? - layer.right(&checked.evidence, checked.prospect))
        });
        model.calibration.by_answer = steps(&cases);
    }
}

impl Data<'_> {
    /// Those rows at which both the strong and the cheap arm are known, and `score` gives one.
    fn cases(&self, model: &Model, score: impl Fn(usize) -> Option<f32>) -> Vec<Case> {
        let case = |row: usize| {
            let quality = self.quality.get(row)?;
            Some(Case {
                score: score(row)?,
                cheap: (*quality.get(model.cheap)?)?,
                strong: (*quality.get(model.strong)?)?,
                cheap_cost: 0.0,
                strong_cost: 0.0,
            })
        };
        (0..self.outcomes.len()).filter_map(case).collect()
    }

    /// What each weight of cost comes to on the rows at which the strong arm is known.
    fn tradeoffs(&self, model: &Model, held: &[Held]) -> Vec<Tradeoff> {
        let costs: Vec<Vec<f32>> = (self.prompts.iter())
            .map(|prompt| model.arms.iter().map(|arm| model.relative_cost(arm, prompt.chars)).collect())
            .collect();
        cost_weights().map(|weight| self.tradeoff(model, held, &costs, weight)).collect()
    }

    fn tradeoff(&self, model: &Model, held: &[Held], costs: &[Vec<f32>], weight: f32) -> Tradeoff {
        let (mut count, mut quality, mut cost) = (0.0_f32, 0.0_f32, 0.0_f32);
        let (mut strong_quality, mut strong_cost, mut squares) = (0.0_f32, 0.0_f32, 0.0_f32);
        for ((seen, costs), held) in self.quality.iter().zip(costs).zip(held) {
            let (Some(Some(strong)), Some(dear)) = (seen.get(model.strong), costs.get(model.strong)) else {
                continue;
            };
            let known = seen.iter().zip(costs).zip(&held.quality).filter_map(|((seen, cost), expected)| {
                seen.map(|seen| (expected - weight * cost, seen, *cost))
            });
            let best = known.max_by(|a, b| a.0.total_cmp(&b.0).then(b.2.total_cmp(&a.2)));
            let Some((_, chosen, paid)) = best else { continue };
            count += 1.0;
            quality += chosen;
            cost += paid;
            strong_quality += strong;
            strong_cost += dear;
            squares += (chosen - strong).powi(2);
        }
        let mean_difference = (quality - strong_quality) / count.max(1.0);
        let variance = (squares / count.max(1.0) - mean_difference.powi(2)).max(0.0);
        let scale = strong_quality.max(1e-6);
        Tradeoff {
            cost_weight: weight,
            quality: quality / scale,
            error: (variance * count).sqrt() / scale,
            cost: if strong_cost > 0.0 { cost / strong_cost } else { 1.0 },
        }
    }
}
