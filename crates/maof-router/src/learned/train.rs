//! Training: from recorded outcomes to a model and its calibration.

use std::collections::BTreeSet;

use maof_core::{Error, Name, Random, Result};

use super::calibration::{Calibration, Tradeoff, cost_weights, steps};
use super::cascade::{Cascade, Checked};
use super::config::Config;
use super::evaluate::Case;
use super::features::{Encoder, Features};
use super::heads::{Heads, Pace};
use super::model::{Arm, MAX_ARMS, Model};
use super::outcome::Outcome;
use super::prices::Prices;
use super::seeded::shuffle;
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
        let (encoder, heads) = data.fit(&all, &self.config, random);
        let chars = data.prompts.iter().map(|prompt| f64::from(prompt.chars)).sum::<f64>();
        let mean_chars = (chars / outcomes.len().max(1) as f64) as u32;
        let cost_unit = arms.get(strong).map_or(0.0, |arm| arm.cost(mean_chars));
        let (cascade, calibration) = (Cascade::untrained(), Calibration::default());
        let mut model = Model { arms, strong, cheap, encoder, heads, cascade, calibration, cost_unit };
        let held = data.held_out(&self.config, random);
        model.calibration.by_prompt = steps(&data.cases(&model, |row| held.get(row)?.gain(&model)));
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

/// What heads that never saw an outcome said of its prompt.
struct Held {
    fold: u32,
    quality: Vec<f32>,
}

impl Held {
    fn gain(&self, model: &Model) -> Option<f32> {
        Some(self.quality.get(model.strong)? - self.quality.get(model.cheap)?)
    }
}

/// Outcomes, read.
struct Data<'a> {
    outcomes: &'a [Outcome],
    names: Vec<Name>,
    /// For each outcome, each arm's quality.
    quality: Vec<Vec<Option<f32>>>,
    /// For each outcome, the prompt's features before they are weighed.
    prompts: Vec<Features>,
    output_tokens: Vec<f32>,
}

impl<'a> Data<'a> {
    fn new(outcomes: &'a [Outcome], config: &Config) -> Result<Data<'a>> {
        if outcomes.len() < MIN_OUTCOMES {
            let why = format!("training needs at least {MIN_OUTCOMES} outcomes, not {}", outcomes.len());
            return Err(Error::invalid_request(why).param("outcomes"));
        }
        let names = arms_of(outcomes);
        if !(2..=MAX_ARMS).contains(&names.len()) {
            let why = format!("`y` must name 2 to {MAX_ARMS} models in all, not {}", names.len());
            return Err(Error::invalid_request(why).param("y"));
        }
        for name in &names {
            let known = outcomes.iter().filter(|outcome| outcome.quality.contains_key(name)).count();
            if known < MIN_OUTCOMES {
                let why = format!("`{name}` has {known} outcomes, and needs at least {MIN_OUTCOMES}");
                return Err(Error::invalid_request(why).param(format!("y.{name}")));
            }
        }
        let quality =
            |outcome: &Outcome| names.iter().map(|name| outcome.quality.get(name).copied()).collect();
        let features = |outcome: &Outcome| {
            let mut features = Features::default();
            features.read(&outcome.prompt);
            features
        };
        let tokens = |name: &Name| {
            let answers = outcomes.iter().filter_map(|outcome| outcome.answers.get(name));
            let (count, chars) =
                answers.fold((0.0, 0.0), |(n, sum), text| (n + 1.0, sum + text.len() as f32));
            if count > 0.0 { chars / count / 4.0 } else { config.output_tokens as f32 }
        };
        Ok(Data {
            outcomes,
            quality: outcomes.iter().map(quality).collect(),
            prompts: outcomes.iter().map(features).collect(),
            output_tokens: names.iter().map(tokens).collect(),
            names,
        })
    }

    fn mean(&self, arm: usize) -> f32 {
        mean(self.quality.iter().filter_map(|row| *row.get(arm)?))
    }

    /// Learns from these rows.
    fn fit(&self, rows: &[usize], config: &Config, random: &dyn Random) -> (Encoder, Heads) {
        let read: Vec<&Features> = rows.iter().filter_map(|row| self.prompts.get(*row)).collect();
        let encoder = Encoder::fit(&read);
        let encoded: Vec<(Features, &Vec<Option<f32>>)> = (rows.iter())
            .filter_map(|row| {
                let mut features = self.prompts.get(*row)?.clone();
                encoder.encode(&mut features);
                Some((features, self.quality.get(*row)?))
            })
            .collect();
        let mut heads = Heads::blank(self.names.len());
        for arm in 0..self.names.len() {
            heads.set_bias(arm, mean(encoded.iter().filter_map(|(_, quality)| *quality.get(arm)?)));
        }
        let pace = Pace { rate: config.rate, decay: config.decay };
        let mut order: Vec<usize> = (0..encoded.len()).collect();
        let mut room = Vec::new();
        for _ in 0..config.epochs {
            shuffle(&mut order, random);
            for (features, quality) in order.iter().filter_map(|at| encoded.get(*at)) {
                heads.step(features, |arm| *quality.get(arm)?, pace, &mut room);
            }
        }
        (encoder, heads)
    }

    /// What heads say of each row that were trained without the fold it is in.
    fn held_out(&self, config: &Config, random: &dyn Random) -> Vec<Held> {
        let mut order: Vec<usize> = (0..self.outcomes.len()).collect();
        shuffle(&mut order, random);
        let mut held: Vec<Held> =
            (0..self.outcomes.len()).map(|_| Held { fold: 0, quality: Vec::new() }).collect();
        for (at, row) in order.iter().enumerate() {
            if let Some(held) = held.get_mut(*row) {
                held.fold = at as u32 % config.folds;
            }
        }
        for fold in 0..config.folds {
            let others: Vec<usize> =
                order.iter().copied().filter(|row| held.get(*row).is_some_and(|h| h.fold != fold)).collect();
            let (encoder, heads) = self.fit(&others, config, random);
            for (held, prompt) in held.iter_mut().zip(&self.prompts).filter(|(held, _)| held.fold == fold) {
                let mut features = prompt.clone();
                encoder.encode(&mut features);
                heads.appraise(&features, &mut held.quality);
            }
        }
        held
    }

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

fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    sum / f32::max(count, 1.0)
}
