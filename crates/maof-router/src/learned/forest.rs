//! A forest: what came of prompts of the same form and size, as random trees of yes-or-no questions find them.
//!
//! Heads add up what each number says by itself, and neighbours count all numbers alike; a tree finds which of them
//! tell where the arms differ, and in what order to ask. Extremely randomised trees (P. Geurts, D. Ernst and L. Wehenkel,
//! "Extremely Randomized Trees", Machine Learning 2006): each question is the best of a few that are drawn, and the
//! trees are averaged.

use maof_core::Random;

use super::features::{FORMS, Features, SCALARS};
use super::seeded::{shuffle, uniform};

/// How many trees there are.
pub(super) const TREES: usize = 50;
/// The most prompts that a tree is grown on, so that a forest has a bound; each tree draws its own.
const MAX_PROMPTS: usize = 4096;
/// The fewest prompts that a leaf is of.
const LEAST: usize = 8;
/// The most leaves that all trees have, and questions.
pub(super) const MAX_LEAVES: usize = TREES * MAX_PROMPTS / LEAST;
/// Questions that are drawn, of which the best one is asked.
const DRAWN: usize = 16;
/// What the mean of all prompts counts in a leaf, in prompts.
const PRIOR: f32 = 1.0;

/// Trees, with what each arm's answers are worth at their leaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Forest {
    /// How much they count, 0 to below 1, beside the heads.
    pub(super) share: f32,
    /// Where each tree begins.
    pub(super) roots: Vec<Next>,
    pub(super) nodes: Vec<Node>,
    /// For each leaf, each arm's quality.
    pub(super) leaves: Vec<f32>,
}

/// A question, and where to go on: at no, at yes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) question: Question,
    pub(super) next: [Next; 2],
}

/// What is asked of a prompt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Question {
    /// Is this plain number above that?
    Above(u8, f32),
    /// Has it this form?
    Form(u8, u32),
}

/// What comes after an answer, by place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next {
    /// Another question; always a later one.
    Node(u32),
    /// An end.
    Leaf(u32),
}

impl Question {
    fn holds(self, features: &Features) -> bool {
        match self {
            Self::Above(at, than) => {
                features.scalars.get(usize::from(at)).is_some_and(|number| *number > than)
            }
            Self::Form(at, form) => features.form.get(usize::from(at)) == Some(&form),
        }
    }
}

impl Forest {
    /// Grows one on these prompts, encoded, with each arm's quality.
    pub(super) fn fit(prompts: &[(Features, &Vec<Option<f32>>)], arms: usize, random: &dyn Random) -> Forest {
        let mut growing = Growing::new(prompts, arms, random);
        for _ in 0..TREES {
            let root = growing.tree();
            growing.forest.roots.push(root);
        }
        growing.forest
    }

    /// The same with this share; none where it tells nothing.
    pub(super) fn with_share(self, share: f32) -> Option<Forest> {
        (share > 0.0).then_some(Forest { share, ..self })
    }

    /// What each of `arms` came to, into `out`.
    pub(super) fn appraise(&self, features: &Features, arms: usize, out: &mut Vec<f32>) {
        out.clear();
        out.resize(arms, 0.0);
        for root in &self.roots {
            let mut at = *root;
            while let Next::Node(node) = at {
                let Some(node) = self.nodes.get(node as usize) else { break };
                at = node.next[usize::from(node.question.holds(features))];
            }
            let Next::Leaf(leaf) = at else { continue };
            let leaf = self.leaves.get(leaf as usize * arms..).unwrap_or_default();
            out.iter_mut().zip(leaf).for_each(|(sum, quality)| *sum += quality);
        }
        let share = 1.0 / self.roots.len().max(1) as f32;
        out.iter_mut().for_each(|sum| *sum *= share);
    }
}

/// A forest in the making.
struct Growing<'a> {
    prompts: &'a [(Features, &'a Vec<Option<f32>>)],
    arms: usize,
    /// Each prompt's arms: the quality less the mean of the prompt's, since only differences decide; and whether it is known.
    targets: Vec<(f32, f32)>,
    /// Each arm's mean.
    means: Vec<f32>,
    random: &'a dyn Random,
    forest: Forest,
}

/// Prompts that are not parted yet, and where it is noted what they come to.
struct Open {
    rows: std::ops::Range<usize>,
    parent: Option<(usize, usize)>,
}

impl<'a> Growing<'a> {
    fn new(prompts: &'a [(Features, &'a Vec<Option<f32>>)], arms: usize, random: &'a dyn Random) -> Self {
        let known = |quality: &[Option<f32>]| {
            quality.iter().flatten().fold((0.0, 0.0), |(n, sum), q| (n + 1.0, sum + q))
        };
        let mut targets = Vec::with_capacity(prompts.len() * arms);
        let mut sums = vec![(0.0_f32, 0.0_f32); arms];
        for (_, quality) in prompts {
            let (count, sum) = known(quality);
            let mean = sum / f32::max(count, 1.0);
            targets.extend(
                quality.iter().map(|quality| quality.map_or((0.0, 0.0), |quality| (quality - mean, 1.0))),
            );
            for ((count, sum), quality) in sums.iter_mut().zip(quality.iter()) {
                *count += f32::from(u8::from(quality.is_some()));
                *sum += quality.unwrap_or_default();
            }
        }
        let means = sums.into_iter().map(|(count, sum)| sum / f32::max(count, 1.0)).collect();
        Growing { prompts, arms, targets, means, random, forest: Forest::default() }
    }

    /// Grows one tree.
    fn tree(&mut self) -> Next {
        let mut rows: Vec<usize> = (0..self.prompts.len()).collect();
        if rows.len() > MAX_PROMPTS {
            shuffle(&mut rows, self.random);
            rows.truncate(MAX_PROMPTS);
        }
        let mut root = Next::Leaf(0);
        let mut open = vec![Open { rows: 0..rows.len(), parent: None }];
        while let Some(Open { rows: range, parent }) = open.pop() {
            let Some(part) = rows.get_mut(range.clone()) else { continue };
            let (next, split) = match self.question(part) {
                None => (self.leaf(part), None),
                Some(question) => {
                    part.sort_by_key(|row| self.holds(question, *row));
                    let split = part.partition_point(|row| !self.holds(question, *row));
                    self.forest.nodes.push(Node { question, next: [Next::Leaf(0); 2] });
                    (Next::Node(self.forest.nodes.len() as u32 - 1), Some(range.start + split))
                }
            };
            match parent.and_then(|(node, side)| Some((self.forest.nodes.get_mut(node)?, side))) {
                Some((node, side)) => node.next[side] = next,
                None => root = next,
            }
            if let (Next::Node(node), Some(split)) = (next, split) {
                let node = node as usize;
                open.push(Open { rows: range.start..split, parent: Some((node, 0)) });
                open.push(Open { rows: split..range.end, parent: Some((node, 1)) });
            }
        }
        root
    }

    fn holds(&self, question: Question, row: usize) -> bool {
        self.prompts.get(row).is_some_and(|(features, _)| question.holds(features))
    }

    fn leaf(&mut self, rows: &[usize]) -> Next {
        let at = self.forest.leaves.len() / self.arms.max(1);
        for (arm, mean) in self.means.iter().enumerate() {
            let known = rows.iter().filter_map(|row| *self.prompts.get(*row)?.1.get(arm)?);
            let (count, sum) =
                known.fold((PRIOR, PRIOR * mean), |(count, sum), quality| (count + 1.0, sum + quality));
            self.forest.leaves.push(sum / count);
        }
        Next::Leaf(at as u32)
    }

    /// The best of the questions that are drawn; none where none parts these prompts.
    fn question(&self, rows: &[usize]) -> Option<Question> {
        if rows.len() < 2 * LEAST {
            return None;
        }
        let all = self.sums(rows.iter());
        let drawn = (0..DRAWN).filter_map(|n| self.drawn(rows, n));
        let scored = drawn.filter_map(|question| Some((self.gain(question, rows, &all)?, question)));
        scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, question)| question)
    }

    /// One question: on numbers and on forms in turn.
    fn drawn(&self, rows: &[usize], n: usize) -> Option<Question> {
        let below = |count: usize| self.random.below(count as u64) as usize;
        let features = |row: &usize| self.prompts.get(*row).map(|(features, _)| features);
        if n % 2 == 1 {
            let at = below(FORMS);
            return Some(Question::Form(at as u8, *features(rows.get(below(rows.len()))?)?.form.get(at)?));
        }
        let at = below(SCALARS);
        let numbers = rows.iter().filter_map(|row| features(row)?.scalars.get(at).copied());
        let (least, most) = numbers.fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), number| {
            (least.min(number), most.max(number))
        });
        (least < most)
            .then(|| Question::Above(at as u8, least + (most - least) * uniform(self.random) as f32))
    }

    /// By how much the differences between the arms are told better by a question than without; none where one of its
    /// sides has too few prompts.
    fn gain(&self, question: Question, rows: &[usize], all: &[(f32, f32)]) -> Option<f32> {
        let yes: Vec<&usize> = rows.iter().filter(|row| self.holds(question, **row)).collect();
        if yes.len() < LEAST || rows.len() - yes.len() < LEAST {
            return None;
        }
        let explained = |(sum, count): (f32, f32)| sum * sum / count.max(1.0);
        let yes = self.sums(yes.into_iter());
        let gains = yes
            .iter()
            .zip(all)
            .map(|(yes, all)| explained(*yes) + explained((all.0 - yes.0, all.1 - yes.1)) - explained(*all));
        Some(gains.sum())
    }

    /// Each arm's sum of targets, and how many are known.
    fn sums<'r>(&self, rows: impl Iterator<Item = &'r usize>) -> Vec<(f32, f32)> {
        let mut sums = vec![(0.0, 0.0); self.arms];
        for row in rows {
            let targets = self.targets.get(row * self.arms..(row + 1) * self.arms).unwrap_or_default();
            for ((sum, count), (target, known)) in sums.iter_mut().zip(targets) {
                *sum += target;
                *count += known;
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::super::features::Encoder;
    use super::super::seeded::Seeded;
    use super::*;

    fn read(text: &str) -> Features {
        let mut features = Features::default();
        features.read(text);
        features
    }

    /// A forest of these prompts with each arm's quality, and what it says of others.
    fn grown(prompts: &[(String, Vec<Option<f32>>)]) -> impl Fn(&str) -> Vec<f32> + use<> {
        let mut all: Vec<(Features, &Vec<Option<f32>>)> =
            prompts.iter().map(|(text, quality)| (read(text), quality)).collect();
        let encoder = Encoder::fit(&all.iter().map(|(features, _)| features).collect::<Vec<_>>());
        all.iter_mut().for_each(|(features, _)| encoder.encode(features));
        let forest = Forest::fit(&all, 2, &Seeded::new(1));
        let leaves = forest.leaves.len() / 2;
        assert_eq!(leaves, forest.nodes.len() + TREES, "each question parts one leaf into two");
        assert!(leaves <= TREES * prompts.len() / LEAST, "{leaves} leaves");
        move |text| {
            let (mut features, mut said) = (read(text), Vec::new());
            encoder.encode(&mut features);
            forest.appraise(&features, 2, &mut said);
            said
        }
    }

    #[test]
    fn what_only_form_and_size_together_tell_is_found() {
        // The first arm is right on what is short and asks and on what is long and does not; the second on the rest.
        let prompt = |n: usize| {
            let (long, asks) = (n % 2 == 1, n % 4 > 1);
            let text = format!(
                "w{n}{}{}",
                " and so on".repeat(if long { 20 } else { 1 }),
                if asks { "?" } else { "." }
            );
            let first = f32::from(u8::from(long != asks));
            (text, vec![Some(first), Some(1.0 - first)])
        };
        let said = grown(&(0..400).map(prompt).collect::<Vec<_>>());
        for n in 400..408 {
            let (text, expect) = prompt(n);
            let found = said(&text);
            assert!((found[0] - expect[0].unwrap()).abs() < 0.2, "{text}: {found:?}");
            assert!((found[0] + found[1] - 1.0).abs() < 1e-3);
        }
    }

    #[test]
    fn an_arm_that_nothing_is_known_of_among_like_prompts_is_taken_to_be_as_ever() {
        let prompt = |n: usize| match n % 2 {
            0 => (format!("is it {n}?"), vec![Some(1.0), None]),
            _ => (format!("{n} + {n} ="), vec![Some(0.0), Some(f32::from(u8::from(n % 4 == 1)))]),
        };
        let said = grown(&(0..200).map(prompt).collect::<Vec<_>>());
        let asked = said("is it 7?");
        assert!(asked[0] > 0.9 && (0.4..0.6).contains(&asked[1]), "{asked:?}");
        assert!(said("7 + 7 =")[0] < 0.1);
        // Too few to be parted: everybody's mean.
        let few = grown(&(0..12).map(prompt).collect::<Vec<_>>());
        assert!((few("7 + 7 =")[0] - 0.5).abs() < 1e-3);
    }
}
