//! Recorded outcomes, read: what is learned from some of them, and what that says of the others.

use maof_core::{Error, Name, Random, Result};

use super::blend::{Shares, blend};
use super::config::Config;
use super::features::{Encoder, Features};
use super::forest::Forest;
use super::heads::{Heads, Pace};
use super::model::MAX_ARMS;
use super::neighbours::{Neighbours, Room};
use super::outcome::Outcome;
use super::seeded::shuffle;
use super::train::{MIN_OUTCOMES, arms_of};

/// The most tenths that neighbours and forest may have together: never all, since feedback teaches the heads alone.
const MOST: u8 = 8;

/// What heads, neighbours and a forest that never saw an outcome said of its prompt.
#[derive(Default)]
pub(super) struct Held {
    pub(super) fold: u32,
    pub(super) quality: Vec<f32>,
    near: Vec<f32>,
    forest: Vec<f32>,
}

impl Held {
    fn blended(&self, shares: Shares) -> impl Iterator<Item = f32> {
        let others = self.near.iter().zip(&self.forest);
        self.quality
            .iter()
            .zip(others)
            .map(move |(head, (near, forest))| blend(*head, *near, *forest, shares))
    }
}

/// What was learned from outcomes.
pub(super) struct Fitted {
    pub(super) encoder: Encoder,
    pub(super) heads: Heads,
    pub(super) neighbours: Neighbours,
    pub(super) forest: Forest,
}

/// Outcomes, read.
pub(super) struct Data<'a> {
    pub(super) outcomes: &'a [Outcome],
    pub(super) names: Vec<Name>,
    /// For each outcome, each arm's quality.
    pub(super) quality: Vec<Vec<Option<f32>>>,
    /// For each outcome, the prompt's features before they are weighed.
    pub(super) prompts: Vec<Features>,
    pub(super) output_tokens: Vec<f32>,
}

impl<'a> Data<'a> {
    pub(super) fn new(outcomes: &'a [Outcome], config: &Config) -> Result<Data<'a>> {
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

    pub(super) fn mean(&self, arm: usize) -> f32 {
        mean(self.quality.iter().filter_map(|row| *row.get(arm)?))
    }

    /// Learns from these rows.
    pub(super) fn fit(&self, rows: &[usize], config: &Config, random: &dyn Random) -> Fitted {
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
        let mut errors = Vec::new();
        for _ in 0..config.epochs {
            shuffle(&mut order, random);
            for (features, quality) in order.iter().filter_map(|at| encoded.get(*at)) {
                heads.appraise(features, &mut errors);
                for (error, quality) in errors.iter_mut().zip(*quality) {
                    *error -= quality.unwrap_or(f32::NAN);
                }
                heads.step(features, &errors, pace);
            }
        }
        let neighbours = Neighbours::fit(&encoder, &encoded, self.names.len(), random);
        let forest = Forest::fit(&encoded, self.names.len(), random);
        Fitted { encoder, heads, neighbours, forest }
    }

    /// What is said of each row by what was learned without the fold it is in; and the shares of it that are the
    /// neighbours' and the forest's.
    pub(super) fn held_out(&self, config: &Config, random: &dyn Random) -> (Vec<Held>, Shares) {
        let mut order: Vec<usize> = (0..self.outcomes.len()).collect();
        shuffle(&mut order, random);
        let mut held: Vec<Held> = (0..self.outcomes.len()).map(|_| Held::default()).collect();
        for (at, row) in order.iter().enumerate() {
            if let Some(held) = held.get_mut(*row) {
                held.fold = at as u32 % config.folds;
            }
        }
        let mut room = Room::default();
        for fold in 0..config.folds {
            let others: Vec<usize> =
                order.iter().copied().filter(|row| held.get(*row).is_some_and(|h| h.fold != fold)).collect();
            let fitted = self.fit(&others, config, random);
            for (held, prompt) in held.iter_mut().zip(&self.prompts).filter(|(held, _)| held.fold == fold) {
                let mut features = prompt.clone();
                fitted.encoder.encode(&mut features);
                fitted.heads.appraise(&features, &mut held.quality);
                fitted.neighbours.appraise(&fitted.encoder, &features, &mut room, &mut held.near);
                fitted.forest.appraise(&features, self.names.len(), &mut held.forest);
            }
        }
        let shares = self.shares(&held);
        for held in &mut held {
            held.quality = held.blended(shares).collect();
        }
        (held, shares)
    }

    /// The shares of neighbours and forest at which held-out outcomes are met best: not each arm's, but how the arms
    /// differ, since nothing else decides.
    fn shares(&self, held: &[Held]) -> Shares {
        let missed = |shares: Shares| -> f64 {
            let rows = held.iter().zip(&self.quality);
            let missed = rows.map(|(held, seen)| {
                let errors = held.blended(shares).zip(seen).filter_map(|(said, seen)| Some(said - (*seen)?));
                let (count, sum, squares) = errors.fold((0.0, 0.0, 0.0), |(count, sum, squares), error| {
                    (count + 1.0, sum + error, squares + error * error)
                });
                f64::from(squares - sum * sum / f32::max(count, 1.0))
            });
            missed.sum()
        };
        let tenths = |near, forest| Shares { near: f32::from(near) / 10.0, forest: f32::from(forest) / 10.0 };
        let tried = (0..=MOST).flat_map(|near| (0..=MOST - near).map(move |forest| tenths(near, forest)));
        let missed = tried.map(|shares| (shares, missed(shares)));
        missed.min_by(|a, b| a.1.total_cmp(&b.1)).map_or_else(Shares::default, |(shares, _)| shares)
    }
}

pub(super) fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    sum / f32::max(count, 1.0)
}
