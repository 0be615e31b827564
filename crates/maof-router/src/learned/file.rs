//! The model's file: `MAOFROUT`, a version, the model, a check sum. Little-endian throughout.
//!
//! | part | bytes |
//! |---|---|
//! | magic, version | 8 + 2 |
//! | arms: count, then name, prices, tokens of an answer | 2 + each 1 + name + 8 + 8 + 4 |
//! | strong, cheap, cost of a mean strong call | 2 + 2 + 8 |
//! | cascade's weights | 4 each |
//! | calibration: by prompt, by answer (12 a step), tradeoffs (16 each) | 2 each + steps |
//! | plain numbers: mean, deviation | 4 each |
//! | weights of plain numbers and bias: for each, each arm's weight and squared gradients | 8 each |
//! | idf of words never seen, count of the others, then each one's bucket, idf, weights as above | 4 + 4 + each 8 + 8 an arm |
//! | neighbours: their share, count of prompts, 0 where there are none | 4 + 2 |
//! | of each eight prompts side by side: forms, plain numbers; of each arm, the quality of each prompt (-1 where unknown) | 12 + 52 + 4 an arm, each |
//! | count of words, then each one's bucket, count of prompts, each prompt and what the word counts there | 4 + each 6 + 6 a prompt |
//! | forest: its share, count of trees, 0 where there is none, then where each begins | 4 + 2 + 4 each |
//! | count of questions, then each one's kind, what it asks of, and where to go on at no and at yes | 4 + each 1 + 4 + 4 + 4 |
//! | count of leaves, then of each, each arm's quality | 4 + each 4 an arm |
//! | FNV-1a of everything before | 8 |
//!
//! It grows with the words and prompts that were seen, up to [`MAX_BYTES`].

use maof_core::{Error, Name, Result, Tariff, Unit};

use super::calibration::{Calibration, STEPS, Step, Tradeoff};
use super::cascade::{Cascade, WEIGHTS};
use super::features::{BUCKETS, Encoder, FORMS, SCALARS};
use super::forest::{Forest, MAX_LEAVES, Next, Node, Question, TREES};
use super::hash::hashed;
use super::heads::{DENSE, Heads};
use super::model::{Arm, MAX_ARMS, Model};
use super::neighbours::{Block, MAX_PROMPTS, MAX_WORDS, Neighbours, SIDE};

const MAGIC: &[u8; 8] = b"MAOFROUT";
/// The version of the format, and of what the buckets and plain numbers mean.
const VERSION: u16 = 3;
/// The most bytes that a model's file has.
pub const MAX_BYTES: usize = BUCKETS * (8 + 8 * MAX_ARMS)
    + MAX_PROMPTS * (4 * (FORMS + SCALARS + MAX_ARMS) + MAX_WORDS * 12)
    + MAX_LEAVES * (13 + 4 * MAX_ARMS)
    + 64 * 1024;
/// The most that neighbours and forest may count beside the heads.
const MOST_BESIDE: f32 = 0.9;
/// Tells leaves from questions.
const LEAF: u32 = 1 << 31;
/// The most tradeoffs that a file may hold.
const MAX_TRADEOFFS: usize = 1024;

impl Model {
    /// The model's file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer(MAGIC.to_vec());
        out.u16(VERSION);
        out.u16(self.arms.len() as u16);
        for arm in &self.arms {
            let name = arm.name.as_str().as_bytes();
            out.0.push(name.len() as u8);
            out.0.extend(name);
            out.0.extend(arm.tariff.price(Unit::Input).to_le_bytes());
            out.0.extend(arm.tariff.price(Unit::Output).to_le_bytes());
            out.f32(arm.output_tokens);
        }
        out.u16(self.strong as u16);
        out.u16(self.cheap as u16);
        out.0.extend(self.cost_unit.to_le_bytes());
        self.cascade.0.iter().for_each(|weight| out.f32(*weight));
        for steps in [&self.calibration.by_prompt, &self.calibration.by_answer] {
            out.u16(steps.len() as u16);
            for step in steps {
                [step.threshold, step.quality, step.error].into_iter().for_each(|value| out.f32(value));
            }
        }
        out.u16(self.calibration.tradeoffs.len() as u16);
        for at in &self.calibration.tradeoffs {
            [at.cost_weight, at.quality, at.error, at.cost].into_iter().for_each(|value| out.f32(value));
        }
        self.write_weights(&mut out);
        self.write_neighbours(&mut out);
        self.write_forest(&mut out);
        let sum = hashed(&out.0);
        out.0.extend(sum.to_le_bytes());
        out.0
    }

    fn write_weights(&self, out: &mut Writer) {
        let (idf, mean, deviation) = self.encoder.parts();
        mean.iter().chain(deviation).for_each(|value| out.f32(*value));
        let row = |out: &mut Writer, row: usize| {
            for (weight, square) in self.heads.learned(row) {
                out.f32(weight);
                out.f32(square);
            }
        };
        (BUCKETS..BUCKETS + DENSE).for_each(|at| row(out, at));
        // The highest idf is that of words never seen; a bucket with it and without weights need not be told.
        let unseen = idf.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        out.f32(unseen);
        let told = |(bucket, idf): &(usize, &f32)| {
            **idf != unseen || self.heads.learned(*bucket).any(|learned| learned != (0.0, 0.0))
        };
        let known: Vec<(usize, &f32)> = idf.iter().enumerate().filter(told).collect();
        out.u32(known.len() as u32);
        for (bucket, idf) in known {
            out.u32(bucket as u32);
            out.f32(*idf);
            row(out, bucket);
        }
    }

    fn write_neighbours(&self, out: &mut Writer) {
        let Some(neighbours) = &self.neighbours else {
            out.f32(0.0);
            return out.u16(0);
        };
        out.f32(neighbours.share);
        out.u16(neighbours.prompts() as u16);
        for block in &neighbours.blocks {
            block.forms.iter().flatten().for_each(|bucket| out.u32(*bucket));
            block.numbers.iter().flatten().for_each(|number| out.f32(*number));
        }
        neighbours.quality.iter().flatten().for_each(|quality| out.f32(*quality));
        out.u32(neighbours.words().count() as u32);
        for (bucket, prompts) in neighbours.words() {
            out.u32(bucket);
            out.u16(prompts.len() as u16);
            for (prompt, value) in prompts {
                out.u16(*prompt);
                out.f32(*value);
            }
        }
    }

    fn write_forest(&self, out: &mut Writer) {
        let Some(forest) = &self.forest else {
            out.f32(0.0);
            return out.u16(0);
        };
        out.f32(forest.share);
        out.u16(forest.roots.len() as u16);
        forest.roots.iter().for_each(|root| out.next(*root));
        out.u32(forest.nodes.len() as u32);
        for node in &forest.nodes {
            match node.question {
                Question::Above(at, than) => {
                    out.0.push(at);
                    out.f32(than);
                }
                Question::Form(at, form) => {
                    out.0.push(SCALARS as u8 + at);
                    out.u32(form);
                }
            }
            node.next.iter().for_each(|next| out.next(*next));
        }
        out.u32((forest.leaves.len() / self.arms.len().max(1)) as u32);
        forest.leaves.iter().for_each(|quality| out.f32(*quality));
    }

    /// Reads a model's file.
    ///
    /// # Errors
    /// `invalid_request` naming `model` when it is no model, of another version, damaged or cut short.
    pub fn from_bytes(file: &[u8]) -> Result<Model> {
        if file.len() > MAX_BYTES {
            return Err(wrong("the model file is larger than any model"));
        }
        let Some(rest) = file.strip_prefix(MAGIC) else {
            return Err(wrong("the file is no model of `maof route train`"));
        };
        let mut head = Reader(rest);
        let version = head.u16()?;
        if version != VERSION {
            return Err(wrong(format!(
                "the model file has version {version}, this build reads {VERSION}; train the model again"
            )));
        }
        let (body, sum) = file.split_last_chunk::<8>().ok_or_else(short)?;
        if hashed(body).to_le_bytes() != *sum {
            return Err(wrong(
                "the model file is damaged: its check sum does not fit; copy or train it again",
            ));
        }
        let mut from = Reader(body.get(MAGIC.len() + 2..).unwrap_or_default());
        let model = Model::read(&mut from)?;
        if !from.0.is_empty() {
            return Err(wrong("the model file is longer than its model"));
        }
        Ok(model)
    }

    fn read(from: &mut Reader<'_>) -> Result<Model> {
        let count = from.below(MAX_ARMS + 1)?;
        let arms = (0..count).map(|_| from.arm()).collect::<Result<Vec<_>>>()?;
        if count < 2 {
            return Err(wrong("the model file has fewer than two arms"));
        }
        let (strong, cheap) = (from.below(count)?, from.below(count)?);
        let cost_unit = f64::from_le_bytes(from.take()?);
        if !(cost_unit.is_finite() && cost_unit >= 0.0) {
            return Err(not_finite());
        }
        let mut cascade = [0.0; WEIGHTS];
        for weight in &mut cascade {
            *weight = from.finite()?;
        }
        let calibration =
            Calibration { by_prompt: from.steps()?, by_answer: from.steps()?, tradeoffs: from.tradeoffs()? };
        let (encoder, heads) = from.weights(count)?;
        let (neighbours, forest, cascade) = (from.neighbours(count)?, from.forest(count)?, Cascade(cascade));
        let near = neighbours.as_ref().map_or(0.0, |neighbours| neighbours.share);
        if near + forest.as_ref().map_or(0.0, |forest| forest.share) > MOST_BESIDE {
            return Err(wrong("the model file leaves its heads no share"));
        }
        Ok(Model { arms, strong, cheap, encoder, heads, neighbours, forest, cascade, calibration, cost_unit })
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn u16(&mut self, value: u16) {
        self.0.extend(value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    fn f32(&mut self, value: f32) {
        self.0.extend(value.to_le_bytes());
    }

    /// A place; the highest bit tells leaves from questions.
    fn next(&mut self, next: Next) {
        self.u32(match next {
            Next::Node(at) => at,
            Next::Leaf(at) => at | LEAF,
        });
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>().ok_or_else(short)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.take()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    fn f32(&mut self) -> Result<f32> {
        Ok(f32::from_le_bytes(self.take()?))
    }

    fn finite(&mut self) -> Result<f32> {
        let value = self.f32()?;
        if value.is_finite() { Ok(value) } else { Err(not_finite()) }
    }

    /// A count or an index below `limit`.
    fn below(&mut self, limit: usize) -> Result<usize> {
        let value = usize::from(self.u16()?);
        if value < limit { Ok(value) } else { Err(wrong("the model file has a count beyond its limit")) }
    }

    fn arm(&mut self) -> Result<Arm> {
        let [length] = self.take()?;
        let (name, rest) = self.0.split_at_checked(usize::from(length)).ok_or_else(short)?;
        self.0 = rest;
        let name = std::str::from_utf8(name).ok().and_then(|name| Name::new(name).ok());
        let name = name.ok_or_else(|| wrong("the model file has an arm without a proper name"))?;
        let (input, output) = (u64::from_le_bytes(self.take()?), u64::from_le_bytes(self.take()?));
        let tariff = Tariff::default().with(Unit::Input, input).with(Unit::Output, output);
        Ok(Arm { name, tariff, output_tokens: self.finite()? })
    }

    fn steps(&mut self) -> Result<Vec<Step>> {
        let step = |from: &mut Self| {
            // The threshold of the last step is below every score: minus infinity.
            Ok(Step { threshold: from.f32()?, quality: from.finite()?, error: from.finite()? })
        };
        (0..self.below(STEPS + 2)?).map(|_| step(self)).collect()
    }

    fn tradeoffs(&mut self) -> Result<Vec<Tradeoff>> {
        let one = |from: &mut Self| {
            let (cost_weight, quality) = (from.finite()?, from.finite()?);
            Ok(Tradeoff { cost_weight, quality, error: from.finite()?, cost: from.finite()? })
        };
        (0..self.below(MAX_TRADEOFFS + 1)?).map(|_| one(self)).collect()
    }

    fn weights(&mut self, arms: usize) -> Result<(Encoder, Heads)> {
        let (mut mean, mut deviation) = ([0.0; SCALARS], [0.0; SCALARS]);
        for value in mean.iter_mut().chain(&mut deviation) {
            *value = self.finite()?;
        }
        let mut heads = Heads::blank(arms);
        for row in BUCKETS..BUCKETS + DENSE {
            self.row(&mut heads, arms, row)?;
        }
        let mut idf = vec![self.finite()?; BUCKETS];
        for _ in 0..self.u32()? {
            let bucket = self.u32()? as usize;
            let value = self.finite()?;
            *idf.get_mut(bucket).ok_or_else(|| wrong("the model file names a bucket beyond the last"))? =
                value;
            self.row(&mut heads, arms, bucket)?;
        }
        Ok((Encoder::from_parts(idf, mean, deviation)?, heads))
    }

    fn neighbours(&mut self, arms: usize) -> Result<Option<Neighbours>> {
        let (share, prompts) = (self.finite()?, self.below(MAX_PROMPTS + 1)?);
        if prompts == 0 {
            return Ok(None);
        }
        let mut blocks = vec![Block::default(); prompts.div_ceil(SIDE)];
        for block in &mut blocks {
            for bucket in block.forms.iter_mut().flatten() {
                *bucket = self.u32()?;
            }
            for number in block.numbers.iter_mut().flatten() {
                *number = self.finite()?;
            }
        }
        let mut quality = || (0..prompts).map(|_| self.finite()).collect::<Result<_>>();
        let quality = (0..arms).map(|_| quality()).collect::<Result<_>>()?;
        let (mut words, mut after) = (Vec::new(), 0);
        for _ in 0..self.u32()? {
            let bucket = self.u32()?;
            if !(after..BUCKETS as u32).contains(&bucket) {
                return Err(wrong("the words of the model file's neighbours are not in order"));
            }
            after = bucket + 1;
            for _ in 0..self.below(prompts + 1)? {
                words.push((bucket, self.below(prompts)? as u16, self.finite()?));
            }
        }
        Ok(Some(Neighbours::new(share.max(0.0), blocks, quality, &words)))
    }

    fn forest(&mut self, arms: usize) -> Result<Option<Forest>> {
        let (share, trees) = (self.finite()?, self.below(TREES + 1)?);
        if trees == 0 {
            return Ok(None);
        }
        let roots = (0..trees).map(|_| self.next()).collect::<Result<Vec<_>>>()?;
        let nodes = (0..self.at_most(MAX_LEAVES)?).map(|_| self.node()).collect::<Result<Vec<_>>>()?;
        let leaves = self.at_most(MAX_LEAVES)?;
        // Every question leads to a later one or to an end, so that every way through a tree has an end.
        let leads = |next: &Next, after: usize| match next {
            Next::Node(at) => (after..nodes.len()).contains(&(*at as usize)),
            Next::Leaf(at) => (*at as usize) < leaves,
        };
        let sound = roots.iter().all(|root| leads(root, 0))
            && nodes.iter().enumerate().all(|(at, node)| node.next.iter().all(|next| leads(next, at + 1)));
        if !sound {
            return Err(wrong("the trees of the model file lead nowhere"));
        }
        let leaves = (0..leaves * arms).map(|_| self.finite()).collect::<Result<_>>()?;
        Ok(Some(Forest { share: share.max(0.0), roots, nodes, leaves }))
    }

    fn node(&mut self) -> Result<Node> {
        let [kind] = self.take()?;
        let question = match kind.checked_sub(SCALARS as u8) {
            None => Question::Above(kind, self.finite()?),
            Some(at) if usize::from(at) < FORMS => Question::Form(at, self.u32()?),
            Some(_) => return Err(wrong("the model file asks of what no prompt has")),
        };
        Ok(Node { question, next: [self.next()?, self.next()?] })
    }

    fn next(&mut self) -> Result<Next> {
        let at = self.u32()?;
        Ok(if at & LEAF == 0 { Next::Node(at) } else { Next::Leaf(at & !LEAF) })
    }

    fn at_most(&mut self, limit: usize) -> Result<usize> {
        let value = self.u32()? as usize;
        if value <= limit { Ok(value) } else { Err(wrong("the model file has a count beyond its limit")) }
    }

    fn row(&mut self, heads: &mut Heads, arms: usize, row: usize) -> Result<()> {
        for arm in 0..arms {
            let (weight, square) = (self.finite()?, self.finite()?);
            heads.set(row, arm, weight, square.max(0.0));
        }
        Ok(())
    }
}

fn not_finite() -> Error {
    wrong("the model file has a number that is not finite")
}

fn short() -> Error {
    wrong("the model file is cut short")
}

fn wrong(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::invalid_request(why).param("model")
}
