//! Neighbours: what came of the prompts most like this one that were learned from.
//!
//! Heads add up what each word says by itself; neighbours see what only all of it together tells, such as the set of
//! questions that a prompt might be from. What came of the nearest is averaged, the nearer the heavier (E. Nadaraya,
//! "On Estimating Regression", 1964; T. Cover and P. Hart, "Nearest Neighbor Pattern Classification", 1967). Words are
//! found by an inverted index, numbers and forms are compared with all.

use maof_core::Random;

use super::features::{BUCKETS, Encoder, FORM_VALUE, FORMS, Features, SCALARS};
use super::seeded::shuffle;

/// The most prompts that are kept: with more of them a decision would take too long.
pub(super) const MAX_PROMPTS: usize = 4096;
/// The most words that are kept of a prompt: those that tell the most.
pub(super) const MAX_WORDS: usize = 256;

/// How many of the nearest are averaged, and how fast their weight falls with distance: e-fold each quarter.
const NEAREST: usize = 60;
const FALL: f32 = 4.0;
/// How many prompts are compared at once: as many as keep a processor's vectors full.
pub(super) const SIDE: usize = 8;
/// Stands for a quality that is not known.
const UNKNOWN: f32 = -1.0;

/// Prompts, by what they are found by, with what came of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Neighbours {
    /// How much they count, 0 to below 1, beside the heads.
    pub(super) share: f32,
    /// For each bucket, and the one after the last: where the prompts with its word begin in `postings`.
    starts: Vec<u32>,
    /// A prompt, and how much of its length is this word; by bucket.
    postings: Vec<(u16, f32)>,
    /// What is compared of all prompts, [`SIDE`] of them side by side; at the end with places that are empty.
    pub(super) blocks: Vec<Block>,
    /// Each arm's quality at all prompts: [`UNKNOWN`] where nothing is known.
    pub(super) quality: Vec<Vec<f32>>,
}

/// Forms and plain numbers of some prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Block {
    pub(super) forms: [[u32; SIDE]; FORMS],
    pub(super) numbers: [[f32; SIDE]; SCALARS],
}

/// Room to work in.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    distances: Vec<f32>,
    nearest: Vec<(f32, u32)>,
}

impl Neighbours {
    /// Keeps these prompts, encoded, with each arm's quality; some of them at random where they are too many.
    pub(super) fn fit(
        encoder: &Encoder,
        prompts: &[(Features, &Vec<Option<f32>>)],
        arms: usize,
        random: &dyn Random,
    ) -> Neighbours {
        let mut kept: Vec<&(Features, &Vec<Option<f32>>)> = prompts.iter().collect();
        if kept.len() > MAX_PROMPTS {
            shuffle(&mut kept, random);
            kept.truncate(MAX_PROMPTS);
        }
        let mut words: Vec<(u32, u16, f32)> = Vec::new();
        for (at, (features, _)) in kept.iter().enumerate() {
            let mut telling: Vec<(u32, f32)> = telling(encoder, features).collect();
            telling.sort_by(|a, b| b.1.total_cmp(&a.1));
            telling.truncate(MAX_WORDS);
            let scale = 1.0 / length(telling.iter().map(|(_, value)| *value));
            words.extend(telling.iter().map(|(bucket, value)| (*bucket, at as u16, value * scale)));
        }
        words.sort_by_key(|(bucket, prompt, _)| (*bucket, *prompt));
        let quality =
            |arm: usize| kept.iter().map(|(_, q)| q.get(arm).copied().flatten().unwrap_or(UNKNOWN)).collect();
        let blocks = kept.chunks(SIDE).map(|some| block(some.iter().map(|(features, _)| features)));
        let quality = (0..arms).map(quality).collect();
        Neighbours::new(0.0, blocks.collect(), quality, &words)
    }

    /// The same with this share; none where they tell nothing.
    pub(super) fn with_share(self, share: f32) -> Option<Neighbours> {
        (share > 0.0).then_some(Neighbours { share, ..self })
    }

    /// From all parts: words are buckets, prompts and values, by bucket.
    pub(super) fn new(
        share: f32,
        blocks: Vec<Block>,
        quality: Vec<Vec<f32>>,
        words: &[(u32, u16, f32)],
    ) -> Neighbours {
        let mut starts = vec![0; BUCKETS + 1];
        for (bucket, ..) in words {
            starts[*bucket as usize + 1] += 1;
        }
        for at in 0..BUCKETS {
            starts[at + 1] += starts[at];
        }
        let postings = words.iter().map(|(_, prompt, value)| (*prompt, *value)).collect();
        Neighbours { share, starts, postings, blocks, quality }
    }

    /// The words, as [`Neighbours::new`] takes them.
    pub(super) fn words(&self) -> impl Iterator<Item = (u32, &[(u16, f32)])> {
        let all = (0..BUCKETS as u32).map(|bucket| (bucket, self.prompts_with(bucket)));
        all.filter(|(_, prompts)| !prompts.is_empty())
    }

    /// What came of the nearest prompts at each arm, into `out`; NaN where nothing is known.
    pub(super) fn appraise(
        &self,
        encoder: &Encoder,
        features: &Features,
        room: &mut Room,
        out: &mut Vec<f32>,
    ) {
        self.measure(encoder, features, &mut room.distances);
        room.nearest.clear();
        let mut limit = f32::INFINITY;
        for (at, distance) in (0..).zip(&room.distances) {
            if *distance < limit {
                room.nearest.push((*distance, at));
                if room.nearest.len() == 2 * NEAREST {
                    limit = nearest(&mut room.nearest);
                }
            }
        }
        nearest(&mut room.nearest);
        let root = |square: f32| square.max(0.0).sqrt();
        let first = root(room.nearest.iter().map(|(square, _)| *square).fold(f32::INFINITY, f32::min));
        for (distance, _) in &mut room.nearest {
            *distance = (FALL * (first - root(*distance))).exp();
        }
        out.clear();
        out.extend(self.quality.iter().map(|quality| {
            let known =
                room.nearest.iter().filter_map(|(weight, at)| Some((weight, quality.get(*at as usize)?)));
            let known = known.filter(|(_, quality)| **quality >= 0.0);
            let (weights, sum) =
                known.fold((0.0, 0.0), |(w, sum), (weight, q)| (w + weight, sum + weight * q));
            sum / weights
        }));
    }

    /// The squared distance to every prompt: of words (each prompt's have length one), forms and numbers.
    fn measure(&self, encoder: &Encoder, features: &Features, distances: &mut Vec<f32>) {
        distances.clear();
        distances.resize(SIDE * self.blocks.len(), 2.0);
        let scale = 2.0 / length(telling(encoder, features).map(|(_, value)| value));
        for (bucket, value) in telling(encoder, features) {
            for (prompt, other) in self.prompts_with(bucket) {
                if let Some(sum) = distances.get_mut(usize::from(*prompt)) {
                    *sum -= scale * value * other;
                }
            }
        }
        for (block, sums) in self.blocks.iter().zip(distances.as_chunks_mut::<SIDE>().0) {
            // All in an array of its own, which the compiler keeps in registers.
            let mut all = *sums;
            for (column, form) in block.forms.iter().zip(features.form) {
                let other = |at: usize| if column[at] == form { 0.0 } else { 2.0 * FORM_VALUE * FORM_VALUE };
                all = std::array::from_fn(|at| all[at] + other(at));
            }
            for (column, value) in block.numbers.iter().zip(features.scalars) {
                all = std::array::from_fn(|at| all[at] + (value - column[at]) * (value - column[at]));
            }
            *sums = all;
        }
        distances.truncate(self.prompts());
    }

    fn prompts_with(&self, bucket: u32) -> &[(u16, f32)] {
        let start = |bucket: u32| self.starts.get(bucket as usize).map_or(0, |start| *start as usize);
        self.postings.get(start(bucket)..start(bucket + 1)).unwrap_or_default()
    }

    /// How many prompts are kept.
    pub(super) fn prompts(&self) -> usize {
        self.quality.first().map_or(0, Vec::len)
    }
}

/// Leaves the nearest, in any order; gives how far the farthest of them is.
fn nearest(all: &mut Vec<(f32, u32)>) -> f32 {
    if all.len() <= NEAREST {
        return f32::INFINITY;
    }
    let (_, (farthest, _), _) = all.select_nth_unstable_by(NEAREST - 1, |a, b| a.0.total_cmp(&b.0));
    let farthest = *farthest;
    all.truncate(NEAREST);
    farthest
}

/// Puts prompts side by side.
fn block<'a>(some: impl Iterator<Item = &'a Features>) -> Block {
    let mut block = Block::default();
    for (at, features) in some.enumerate() {
        block.forms.iter_mut().zip(features.form).for_each(|(column, form)| column[at] = form);
        block.numbers.iter_mut().zip(features.scalars).for_each(|(column, number)| column[at] = number);
    }
    block
}

/// The words of a prompt that tell something.
fn telling<'a>(encoder: &'a Encoder, features: &'a Features) -> impl Iterator<Item = (u32, f32)> + 'a {
    features.words().iter().copied().filter(|(bucket, _)| encoder.tells(*bucket))
}

fn length(values: impl Iterator<Item = f32>) -> f32 {
    values.map(|value| value * value).sum::<f32>().sqrt().max(1e-6)
}

#[cfg(test)]
mod tests {
    use super::super::seeded::Seeded;
    use super::*;

    /// Keeps these prompts, each with two arms' qualities.
    fn kept(prompts: &[(String, Vec<Option<f32>>)]) -> (Encoder, Neighbours) {
        let read = |text: &str| {
            let mut features = Features::default();
            features.read(text);
            features
        };
        let mut all: Vec<(Features, &Vec<Option<f32>>)> =
            prompts.iter().map(|(text, quality)| (read(text), quality)).collect();
        let encoder = Encoder::fit(&all.iter().map(|(features, _)| features).collect::<Vec<_>>());
        all.iter_mut().for_each(|(features, _)| encoder.encode(features));
        let neighbours = Neighbours::fit(&encoder, &all, 2, &Seeded::new(1));
        (encoder, neighbours)
    }

    fn near(kept: &(Encoder, Neighbours), text: &str) -> Vec<f32> {
        let (mut features, mut near) = (Features::default(), Vec::new());
        features.read(text);
        kept.0.encode(&mut features);
        kept.1.appraise(&kept.0, &features, &mut Room::default(), &mut near);
        near
    }

    #[test]
    fn what_came_of_the_most_similar_prompts_counts() {
        let subjects =
            ["harbour", "kettle", "meadow", "violin", "glacier", "pepper", "lantern", "saddle", "copper"];
        let prompts: Vec<_> = (0..900)
            .map(|n| {
                (format!("tell me {n} of the {}", subjects[n % 9]), vec![Some((n % 9) as f32 / 8.0), None])
            })
            .collect();
        let kept = kept(&prompts);
        for (at, subject) in subjects.iter().enumerate() {
            let found = near(&kept, &format!("tell me 900 of the {subject}"));
            assert!((found[0] - at as f32 / 8.0).abs() < 0.01, "{subject}: {found:?}");
            assert!(found[1].is_nan(), "nothing is known of the other arm: {found:?}");
        }
        // The form alone tells too.
        let asked =
            |n: usize| if n.is_multiple_of(2) { format!("Is it {n}?") } else { format!("it is {n} = ") };
        let prompts: Vec<_> = (0..200).map(|n| (asked(n), vec![Some((n % 2) as f32); 2])).collect();
        let kept = self::kept(&prompts);
        assert!(near(&kept, "Has he?")[0] < 0.3 && near(&kept, "he has = ")[1] > 0.7);
    }

    #[test]
    fn prompts_and_words_that_are_kept_have_limits() {
        let prompts: Vec<_> =
            (0..MAX_PROMPTS + 10).map(|n| (format!("prompt {n}"), vec![Some(1.0); 2])).collect();
        assert_eq!(kept(&prompts).1.prompts(), MAX_PROMPTS);
        let long: String = (0..2_000).map(|n| format!("w{n} ")).collect();
        let others = (0..20).map(|n| (format!("other {n}"), vec![Some(0.0); 2]));
        let kept = kept(&others.chain([(long, vec![Some(1.0); 2])]).collect::<Vec<_>>());
        assert_eq!(kept.1.postings.iter().filter(|(prompt, _)| *prompt == 20).count(), MAX_WORDS);
    }
}
